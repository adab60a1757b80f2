//! What the cases of this folder have in common.

use std::time::Duration;

use swapgate_tests::traffic::{Entry, Outcome, exchange};
use swapgate_tests::{Client, Gateway};

/// How long a client waits for a piece of an answer. The gateway gives up long before.
pub(crate) const CLIENT_LIMIT: Duration = Duration::from_secs(40);

/// One request on a connection of its own.
#[track_caller]
pub(crate) fn ask(gateway: &Gateway, method: &'static str, nonce: &str) -> Entry {
    let client = Client::try_connect(gateway.address()).expect("the gateway accepts");
    client.set_limit(CLIENT_LIMIT).expect("a socket option");
    exchange(client, method, nonce, 10).0
}

/// What a client sees of an exchange, without the particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The answer of a target.
    Answer,
    /// An answer of the gateway.
    Status(u16),
    /// The end of the connection before that of the answer.
    Torn,
    /// What nobody may ever see.
    Nothing,
}

impl From<&Entry> for Seen {
    fn from(entry: &Entry) -> Self {
        match &entry.outcome {
            Outcome::Answered => Self::Answer,
            Outcome::Refused(status, _) => Self::Status(*status),
            Outcome::Torn(_) | Outcome::Closed => Self::Torn,
            _ => Self::Nothing,
        }
    }
}
