//! The two messages of `grpc.health.v1.Health/Check`, in protobuf and in the frames of gRPC.
//!
//! ```proto
//! message HealthCheckRequest { string service = 1; }
//! message HealthCheckResponse {
//!   enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
//!   ServingStatus status = 1;
//! }
//! ```
//!
//! See <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>, the frames in `doc/PROTOCOL-HTTP2.md` beside it, and
//! <https://protobuf.dev/programming-guides/encoding/>.

/// What a server that is well says.
pub(super) const SERVING: u64 = 1;

/// The path of the call.
pub(super) const PATH: &str = "/grpc.health.v1.Health/Check";

/// The field that both messages have, as the tag of a string and of a number.
const STRING_1: u8 = 1 << 3 | 2;
const NUMBER_1: u64 = 1 << 3;

/// The question about a service, in its frame.
pub(super) fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    // What has its default value is left out.
    if !service.is_empty() {
        message.push(STRING_1);
        put_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.append(&mut message);
    frame
}

/// The status in an answer; none if it is no such answer.
pub(super) fn status(frame: &[u8]) -> Option<u64> {
    let (head, message) = frame.split_first_chunk::<5>()?;
    // Nothing said that it may be compressed.
    let [0, length @ ..] = head else {
        return None;
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let mut left = message;
    if left.len() != length {
        return None;
    }
    let mut status = 0;
    while !left.is_empty() {
        let tag = varint(&mut left)?;
        match tag & 7 {
            0 => {
                let number = varint(&mut left)?;
                // The last one counts.
                if tag == NUMBER_1 {
                    status = number;
                }
            }
            1 => left = left.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut left)?).ok()?;
                left = left.get(length..)?;
            }
            5 => left = left.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

/// A status in words.
pub(super) fn name(status: u64) -> String {
    match status {
        0 => "UNKNOWN".to_owned(),
        SERVING => "SERVING".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => format!("the status {other}"),
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_as_protoc_writes_them() {
        assert_eq!(question(""), [0, 0, 0, 0, 0]);
        assert_eq!(question("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = question(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 0x01, 0x2f, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn answers_are_read_with_what_may_come_beside_them() {
        for (frame, expected) in [
            (&[0, 0, 0, 0, 2, 0x08, 1][..], Some(1)),
            (&[0, 0, 0, 0, 2, 0x08, 2], Some(2)),
            (&[0, 0, 0, 0, 0], Some(0)),
            // Fields that nobody knows yet, of each kind.
            (&[0, 0, 0, 0, 6, 0x12, 2, 9, 9, 0x08, 1], Some(1)),
            (&[0, 0, 0, 0, 7, 0x1d, 1, 2, 3, 4, 0x08, 1], Some(1)),
            (&[0, 0, 0, 0, 4, 0x10, 5, 0x08, 3], Some(3)),
            (&[1, 0, 0, 0, 2, 0x08, 1], None),
            (&[0, 0, 0, 0, 3, 0x08, 1], None),
            (&[0, 0, 0, 0, 1, 0x08], None),
            (&[0, 0, 0, 0, 2, 0x12, 9], None),
            (&[0, 0, 0], None),
            (b"<html>", None),
        ] {
            assert_eq!(status(frame), expected, "{frame:?}");
        }
        let endless = [[0, 0, 0, 0, 11].as_slice(), &[0xff; 11]].concat();
        assert_eq!(status(&endless), None);
        assert_eq!(name(2), "NOT_SERVING");
    }
}
