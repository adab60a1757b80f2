//! The turn of a new process: from when on it may accept. One of two takes it: the new process does before it accepts, or the
//! one that gave it takes it back, and knows then that nothing was accepted and never will be.
//!
//! It is one byte in a pipe that both can read, so that the system decides between them, whatever either of them was doing at
//! that moment.

use std::io::{self, PipeReader, Write as _};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::{ioctl_fionbio, read};

/// The turn as the process sees it that gives it.
#[derive(Debug, Clone, Default)]
pub struct Turn(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    NotYet,
    /// It lies there, or the new process took it.
    Given(PipeReader),
    /// The new process never gets it.
    Back,
}

impl Turn {
    /// Gives it: what the new process takes it from.
    ///
    /// # Errors
    /// The system gives no pipe, or it was taken back before.
    pub fn give(&self) -> io::Result<OwnedFd> {
        let mut state = self.state();
        if matches!(*state, State::Back) {
            return Err(io::Error::other("it was taken back"));
        }
        let (there, mut here) = io::pipe()?;
        // Whoever comes second waits for nothing.
        ioctl_fionbio(&there, true)?;
        here.write_all(&[1])?;
        let token = there.try_clone()?.into();
        *state = State::Given(there);
        Ok(token)
    }

    /// Whether it was given and not taken back, so that the new process may accept.
    #[must_use]
    pub fn came(&self) -> bool {
        matches!(*self.state(), State::Given(_))
    }

    /// Takes it back. False: the new process has it, and may have accepted connections.
    #[must_use]
    pub fn take_back(&self) -> bool {
        let mut state = self.state();
        let back = match &*state {
            State::NotYet | State::Back => true,
            State::Given(there) => is_taken(there).is_ok(),
        };
        if back {
            *state = State::Back;
        }
        back
    }

    /// The new process ends, whether it took its turn or not: all of it is to end.
    pub fn revoke(&self) {
        *self.state() = State::Back;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The new process takes it.
///
/// # Errors
/// It was taken back.
pub fn take(token: &OwnedFd) -> io::Result<()> {
    is_taken(token).map_err(|_| {
        io::Error::other("its turn was taken back by the process that served, which serves on")
    })
}

/// Takes the byte, if it is there.
fn is_taken(token: impl std::os::fd::AsFd) -> io::Result<()> {
    loop {
        match read(&token, &mut [0]) {
            Ok(1..) => return Ok(()),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_both_takes_it() {
        let turn = Turn::default();
        let token = turn.give().unwrap();
        assert!(turn.came());
        take(&token).unwrap();
        assert!(!turn.take_back());
        assert!(!turn.take_back());
        assert!(turn.came());
        assert!(take(&token).is_err(), "there is one");

        let turn = Turn::default();
        let token = turn.give().unwrap();
        assert!(turn.take_back());
        assert!(turn.take_back(), "it stays so");
        assert!(!turn.came());
        assert!(take(&token).is_err());
    }

    #[test]
    fn what_was_taken_back_before_is_not_given() {
        let turn = Turn::default();
        assert!(!turn.came());
        assert!(turn.take_back());
        assert!(turn.give().is_err());
    }

    #[test]
    fn many_at_once_never_both_take_it() {
        for _ in 0..200 {
            let turn = Turn::default();
            let token = turn.give().unwrap();
            let new = std::thread::spawn(move || take(&token).is_ok());
            let back = turn.take_back();
            assert_ne!(new.join().unwrap(), back);
        }
    }
}
