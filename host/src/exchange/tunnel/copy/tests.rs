use hyper::rt::{Read, ReadBufCursor, Write};

use super::*;

/// A side that says nothing, and counts how often it is asked to send what it holds back.
#[derive(Default)]
struct Mute {
    flushed: usize,
    is_reset: bool,
    /// Whether the other end is gone.
    is_gone: bool,
}

impl Side for Mute {
    fn reset(&mut self) {
        self.is_reset = true;
    }

    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<io::Error> {
        if self.is_gone {
            Poll::Ready(io::ErrorKind::ConnectionReset.into())
        } else {
            Poll::Pending
        }
    }
}

impl Read for Mute {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl Write for Mute {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed += 1;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// One turn of a tunnel between them on which nothing comes.
fn turn(client: &mut Mute, upstream: &mut Mute) -> Poll<End> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let early = Early {
            client: Bytes::new(),
            upstream: Bytes::new(),
        };
        let silence = Duration::from_secs(3600);
        let mut tunnel = pin!(both(client, upstream, early, silence, |_, _| {}));
        poll_fn(|cx| Poll::Ready(tunnel.as_mut().poll(cx))).await
    })
}

#[test]
fn the_head_that_agreed_is_not_held_back() {
    let (mut client, mut upstream) = (Mute::default(), Mute::default());
    assert!(turn(&mut client, &mut upstream).is_pending());
    assert_eq!(client.flushed, 1);
}

#[test]
fn a_client_that_is_gone_ends_it_though_nothing_moves() {
    let mut client = Mute {
        is_gone: true,
        ..Mute::default()
    };
    let mut upstream = Mute::default();
    let end = turn(&mut client, &mut upstream);
    assert!(
        matches!(end, Poll::Ready(End::Broken(Who::Client, _))),
        "{end:?}"
    );
    assert!(upstream.is_reset && !client.is_reset);
}
