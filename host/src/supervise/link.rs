//! The way to the process that started this one: the sockets it handed over, and what is said to it.
//!
//! That is the supervising process, for as long as both live; or, in an upgrade, the process that served until now, which is
//! needed only until this one serves.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::wire::{self, Begin, Hello, Said};
use crate::endpoint::UNIX;
use crate::fault::report::Report;
use crate::life::notify::Parent;

use heard::{Heard, listen};
use inherited::beginning;
use keeping::Answers;

mod heard;
mod inherited;
mod keeping;
mod taking_over;

/// How long an answer of the parent may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The key under which the text of the configuration is kept.
pub const CONFIG: &str = "config";
/// The key under which is kept what cannot be served.
pub const DEGRADED: &str = "degraded";

/// What stands before the names of sockets that a service manager passed.
pub const PASSED: &str = "passed ";

/// The way to the process that started this one.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    supervised: bool,
    inherited: Mutex<HashMap<String, Vec<OwnedFd>>>,
    begin: Begin,
    answers: Mutex<Answers>,
    heard: watch::Receiver<Heard>,
    token: Token,
}

/// What this process takes its turn from, once that is given.
type Token = Arc<Mutex<Option<OwnedFd>>>;

impl Link {
    /// Takes the socket over that the process that started this one left as standard input, and what it has to hand on.
    ///
    /// # Errors
    /// Nobody is there, or what comes is no such thing, or of another version.
    pub fn take(supervised: bool) -> io::Result<Arc<Self>> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        // A plugin that reads its standard input must not read this.
        let nothing = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nothing)?;
        wire::send(&socket, &Said::Hello(Hello::own()), &[])?;
        let (inherited, begin) = beginning(&socket)?;
        let (answered, done) = channel();
        let (told, heard) = watch::channel(Heard {
            standing: begin.standing.clone(),
            ..Heard::default()
        });
        let ear = socket.try_clone()?;
        let token = Token::default();
        let given = Arc::clone(&token);
        std::thread::Builder::new()
            .name("supervised".to_owned())
            .spawn(move || listen(&ear, &answered, &told, &given))?;
        Ok(Arc::new(Self {
            socket,
            supervised,
            inherited: Mutex::new(inherited),
            begin,
            answers: Mutex::new(Answers { asked: 0, done }),
            heard,
            token,
        }))
    }

    /// Whether it leads to a process that supervises this one.
    #[must_use]
    pub fn is_supervised(&self) -> bool {
        self.supervised
    }

    /// The process at the other end.
    #[must_use]
    pub fn starter(&self) -> u32 {
        std::os::unix::process::parent_id()
    }

    /// Who serves until this process does, in an upgrade.
    #[must_use]
    pub fn replaces(&self) -> Option<&Hello> {
        self.begin.replaces.as_ref()
    }

    /// Where the handler of a crash writes.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// How many children served before this one.
    #[must_use]
    pub fn served_before(&self) -> u64 {
        self.begin.served
    }

    /// Crashes that are not written down yet.
    #[must_use]
    pub fn reports(&self) -> &[Report] {
        &self.begin.reports
    }

    /// How many workers the children before had.
    #[must_use]
    pub fn workers(&self) -> Option<usize> {
        self.begin.workers
    }

    /// Says that the reports are written down.
    pub fn noted(&self) {
        // Without a parent, `end` says so.
        let _ = wire::send(&self.socket, &Said::Noted, &[]);
    }

    /// Passes on that an operator wants an upgrade.
    pub fn ask_for_upgrade(&self) {
        let _ = wire::send(&self.socket, &Said::Upgrade, &[]);
    }

    /// Says how long a new process may take at an upgrade.
    pub fn keep_limit(&self, limit: Duration) {
        let ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let _ = wire::send(&self.socket, &Said::UpgradeLimit { ms }, &[]);
    }
}

impl Parent for Link {
    fn notify(&self, text: &str) -> io::Result<()> {
        wire::send(&self.socket, &Said::Notify(text.to_owned()), &[])
    }
}

/// The key under which is kept which file is that of the sockets bound at a path.
#[must_use]
pub fn file_of(path: &Path) -> String {
    format!("file of {UNIX}{}", path.display())
}
