//! Looking host names up.
//!
//! By the system's own resolver, because only that one knows everything the machine was told: hosts file, search list,
//! multicast, name services of a container. It blocks, so it runs on a small pool of its own: the runtime's would be
//! one of up to 512 threads on every worker, and plugins that keep the pool for their functions busy must not keep names
//! from being found.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use swapgate_abi as abi;

use super::blocking::{Bounds, Full, Job, Pool};
use super::{Begin, Data, Done};
use crate::config::allow;

const BOUNDS: Bounds = Bounds {
    threads: 4,
    queue: 1024,
};
/// How long a look-up may take; the system may go on trying for longer.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest name (RFC 1035, 3.1), written with a dot at its end.
const NAME_BYTES: usize = 254;

/// Looks names up.
#[derive(Debug, Clone)]
pub struct Resolver(Arc<Pool>);

impl Default for Resolver {
    fn default() -> Self {
        Self(Pool::new("resolve", BOUNDS))
    }
}

impl Resolver {
    /// An operation that yields the addresses of a name.
    ///
    /// # Errors
    /// Too many look-ups wait already.
    pub fn start(&self, name: &str) -> Result<Begin, Full> {
        if let Some(address) = allow::ip(name) {
            let addresses = vec![address.to_string()];
            return Ok(Box::new(|| {
                Box::pin(std::future::ready(Done::of(Data::Resolved(addresses))))
            }));
        }
        let place = self.0.place()?;
        let job = Box::new(LookUp(name.to_owned()));
        Ok(Box::new(move || {
            let found = place.run(job);
            Box::pin(async move {
                let late = Done::with(abi::SG_E_TIMEOUT);
                tokio::time::timeout(LIMIT, found).await.unwrap_or(late)
            })
        }))
    }

    /// The addresses of a name.
    ///
    /// # Errors
    /// The result an operation would have.
    pub async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, i32> {
        let begin = self.start(name).map_err(|Full| abi::SG_E_UNAVAILABLE)?;
        match begin().await {
            Done {
                data: Data::Resolved(addresses),
                ..
            } => Ok(addresses
                .iter()
                .filter_map(|one| one.parse().ok())
                .collect()),
            done => Err(done.result),
        }
    }
}

/// Whether a text could be the name of a host.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let sign =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']');
    !name.is_empty() && name.len() <= NAME_BYTES && name.chars().all(sign)
}

struct LookUp(String);

impl Job for LookUp {
    fn run(self: Box<Self>) -> Done {
        match (&*self.0, 0).to_socket_addrs() {
            Ok(found) => {
                let mut addresses: Vec<String> = Vec::new();
                for one in found.map(|found| found.ip().to_string()) {
                    if !addresses.contains(&one) {
                        addresses.push(one);
                    }
                }
                Done::of(Data::Resolved(addresses))
            }
            Err(error) => Done::with(result(&error)),
        }
    }
}

/// The standard library keeps the system's code to itself and shows its text, which the system writes in English
/// unless the process asks for another language; we do not. Nobody answered is not the same as no such name.
fn result(error: &io::Error) -> i32 {
    if error.to_string().contains("emporary failure") {
        abi::SG_E_TIMEOUT
    } else {
        abi::SG_E_NOT_FOUND
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::testing::run;

    #[test]
    fn names_and_addresses_are_found() {
        let resolver = Resolver::default();
        let found = run(resolver.look_up("localhost")).expect("every machine has it");
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty());
        let found = run(resolver.look_up("[::1]")).expect("an address");
        assert_eq!(found, ["::1".parse::<IpAddr>().expect("an address")]);
        assert!(is_name("a.example.com") && !is_name("") && !is_name("a b"));
    }
}
