//! Just enough WebSocket (RFC 6455): the two sides of the opening handshake, frames, and an echo.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The first byte of a whole text message.
pub const TEXT: u8 = 0x81;
/// The first byte of the end.
pub const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// The longest frame that is taken.
const LONGEST: usize = 16 << 20;

/// What a server answers to a client's `Sec-WebSocket-Key`.
#[must_use]
pub fn accept(key: &[u8]) -> String {
    let salted = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &salted))
}

/// A frame; clients mask what they send.
#[must_use]
pub fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    append(&mut frame, first, payload, mask);
    frame
}

/// Sends every message back until the other side ends.
///
/// # Errors
/// When the connection breaks or a frame is longer than 16 MiB.
pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    let (mut received, mut answer) = (Vec::with_capacity(4096), Vec::with_capacity(4096));
    while stream.read_buf(&mut received).await? > 0 {
        answer.clear();
        let mut taken = 0;
        let mut open = true;
        while open && let Some(head) = Head::read(&received[taken..])? {
            let (from, to) = (taken + head.bytes, taken + head.bytes + head.length);
            if received.len() < to {
                break;
            }
            let payload = &mut received[from..to];
            apply(head.mask, payload);
            match head.first {
                PONG => {}
                PING => append(&mut answer, PONG, payload, None),
                first => append(&mut answer, first, payload, None),
            }
            open = head.first != CLOSE;
            taken = to;
        }
        received.drain(..taken);
        stream.write_all(&answer).await?;
        if !open {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

/// What stands before the payload of a frame.
struct Head {
    first: u8,
    bytes: usize,
    length: usize,
    mask: [u8; 4],
}

impl Head {
    /// Nothing until all of it has arrived.
    fn read(buffer: &[u8]) -> io::Result<Option<Self>> {
        let Some((&first, &second)) = buffer.first().zip(buffer.get(1)) else {
            return Ok(None);
        };
        let wide: usize = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = second & 0x80 != 0;
        let bytes = 2 + wide + if masked { 4 } else { 0 };
        if buffer.len() < bytes {
            return Ok(None);
        }
        let number = |number: usize, byte: &u8| number.saturating_mul(256) + usize::from(*byte);
        let length = match wide {
            0 => usize::from(second & 0x7f),
            _ => buffer[2..2 + wide].iter().fold(0, number),
        };
        if length > LONGEST {
            return Err(io::Error::other("a frame is longer than is taken here"));
        }
        let mut mask = [0; 4];
        if masked {
            mask.copy_from_slice(&buffer[bytes - 4..bytes]);
        }
        Ok(Some(Self {
            first,
            bytes,
            length,
            mask,
        }))
    }
}

fn append(frame: &mut Vec<u8>, first: u8, payload: &[u8], mask: Option<[u8; 4]>) {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    frame.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..126), _) => frame.push(masked | short),
        (_, Ok(medium)) => {
            frame.push(masked | 126);
            frame.extend(medium.to_be_bytes());
        }
        _ => {
            frame.push(masked | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(mask.into_iter().flatten());
    let start = frame.len();
    frame.extend(payload);
    apply(mask.unwrap_or_default(), &mut frame[start..]);
}

/// Masks, and takes the mask off again.
fn apply(mask: [u8; 4], payload: &mut [u8]) {
    if mask != [0; 4] {
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{CLOSE, PING, PONG, TEXT, accept, echo, frame};

    #[test]
    fn the_accepted_key_is_that_of_the_rfc() {
        assert_eq!(
            accept(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn frames_are_those_of_the_rfc() {
        let masked = frame(TEXT, b"Hello", Some([0x37, 0xfa, 0x21, 0x3d]));
        assert_eq!(masked, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        assert_eq!(frame(TEXT, &[b'.'; 300], None)[..4], [0x81, 126, 1, 44]);
        let long = frame(TEXT, &[b'.'; 70_000], None);
        assert_eq!(long[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    }

    #[test]
    fn every_message_comes_back_whatever_the_pieces() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let (mut client, server) = tokio::io::duplex(1 << 20);
            let echoed = tokio::spawn(echo(server));
            for text in [vec![b'a'; 5], vec![b'b'; 126], vec![b'c'; 70_000]] {
                let sent = frame(TEXT, &text, Some([1, 2, 3, 4]));
                for piece in sent.chunks(1 + sent.len() / 3) {
                    client.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                let expected = frame(TEXT, &text, None);
                let mut back = vec![0; expected.len()];
                client.read_exact(&mut back).await.unwrap();
                assert!(back == expected);
            }
            let ping = frame(PING, b"you", Some([1, 2, 3, 4]));
            let end = frame(CLOSE, b"", Some([1, 2, 3, 4]));
            client.write_all(&[ping, end].concat()).await.unwrap();
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
            let expected = [frame(PONG, b"you", None), frame(CLOSE, b"", None)];
            assert_eq!(rest, expected.concat());
            echoed.await.unwrap().unwrap();
        });
    }
}
