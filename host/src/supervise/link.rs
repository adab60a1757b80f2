//! The child's side of supervision: the sockets it was handed, and what it says to its parent.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::report::Report;
use super::wire::{self, Begin, Said, Told};

/// How long an answer of the parent may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the parent.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    inherited: Mutex<HashMap<String, Vec<TcpListener>>>,
    begin: Begin,
    answers: Mutex<Receiver<()>>,
    gone: Arc<Notify>,
}

impl Link {
    /// Takes the socket over that the parent left as standard input, and what it has to hand on.
    ///
    /// # Errors
    /// Nobody is there, or what comes is no such thing.
    pub fn take() -> io::Result<Arc<Self>> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        // A plugin that reads its standard input must not read this.
        let nothing = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nothing)?;
        let mut inherited: HashMap<String, Vec<TcpListener>> = HashMap::new();
        let begin = loop {
            let Some((packet, sockets)) = wire::receive(&socket)? else {
                return Err(io::Error::other("the supervising process is gone"));
            };
            match serde_json::from_slice(&packet)? {
                Told::Sockets(key) => {
                    let listeners = sockets.into_iter().map(TcpListener::from);
                    inherited.entry(key).or_default().extend(listeners);
                }
                Told::Begin(begin) => break begin,
                Told::Done => {}
            }
        };
        let (answered, answers) = channel();
        let gone = Arc::new(Notify::new());
        let (ear, told) = (socket.try_clone()?, Arc::clone(&gone));
        std::thread::Builder::new()
            .name("supervised".to_owned())
            .spawn(move || listen(&ear, &answered, &told))?;
        Ok(Arc::new(Self {
            socket,
            inherited: Mutex::new(inherited),
            begin,
            answers: Mutex::new(answers),
            gone,
        }))
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

    /// The sockets that a child before this one kept under a key.
    #[must_use]
    pub fn inherit(&self, key: &str) -> Option<Vec<TcpListener>> {
        self.inherited().remove(key)
    }

    /// Of a number of sockets under each key: what the children before had as workers.
    #[must_use]
    pub fn workers(&self) -> Option<usize> {
        let inherited = self.inherited();
        let groups = inherited
            .iter()
            .filter(|(key, _)| *key != super::binder::ADMIN);
        groups.map(|(_, sockets)| sockets.len()).max()
    }

    /// Closes what nobody asked for: listeners that the configuration does not have any more.
    pub fn close_others(&self) {
        let others: Vec<String> = self.inherited().drain().map(|(key, _)| key).collect();
        for key in others {
            self.forget(&key);
        }
    }

    /// Has the parent keep copies of sockets.
    ///
    /// # Errors
    /// It is gone.
    pub fn keep<'a>(
        &self,
        key: &str,
        sockets: impl Iterator<Item = &'a TcpListener>,
    ) -> io::Result<()> {
        let sockets: Vec<BorrowedFd<'_>> = sockets.map(AsFd::as_fd).collect();
        wire::send(&self.socket, &Said::Keep(key.to_owned()), &sockets)
    }

    /// Has the parent close its copies, so that ours are the only ones.
    pub fn forget(&self, key: &str) {
        self.ask(&Said::Forget(key.to_owned()));
    }

    /// Has the parent close all its copies, because this process drains and will end.
    pub fn forget_all(&self) {
        self.ask(&Said::ForgetAll);
    }

    /// Says that this process serves.
    pub fn serves(&self) {
        // Without a parent, `gone` says so.
        let _ = wire::send(&self.socket, &Said::Serving, &[]);
    }

    /// Waits until the parent is gone.
    pub async fn gone(&self) {
        self.gone.notified().await;
    }

    fn ask(&self, said: &Said) {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if wire::send(&self.socket, said, &[]).is_ok() && answers.recv_timeout(PATIENCE).is_err() {
            tracing::warn!(target: "control", "the supervising process does not answer; it may keep sockets that are closed here");
        }
    }

    fn inherited(&self) -> MutexGuard<'_, HashMap<String, Vec<TcpListener>>> {
        self.inherited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(socket: &OwnedFd, answered: &Sender<()>, gone: &Notify) {
    while let Ok(Some((packet, _))) = wire::receive(socket) {
        if matches!(serde_json::from_slice(&packet), Ok(Told::Done)) {
            let _ = answered.send(());
        }
    }
    gone.notify_one();
}
