//! What the gateway does not take from clients, plugins and upstreams by itself: limits, headers that say who a client is,
//! connections of one address, time-outs, splitting; and how one can see afterwards what was refused.

mod addresses;
mod client_headers;
mod limits;
mod seen;
mod splitting;
mod timeouts;

use swapgate_tests::h2::connection::get;
use swapgate_tests::h2::{Connection, frame, frame::flag, pack};
use swapgate_tests::{Gateway, Received, Upstream};

/// A gateway before an upstream that tells what it got, with these settings at the top level and these of its one route.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
}

impl Stage {
    #[track_caller]
    pub(crate) fn with(settings: &str, route: &str) -> Self {
        let upstream = Upstream::echo();
        let text = text(settings, route);
        let mut builder = Gateway::with(&text).set("up", upstream.address());
        if route.contains("plugins") {
            builder = builder.plugin("headers");
        }
        let gateway = builder.start();
        Self { gateway, upstream }
    }

    /// Sends a request in HTTP/1.1; the status.
    #[track_caller]
    pub(crate) fn one(&self, request: impl AsRef<[u8]>) -> u16 {
        let mut client = self.gateway.client();
        // Whoever is refused early may not have sent all of it.
        let _ = client.try_send(request);
        client.expect_response().status
    }

    /// Sends a GET with more fields in HTTP/2; the status.
    #[track_caller]
    pub(crate) fn two(&self, path: &str, fields: &[(&str, &str)]) -> u16 {
        let mut connection = Connection::open(self.gateway.address());
        let all = [&get(path)[..], fields].concat();
        let stream = connection.ask(&all, None);
        connection.answer(stream).expect("an answer").status
    }

    /// The one request that reached the upstream.
    #[track_caller]
    pub(crate) fn only(&self) -> Received {
        let mut requests = self.upstream.take_requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }
}

pub(crate) fn text(settings: &str, route: &str) -> String {
    format!(
        "\
workers: 2
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up, preserve_host: true{route}}}]
"
    )
}

/// A PUT in HTTP/2 with these bytes, without a length, and these trailers.
#[track_caller]
pub(crate) fn put(
    connection: &mut Connection,
    path: &str,
    body: &[u8],
    trailers: &[(&str, &str)],
) -> u32 {
    let stream = connection.next_stream();
    let mut fields = swapgate_tests::h2::connection::request("PUT", path).to_vec();
    if !trailers.is_empty() {
        fields.push(("trailer", "x-sum"));
    }
    let mut bytes = frame::headers(stream, pack::block(&fields)).encode();
    let pieces: Vec<&[u8]> = body.chunks(10_000).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let last = at + 1 == pieces.len() && trailers.is_empty();
        bytes.extend(match last {
            true => frame::last_data(stream, *piece).encode(),
            false => frame::data(stream, *piece).encode(),
        });
    }
    if !trailers.is_empty() {
        let last = frame::headers(stream, pack::block(trailers)).with(flag::END_STREAM);
        bytes.extend(last.encode());
    }
    let _ = connection.try_send(bytes);
    stream
}
