//! How a process leaves, and what is left to end before it has.

use std::collections::HashSet;
use std::sync::Arc;

use crate::endpoint::Endpoint;

/// How a process leaves.
#[derive(Debug, Clone, Default)]
pub struct Farewell {
    /// Listeners from which another process accepts now: what waits in their queues is its own.
    pub to_another: Arc<HashSet<Endpoint>>,
    /// Whether clients find somebody else at once. Then a connection that is kept for another request may still bring it, and
    /// the answer says that it was the last; one that is closed under a client may cost it the request it just sent.
    pub patient: bool,
}

impl Farewell {
    /// Another process accepts from these listeners now.
    #[must_use]
    pub fn to_another(listeners: HashSet<Endpoint>) -> Self {
        Self {
            to_another: Arc::new(listeners),
            patient: true,
        }
    }
}

/// What is left to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Connections of clients.
    pub connections: usize,
    /// Exchanges, without those that became tunnels.
    pub exchanges: usize,
    /// Connections and streams that changed over to another protocol.
    pub tunnels: usize,
}

impl std::ops::Add for Left {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            exchanges: self.exchanges + other.exchanges,
            tunnels: self.tunnels + other.tunnels,
        }
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let many = |count: usize| if count == 1 { "" } else { "s" };
        let Self {
            connections,
            exchanges,
            tunnels,
        } = *self;
        write!(
            f,
            "{exchanges} exchange{}, {tunnels} tunnel{} and {connections} connection{}",
            many(exchanges),
            many(tunnels),
            many(connections)
        )
    }
}
