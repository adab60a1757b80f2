//! The window of a body in the gateway in memory.

use std::collections::VecDeque;
use std::fmt;

use crate::status::HostError;

/// More than this in one window is too much.
pub(super) const LIMIT: usize = 4 * 1024 * 1024;

/// Bytes and their owner.
struct Piece {
    owner: Box<dyn AsRef<[u8]>>,
    from: usize,
    to: usize,
}

impl Piece {
    fn new(owner: Box<dyn AsRef<[u8]>>) -> Self {
        let to = (*owner).as_ref().len();
        Self { owner, from: 0, to }
    }

    fn bytes(&self) -> &[u8] {
        let bytes = (*self.owner).as_ref();
        bytes.get(self.from..self.to).unwrap_or_default()
    }
}

/// What has arrived and was not passed on.
#[derive(Default)]
pub(super) struct Window {
    pieces: VecDeque<Piece>,
    held: usize,
    /// Passed on or thrown away. Their owners may be the plugin's, whose code is not run under a lock.
    gone: Vec<Piece>,
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Window({} bytes)", self.len())
    }
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes().len()).sum()
    }

    pub(super) fn pieces(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.pieces.iter().map(Piece::bytes)
    }

    /// Bytes that arrive.
    pub(super) fn arrive(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.pieces.push_back(Piece::new(Box::new(bytes)));
        }
    }

    pub(super) fn drain(&mut self, bytes: usize) -> Result<(), HostError> {
        if bytes > self.len() {
            return Err(HostError::Invalid);
        }
        self.take(bytes);
        Ok(())
    }

    pub(super) fn replace(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        if bytes.len() > LIMIT {
            return Err(HostError::TooLarge);
        }
        // Copied before what it may be a view of goes.
        let bytes = bytes.to_vec();
        self.gone.extend(self.pieces.drain(..));
        self.arrive(bytes);
        Ok(())
    }

    /// Adds bytes to the end; where they do not fit the owner comes back.
    pub(super) fn append(&mut self, owner: Box<dyn AsRef<[u8]>>) -> Result<(), HostError> {
        self.check_room((*owner).as_ref().len())?;
        self.pieces.push_back(Piece::new(owner));
        Ok(())
    }

    pub(super) fn check_room(&self, more: usize) -> Result<(), HostError> {
        if self.len() + more > LIMIT {
            return Err(HostError::TooLarge);
        }
        Ok(())
    }

    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), HostError> {
        if bytes > self.len() {
            return Err(HostError::Invalid);
        }
        self.held = bytes;
        Ok(())
    }

    /// Passes on what is not held.
    pub(super) fn pass(&mut self, to: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        let passed = self.take(self.len().saturating_sub(held));
        to.extend_from_slice(&passed);
    }

    /// What is to be dropped now.
    pub(super) fn gone(&mut self) -> impl Sized + use<> {
        std::mem::take(&mut self.gone)
    }

    /// A hook kept the window; what it held counts no more.
    pub(super) fn keep(&mut self) {
        self.held = 0;
    }

    fn take(&mut self, mut bytes: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while bytes > 0
            && let Some(first) = self.pieces.front_mut()
        {
            let here = first.bytes().len().min(bytes);
            taken.extend_from_slice(&first.bytes()[..here]);
            first.from += here;
            bytes -= here;
            if first.bytes().is_empty() {
                self.gone.extend(self.pieces.pop_front());
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::Window;
    use crate::status::HostError;

    #[test]
    fn what_is_held_begins_the_next_window() {
        let (mut window, mut out) = (Window::default(), Vec::new());
        window.arrive(b"abc".to_vec());
        window.arrive(b"def".to_vec());
        window.drain(1).unwrap();
        window.hold(2).unwrap();
        window.pass(&mut out);
        assert_eq!(out, b"bcd");
        window.append(Box::new(b"gh".to_vec())).unwrap();
        assert_eq!(window.hold(5), Err(HostError::Invalid));
        assert_eq!(window.drain(5), Err(HostError::Invalid));
        window.pass(&mut out);
        assert_eq!(out, b"bcdefgh");
    }
}
