//! Telling of a request that was refused because of what it is.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Version;

use super::Exchange;
use super::forwarding::X_REAL_IP;
use crate::context::{Context, Lane};
use crate::health::clock::now_ms;
use crate::refused::shown::{self, Shown};
use crate::refused::{Reason, Refused};
use crate::respond::failure::Failure;
use crate::respond::problem::X_REQUEST_ID;

use reason::{reason, rule};

mod reason;

/// Counts it, and keeps what may be shown of it.
pub(super) fn note(exchange: &Exchange, failure: &Failure, status: u16) {
    let (reason, rule) = match failure {
        Failure::Request(fault) => (reason(fault), Some(rule(fault))),
        Failure::KeepsTooMuch {
            lane: Lane::Request,
            ..
        } => (Reason::BodyTooLarge, None),
        _ => return,
    };
    let Some(snapshot) = exchange.generation.snapshot() else {
        return;
    };
    snapshot.admission.refused.note(reason, now_ms(), || {
        let context = exchange.context.borrow();
        let heard = exchange.activity().heard_of_this();
        Refused {
            listener: Arc::clone(&context.connection.listener),
            client: client(&context),
            protocol: protocol(context.version),
            tls: context.connection.tls.is_some(),
            status: Some(status),
            why: failure.to_string(),
            rule,
            request: Some(match heard {
                Some(bytes) => shown::of_bytes(&bytes),
                None => parsed(&context),
            }),
        }
    });
}

/// The client with its port, where it is the peer.
fn client(context: &Context) -> SocketAddr {
    let own = context.peer.ip().to_canonical() == context.client;
    let port = if own { context.peer.port() } else { 0 };
    SocketAddr::new(context.client, port)
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// As far as it is still there: what was forwarded is gone. Without the fields that the gateway set.
fn parsed(context: &Context) -> Shown {
    let target = context.target().to_string();
    let line = (context.method.as_str(), &*target, protocol(context.version));
    let fields = context.request_headers.iter().filter(|(name, _)| {
        let own = **name == X_REQUEST_ID || **name == X_REAL_IP;
        !own && !name.as_str().starts_with("x-forwarded-")
    });
    shown::of_parts(
        line,
        fields.map(|(name, value)| (name.as_str(), value.as_bytes())),
    )
}
