//! Where a plugin may send a request, instead of the service of the route.

use std::net::SocketAddr;
use std::path::Path;

use swapgate_abi as abi;

use super::{Denied, Frame, Phase, Waits};
use crate::endpoint::{Endpoint, UNIX};

/// Where requests may go.
pub trait Leads {
    /// The service of that name.
    fn service(&self, name: &str) -> Option<usize>;
    /// The target with that address, of a service.
    fn target(&self, service: usize, address: &Endpoint) -> Option<usize>;
    /// Whether plugins may choose that address. It is spoken to without TLS.
    fn admits(&self, address: SocketAddr) -> bool;
}

/// Where a plugin wants a request to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// To another service.
    Service(usize),
    /// To one target.
    Target {
        /// Of this service.
        service: usize,
        /// Its place there.
        target: usize,
    },
    /// To an address that no service knows.
    Address(SocketAddr),
}

impl Frame<'_> {
    /// Chooses where the request goes, instead of the service of the route.
    ///
    /// # Errors
    /// In another phase; no such service or target; an address that is not allowed; malformed; the route does not forward.
    pub fn choose_upstream(&mut self, kind: u32, value: &[u8]) -> Result<(), Denied> {
        if self.waits == Waits::Preflight {
            return Err(Denied::Unavailable);
        }
        let early = match self.phase {
            Phase::Access => true,
            Phase::RequestBody => !self.context.forwarded,
            _ => false,
        };
        if !early {
            return Err(Denied::WrongPhase);
        }
        let own = self.names.and_then(|names| names.service);
        let (Some(leads), Some(own)) = (self.leads, own) else {
            return Err(Denied::Invalid);
        };
        let text = std::str::from_utf8(value).map_err(|_| Denied::Invalid)?;
        self.context.choice = Some(self.choice(kind, text, (leads, own))?);
        Ok(())
    }

    /// What a choice names, if it may be chosen.
    fn choice(
        &self,
        kind: u32,
        text: &str,
        (leads, own): (&dyn Leads, &str),
    ) -> Result<Choice, Denied> {
        let tcp = || text.parse::<SocketAddr>().map_err(|_| Denied::Invalid);
        Ok(match kind {
            abi::SG_UPSTREAM_SERVICE => {
                Choice::Service(leads.service(text).ok_or(Denied::NotFound)?)
            }
            abi::SG_UPSTREAM_TARGET => {
                let service = match self.context.choice {
                    Some(Choice::Service(service) | Choice::Target { service, .. }) => service,
                    _ => leads.service(own).ok_or(Denied::NotFound)?,
                };
                let address = match text.strip_prefix(UNIX) {
                    Some(path) => Endpoint::Unix(Path::new(path).into()),
                    None => Endpoint::Tcp(tcp()?),
                };
                let target = leads.target(service, &address).ok_or(Denied::NotFound)?;
                Choice::Target { service, target }
            }
            abi::SG_UPSTREAM_ADDRESS => {
                let address = tcp()?;
                if !leads.admits(address) {
                    return Err(Denied::Forbidden);
                }
                Choice::Address(address)
            }
            _ => return Err(Denied::Invalid),
        })
    }
}
