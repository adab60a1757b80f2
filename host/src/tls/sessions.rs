//! Resumption: sessions that a client takes up again without a whole handshake.
//!
//! All that is needed for it stands in the ticket that the client keeps, encrypted with a key of this process, so nothing
//! is stored for each client. The keys are made anew every six hours, and one is believed for twelve at most. They are the
//! same on all workers, and stay over reloads and new certificates.
//!
//! A session that is taken up again is asked for no certificate: what the client showed at its beginning stands in the
//! ticket. So keys are never shared by two listeners, nor by two policies of one listener: a session that began before a
//! certificate was required, or under other authorities, is none afterwards. Listeners do not share them because a
//! session that began at one could be led to another one by somebody between the two ends, where the client believes in
//! the name of the first.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::crypto::ring::Ticketer;
use rustls::server::ProducesTickets;

use super::files::Digest;

/// What a session must have satisfied.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The listener at which it began.
    pub listener: Arc<str>,
    /// Whether clients are asked for a certificate: whether it is required, and the authorities that are believed.
    pub clients: Option<(bool, Digest)>,
}

/// The keys of tickets, by what their sessions satisfied.
#[derive(Default)]
pub struct Sessions(HashMap<Policy, Arc<dyn ProducesTickets>>);

impl Sessions {
    /// The keys for this policy: those there are, or new ones.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn under(&mut self, policy: &Policy) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
        if let Some(known) = self.0.get(policy) {
            return Ok(Arc::clone(known));
        }
        let made = Ticketer::new()?;
        self.0.insert(policy.clone(), Arc::clone(&made));
        Ok(made)
    }

    /// Forgets the keys of all other policies; whoever begins one of those again begins without sessions.
    pub fn keep_only(&mut self, policies: &[&Policy]) {
        self.0.retain(|known, _| policies.contains(&known));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(listener: &str, clients: Option<(bool, Digest)>) -> Policy {
        Policy {
            listener: Arc::from(listener),
            clients,
        }
    }

    #[test]
    fn a_ticket_is_good_under_its_own_policy_only() {
        let mut sessions = Sessions::default();
        let own = policy("a", Some((true, [1; 32])));
        let ticket = sessions.under(&own).unwrap().encrypt(b"state").unwrap();
        let opened = |sessions: &mut Sessions, policy: &Policy| {
            sessions.under(policy).unwrap().decrypt(&ticket)
        };
        assert_eq!(opened(&mut sessions, &own).as_deref(), Some(&b"state"[..]));
        for other in [
            policy("b", Some((true, [1; 32]))),
            policy("a", Some((false, [1; 32]))),
            policy("a", Some((true, [2; 32]))),
            policy("a", None),
        ] {
            assert_eq!(opened(&mut sessions, &other), None, "{other:?}");
        }
        sessions.keep_only(&[&own]);
        assert!(opened(&mut sessions, &own).is_some());
        sessions.keep_only(&[]);
        assert!(opened(&mut sessions, &own).is_none());
    }
}
