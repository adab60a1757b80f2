//! Connections to one target in one manner, kept for the next exchange.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::uri::{Authority, Scheme};
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout, timeout_at};

use super::dial::{Agreed, Failed, dial};
use super::http1::Sender;
use super::http2::line::Line;
use super::http2::lines::{Dial, Lines};
use super::http2::ticket::Ticket;
use super::kept::{Kept, SWEEPS};
use super::manner::{Destination, authority};
use crate::config::ready::UpstreamProtocol;
use crate::metrics::traffic::{Connections, Hold};
use crate::panics::{self, Part};
use crate::wire::Wire;

/// How many unused connections are kept for one target.
const KEPT: usize = 512;

/// What carries one request.
#[derive(Debug)]
pub enum Carrier {
    /// A connection of its own.
    Http1(Sender),
    /// A stream of a connection.
    Http2(Ticket),
}

/// How long a request waits for something to carry it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For room on the connections that are there.
    pub room: Duration,
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
    /// Those that carry one request at a time, and no exchange waits for.
    idle: RefCell<Vec<Kept>>,
    /// Those that carry many requests, in use or not.
    lines: Rc<Lines>,
    /// What the target agreed to last, where it may choose.
    agreed: Cell<Option<Agreed>>,
    sweeps: Cell<u32>,
    /// Whether no exchange will come that did not begin with it.
    closed: Cell<bool>,
    /// Counts its connections.
    account: Rc<Hold>,
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(to: Destination, account: &Arc<Connections>) -> Rc<Self> {
        let host = to.manner.host(&to.target, to.name.as_deref());
        Rc::new(Self {
            authority: authority(&host),
            scheme: to.manner.scheme(),
            host,
            to,
            idle: RefCell::default(),
            lines: Rc::default(),
            agreed: Cell::new(None),
            sweeps: Cell::new(0),
            closed: Cell::new(false),
            account: Hold::new(Arc::clone(account)),
        })
    }

    /// A connection that is there: the one used last, so that those which are not needed grow old; or a stream.
    #[must_use]
    pub fn take(&self) -> Option<Carrier> {
        if self.to.manner.protocol != UpstreamProtocol::Http1
            && self.lines.is_calm()
            && let Some(ticket) = self.lines.stream(self.sweeps.get())
        {
            return Some(Carrier::Http2(ticket));
        }
        let mut idle = self.idle.borrow_mut();
        // A connection given back is ready once its task has seen the end of the answer, and that of the request, which may
        // take longer; until then it is passed over.
        let position = idle.iter().rposition(|kept| kept.sender.is_ready())?;
        Some(Carrier::Http1(idle.swap_remove(position).sender))
    }

    /// Keeps a connection whose exchange has its answer.
    pub fn put(&self, sender: Sender) {
        if self.closed.get() || sender.is_closed() {
            return sender.let_go();
        }
        let mut idle = self.idle.borrow_mut();
        let oldest = (idle.len() >= KEPT).then(|| idle.remove(0));
        idle.push(Kept::new(sender, self.sweeps.get()));
        drop(idle);
        if let Some(oldest) = oldest {
            oldest.sender.let_go();
        }
    }

    /// Opens a connection to the target and starts its task on this worker. Where it carries many requests, one is opened
    /// for all that wait, and a stream that ends meanwhile does as well; then the connection may have been used before,
    /// which is said.
    ///
    /// # Errors
    /// What the system said, or what is wrong with the target's TLS, or that it took too long.
    pub async fn open(self: &Rc<Self>, limits: Limits) -> Result<(Carrier, bool), Failed> {
        if !self.is_one_by_one()
            && let Some(carrier) = self.shared(limits).await?
        {
            return Ok((carrier, true));
        }
        let connected = timeout(limits.connect, self.connect()).await;
        Ok((connected.map_err(|_| Failed::Late(limits.connect))??, false))
    }

    /// Keeps nothing any more: what is unused ends now, and the rest with the exchanges that use it. Those may hold the
    /// pool for hours, and nobody sweeps it.
    pub fn close(&self) {
        self.closed.set(true);
        self.let_go();
    }

    /// Lets go of what is unused: exchanges to come connect anew. A request whose body outlives its answer is use.
    pub fn let_go(&self) {
        let idle = self.idle.take();
        idle.into_iter().for_each(|kept| kept.sender.let_go());
        self.lines.let_go();
    }

    /// Whether no connection is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.lines.is_empty()
    }

    /// Lets go of connections that are closed or grew old, or carry what their target does not take; called every five
    /// seconds.
    pub fn sweep(&self) {
        let now = self.sweeps.get().wrapping_add(1);
        self.sweeps.set(now);
        self.idle.borrow_mut().retain_mut(|kept| kept.stays(now));
        self.lines.sweep(now, SWEEPS);
    }

    /// Waits for a stream, and sees to it that a connection is opened; none if the target shares none.
    async fn shared(self: &Rc<Self>, limits: Limits) -> Result<Option<Carrier>, Failed> {
        let begun = Instant::now();
        let mut overtakes = !self.lines.is_calm();
        let Some(waiting) = self.lines.wait() else {
            let text = "too many requests wait for a stream of it already";
            return Err(Failed::Connect(io::Error::other(text)));
        };
        let mut joined = None;
        loop {
            if !std::mem::take(&mut overtakes)
                && let Some(ticket) = self.lines.stream(self.sweeps.get())
            {
                drop(waiting);
                if self.lines.pass_on() {
                    self.dialled(limits.connect);
                }
                return Ok(Some(Carrier::Http2(ticket)));
            }
            if self.is_one_by_one() {
                return Ok(self.take());
            }
            match joined.and_then(|number| self.lines.failure(number)) {
                // What is there may get room; nobody connects twice in vain.
                Some(_) if self.lines.is_served() => {}
                Some(failed) => return Err(failed),
                // It is for those who waited before.
                None if self.lines.has_room() => {}
                None => joined = self.dialled(limits.connect).or(joined),
            }
            self.changed(begun, limits).await?;
        }
    }

    /// Waits until something changes, but not too long.
    async fn changed(&self, begun: Instant, limits: Limits) -> Result<(), Failed> {
        let (limit, late) = if self.lines.is_served() {
            (limits.room, Failed::Full(limits.room))
        } else {
            (limits.connect, Failed::Late(limits.connect))
        };
        // Whoever wants to wait for ever is given a day.
        let due = begun + limit.min(Duration::from_secs(86_400));
        let changed = timeout_at(due, self.lines.room.changed()).await;
        changed.map_err(|_| late)
    }

    /// The connect that all wait for, which runs now. It outlives whoever asked first, and has a limit of its own: a target
    /// that takes its time would otherwise be left again and again just before it answers.
    fn dialled(self: &Rc<Self>, limit: Duration) -> Option<u64> {
        let (number, dial) = self.lines.dial()?;
        if let Some(dial) = dial {
            let dialling = Rc::clone(self).dial(dial, limit);
            spawn_local(panics::contained(Part::Upstream, dialling));
        }
        Some(number)
    }

    async fn dial(self: Rc<Self>, dial: Dial, limit: Duration) {
        match timeout(limit, self.connect()).await {
            Ok(Ok(Carrier::Http1(sender))) => {
                self.put(sender);
                dial.is_for_one();
            }
            // The stream goes to whoever waits longest.
            Ok(Ok(Carrier::Http2(ticket))) => drop(ticket),
            Ok(Err(failed)) => dial.failed(failed),
            Err(_) => dial.failed(Failed::Late(limit)),
        }
    }

    /// Opens a connection.
    async fn connect(&self) -> Result<Carrier, Failed> {
        let (wire, agreed) = dial(&self.to).await?;
        self.agreed.set(Some(agreed));
        match agreed {
            Agreed::Http1 => {
                let sender = Sender::open(wire, self.to.target.clone(), &self.account)
                    .await
                    .map_err(io::Error::other)?;
                Ok(Carrier::Http1(sender))
            }
            Agreed::Http2 => Ok(Carrier::Http2(self.line(wire).await?)),
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

    async fn line(&self, wire: Wire) -> io::Result<Ticket> {
        let (target, room) = (self.to.target.clone(), Rc::clone(&self.lines.room));
        let line = Line::open(wire, target, &self.account, room)
            .await
            .map_err(io::Error::other)?;
        line.used.set(self.sweeps.get());
        self.lines.push(&line);
        Ok(Ticket::new(&line))
    }
}
