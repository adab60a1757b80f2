//! Connections to one target in one manner, kept for the next exchange.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use http::uri::{Authority, Scheme};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::http1::Sender;
use super::http2::line::Line;
use super::http2::ticket::Ticket;
use super::manner::{Destination, authority};
use super::wire::{Agreed, Failed, Wire, dial};
use crate::config::ready::UpstreamProtocol;
use crate::metrics::traffic::{Connections, Hold};

/// For how many sweeps an unused connection is kept: 50 to 55 seconds. Shorter than what common servers allow, so that
/// they rarely close one that is about to be used.
const SWEEPS: u32 = 11;
/// How many unused connections are kept for one target.
const KEPT: usize = 512;
/// How many connections with streams are opened to one target; more requests than they carry wait on them.
const LINES: usize = 16;

/// What carries one request.
#[derive(Debug)]
pub enum Carrier {
    /// A connection of its own.
    Http1(Sender),
    /// A stream of a connection.
    Http2(Ticket),
}

/// Connections to one target in one manner.
#[derive(Debug)]
pub struct Pool {
    /// The target, and how it is spoken to.
    pub to: Destination,
    /// The target as a `Host` value.
    pub host: HeaderValue,
    /// The same as the authority of a request.
    pub authority: Option<Authority>,
    /// The scheme of requests.
    pub scheme: Scheme,
    /// Each with the sweep before which it was used last; counting sweeps needs no clock.
    idle: RefCell<Vec<(Sender, u32)>>,
    /// Those that carry many requests, in use or not.
    lines: RefCell<Vec<Rc<Line>>>,
    /// What the target agreed to last, where it may choose.
    agreed: Cell<Option<Agreed>>,
    /// One connection with streams is opened at a time: whoever waits may find room on it.
    opening: Semaphore,
    sweeps: Cell<u32>,
    /// Counts its connections.
    account: Rc<Hold>,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(to: Destination, account: &Arc<Connections>) -> Rc<Self> {
        let host = to.manner.host(&to.target);
        Rc::new(Self {
            authority: authority(&host),
            scheme: to.manner.scheme(),
            host,
            to,
            idle: RefCell::default(),
            lines: RefCell::default(),
            agreed: Cell::new(None),
            opening: Semaphore::new(1),
            sweeps: Cell::new(0),
            account: Hold::new(Arc::clone(account)),
        })
    }

    /// A connection that is there: the one used last, so that those which are not needed grow old; or a stream.
    #[must_use]
    pub fn take(&self) -> Option<Carrier> {
        if self.to.manner.protocol != UpstreamProtocol::Http1
            && let Some(ticket) = self.stream()
        {
            return Some(Carrier::Http2(ticket));
        }
        let mut idle = self.idle.borrow_mut();
        // A connection given back is ready once its task has seen the end of the answer; until then it is passed over.
        let position = idle.iter().rposition(|(sender, _)| sender.is_ready())?;
        Some(Carrier::Http1(idle.swap_remove(position).0))
    }

    /// Keeps a connection whose exchange is over.
    pub fn put(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= KEPT {
            idle.remove(0);
        }
        idle.push((sender, self.sweeps.get()));
    }

    /// Opens a connection to the target and starts its task on this worker. Where it carries many requests and somebody
    /// else is opening one, that one is waited for; then it may have been used before, which is said.
    ///
    /// # Errors
    /// What the system said, or what is wrong with the target's TLS.
    pub async fn open(&self) -> Result<(Carrier, bool), Failed> {
        let _turn = match self.turn().await {
            Turn::Found(ticket) => return Ok((Carrier::Http2(ticket), true)),
            Turn::Mine(permit) => permit,
        };
        let (wire, agreed) = dial(&self.to).await?;
        self.agreed.set(Some(agreed));
        match agreed {
            Agreed::Http1 => {
                let sender = Sender::open(wire, self.to.target.clone(), &self.account)
                    .await
                    .map_err(io::Error::other)?;
                Ok((Carrier::Http1(sender), false))
            }
            Agreed::Http2 => {
                let ticket = self.line(wire).await.map_err(io::Error::other)?;
                Ok((Carrier::Http2(ticket), false))
            }
        }
    }

    /// Whether no connection is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.lines.borrow().is_empty()
    }

    /// Lets go of connections that are closed or grew old; called every five seconds.
    pub fn sweep(&self) {
        let now = self.sweeps.get().wrapping_add(1);
        self.sweeps.set(now);
        self.idle
            .borrow_mut()
            .retain(|(sender, since)| !sender.is_closed() && now.wrapping_sub(*since) < SWEEPS);
        self.lines.borrow_mut().retain(|line| {
            if line.active() > 0 {
                line.used.set(now);
            }
            line.is_usable() && now.wrapping_sub(line.used.get()) < SWEEPS
        });
    }

    /// A stream of the oldest connection that has room, so that those which are not needed grow old.
    fn stream(&self) -> Option<Ticket> {
        let mut lines = self.lines.borrow_mut();
        lines.retain(|line| line.is_usable());
        let line = lines.iter().find(|line| line.has_room())?;
        line.used.set(self.sweeps.get());
        Some(Ticket::new(line))
    }

    /// A stream although there is no room: it waits on the connection with the fewest.
    fn crowded(&self) -> Option<Ticket> {
        let lines = self.lines.borrow();
        if lines.len() < LINES {
            return None;
        }
        let line = lines.iter().min_by_key(|line| line.active())?;
        Some(Ticket::new(line))
    }

    async fn turn(&self) -> Turn<'_> {
        if self.is_one_by_one() {
            return Turn::Mine(None);
        }
        // It is never closed; without a permit two may open one each, which is no harm.
        let permit = self.opening.acquire().await.ok();
        match self.stream().or_else(|| self.crowded()) {
            Some(ticket) => Turn::Found(ticket),
            // Whoever was first may have learned that nothing is shared here.
            None => Turn::Mine(permit.filter(|_| !self.is_one_by_one())),
        }
    }

    /// Whether every request needs a connection of its own, as far as is known.
    fn is_one_by_one(&self) -> bool {
        match self.to.manner.protocol {
            UpstreamProtocol::Http1 => true,
            UpstreamProtocol::Http2 => false,
            UpstreamProtocol::Auto => self.agreed.get() == Some(Agreed::Http1),
        }
    }

    async fn line(&self, wire: Wire) -> hyper::Result<Ticket> {
        let line = Line::open(wire, self.to.target.clone(), &self.account).await?;
        line.used.set(self.sweeps.get());
        let ticket = Ticket::new(&line);
        self.lines.borrow_mut().push(line);
        Ok(ticket)
    }
}

/// Whether somebody else has opened a connection meanwhile.
enum Turn<'a> {
    Found(Ticket),
    Mine(Option<SemaphorePermit<'a>>),
}
