//! Letting go of sockets: of a listener, of all at the end, or because another process accepts from them.

use super::{Binder, key};
use crate::endpoint::Endpoint;
use crate::supervise::link::file_of;

impl Binder {
    /// Says that a listener goes: from here on only this process holds its sockets, and takes what waits in their queues.
    pub fn release(&self, address: &Endpoint) {
        if let Endpoint::Unix(path) = address {
            self.files.remove(path);
        }
        let mut keys = vec![key(address)];
        if let Endpoint::Unix(path) = address {
            keys.push(file_of(path));
        }
        for key in &keys {
            match self.parent() {
                Some(link) => link.forget(key),
                None => self.own().forget(key),
            }
        }
    }

    /// Says that all of them go.
    pub fn release_all(&self) {
        self.passed.close();
        self.files.remove_all();
        match self.parent() {
            Some(link) => link.forget_all(),
            None => self.own().clear(),
        }
    }

    /// Says that another process accepts from all of them now: nothing of them is taken away.
    pub fn hand_over_all(&self) {
        self.passed.close();
        self.files.forget_all();
        match self.parent() {
            Some(link) => link.forget_all(),
            None => self.own().clear(),
        }
    }

    /// Leaves the files of Unix sockets where they are, for the process that comes next and gets the sockets.
    pub fn leave_files(&self) {
        self.files.forget_all();
    }

    /// Closes the copies that are kept here. A worker is lost, and while anybody has its sockets the system gives them
    /// connections that nobody accepts; what takes over later binds anew.
    pub fn let_go(&self) {
        if self.parent().is_none() {
            self.own().clear();
        }
    }
}
