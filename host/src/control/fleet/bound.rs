//! The sockets of listeners, bound for each worker, and how those that come there are spoken with.

use std::io;
use std::sync::Arc;

use crate::config::ready::{Listener, ProxyProtocol};
use crate::counted::Metrics;
use crate::endpoint::Endpoint;
use crate::metrics::handshake::Handshakes;
use crate::metrics::proxy::Failures;
use crate::metrics::traffic::Connections;
use crate::snapshot::{Kept, Proxy, Secure, Socket, Speech};
use crate::socket::listening::Listening;
use crate::supervise::binder::Binder;
use crate::tls::Material;

/// Sockets that are bound and not yet handed over; dropping them closes them.
#[derive(Default)]
pub struct Bound {
    /// For each worker.
    pub(super) sockets: Vec<Vec<Socket>>,
    pub(super) addresses: Vec<(Endpoint, Endpoint)>,
    /// Those that were bound before and stay, as they are now.
    pub(super) kept: Vec<Kept>,
}

/// Binds listeners for a number of workers.
///
/// # Errors
/// The listener that cannot be bound, and what the system said.
pub fn bind_all(
    binder: &Binder,
    listeners: &[Listener],
    workers: usize,
    (metrics, material): (&Metrics, &Material),
) -> Result<Bound, Box<(Listener, io::Error)>> {
    let mut bound = Bound {
        sockets: (0..workers).map(|_| Vec::new()).collect(),
        addresses: Vec::new(),
        kept: Vec::new(),
    };
    let mut kept: Vec<&Endpoint> = Vec::new();
    for listener in listeners {
        let (sockets, fresh) = match binder.bind(&listener.address, workers) {
            Ok(sockets) => sockets,
            Err(error) => {
                kept.iter().for_each(|address| binder.release(address));
                return Err(Box::new((listener.clone(), error)));
            }
        };
        if fresh {
            binder.keep(&listener.address, sockets.iter());
            kept.push(&listener.address);
        }
        let real = sockets
            .first()
            .and_then(Listening::address)
            .map_or_else(|| listener.address.clone(), Endpoint::Tcp);
        bound.addresses.push((listener.address.clone(), real));
        let connections = account(listener, metrics);
        let speech = speech(listener, (metrics, material));
        for (list, socket) in bound.sockets.iter_mut().zip(sockets) {
            list.push(Socket {
                speech: Arc::clone(&speech),
                address: listener.address.clone(),
                socket,
                connections: Arc::clone(&connections),
            });
        }
    }
    Ok(bound)
}

impl Bound {
    /// Has the listeners that keep their sockets speak as they are to now, counted by the names they have now.
    #[must_use]
    pub fn keeping(
        mut self,
        listeners: &[Listener],
        (metrics, material): (&Metrics, &Material),
    ) -> Self {
        let kept = |listener: &Listener| Kept {
            speech: speech(listener, (metrics, material)),
            address: listener.address.clone(),
            connections: account(listener, metrics),
        };
        self.kept = listeners.iter().map(kept).collect();
        self
    }
}

/// How the connections of a listener are spoken with.
fn speech(listener: &Listener, (metrics, material): (&Metrics, &Material)) -> Arc<Speech> {
    let new = || Handshakes::new(metrics.workers);
    let secure = material.listener(&listener.name).map(|server| Secure {
        config: Arc::clone(&server.config),
        choice: Arc::clone(&server.choice),
        asks_clients: server.policy.clients.is_some(),
        handshakes: metrics.traffic.handshakes.get(&listener.name, new),
    });
    Arc::new(Speech {
        listener: Arc::clone(&listener.name),
        protocols: listener.protocols,
        proxy: proxy(listener, metrics),
        tls: secure,
    })
}

/// What a listener expects of PROXY headers.
fn proxy(listener: &Listener, metrics: &Metrics) -> Option<Proxy> {
    let required = match listener.proxy_protocol {
        ProxyProtocol::Off => return None,
        ProxyProtocol::Optional => false,
        ProxyProtocol::Required => true,
    };
    let new = || Failures::new(metrics.workers);
    let failures = metrics.traffic.proxies.get(&listener.name, new);
    Some(Proxy { required, failures })
}

/// Where the connections of a listener are counted.
fn account(listener: &Listener, metrics: &Metrics) -> Arc<Connections> {
    let new = || Connections::new(metrics.workers);
    metrics.traffic.listeners.get(&listener.name, new)
}
