//! The bytes that have arrived at one plugin and that it has not passed on.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Pieces below this size are put together where they stay: a small piece may hold a whole buffer of a connection alive.
const SMALL: usize = 4096;
/// How many pieces a window has at most once its plugin added one.
const PIECES: usize = 4096;

/// Reference counted bytes, in order. None of them is empty.
pub type Pieces = VecDeque<Bytes>;

/// Why a window did not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It has fewer bytes than that.
    Short,
    /// It would have more than the limit.
    TooLarge,
}

/// The bytes that have arrived at one plugin and that it has not passed on.
#[derive(Debug)]
pub struct Window {
    pieces: Pieces,
    len: u64,
    /// How many bytes stay when the rest is passed on.
    hold: u64,
    /// How many bytes it may have after the plugin added some.
    room: u64,
    /// What it was when the running hook began, if the hook changed it.
    before: Option<(Pieces, u64)>,
}

impl Window {
    /// Empty, to be filled by its plugin up to `room` bytes.
    #[must_use]
    pub const fn new(room: u64) -> Self {
        Self {
            pieces: Pieces::new(),
            len: 0,
            hold: 0,
            room,
            before: None,
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it is made of.
    #[must_use]
    pub const fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    /// Takes bytes off its front.
    ///
    /// # Errors
    /// It has fewer.
    pub fn drain(&mut self, bytes: u64) -> Result<(), Misfit> {
        if bytes > self.len {
            return Err(Misfit::Short);
        }
        self.remember();
        self.len -= bytes;
        let mut left = bytes;
        while left > 0
            && let Some(first) = self.pieces.front_mut()
        {
            match usize::try_from(left) {
                Ok(part) if part < first.len() => {
                    drop(first.split_to(part));
                    left = 0;
                }
                _ => {
                    left -= first.len() as u64;
                    self.pieces.pop_front();
                }
            }
        }
        Ok(())
    }

    /// Puts a copy of some bytes in the place of everything.
    ///
    /// # Errors
    /// More than there is room for.
    pub fn replace(&mut self, bytes: &[u8]) -> Result<(), Misfit> {
        if bytes.len() as u64 > self.room {
            return Err(Misfit::TooLarge);
        }
        self.remember();
        self.pieces.clear();
        self.len = 0;
        self.push(Bytes::copy_from_slice(bytes));
        Ok(())
    }

    /// Adds a copy of some bytes to the end.
    ///
    /// # Errors
    /// More than there is room for.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Misfit> {
        let total = self.admit(bytes.len())?;
        self.remember();
        match self.pieces.back_mut() {
            Some(last) if last.len() + bytes.len() <= SMALL => {
                let mut joined = BytesMut::with_capacity(last.len() + bytes.len());
                joined.extend_from_slice(last);
                joined.extend_from_slice(bytes);
                *last = joined.freeze();
                self.len = total;
            }
            _ => self.push(Bytes::copy_from_slice(bytes)),
        }
        Ok(())
    }

    /// Adds bytes that somebody else owns, without copying; `make` is called only if there is room.
    ///
    /// # Errors
    /// More than there is room for.
    pub fn append_own(&mut self, bytes: usize, make: impl FnOnce() -> Bytes) -> Result<(), Misfit> {
        self.admit(bytes)?;
        if self.pieces.len() >= PIECES {
            return Err(Misfit::TooLarge);
        }
        self.remember();
        self.push(make());
        Ok(())
    }

    /// Holds the last bytes back when the rest is passed on.
    ///
    /// # Errors
    /// It has fewer.
    pub fn hold(&mut self, bytes: u64) -> Result<(), Misfit> {
        if bytes > self.len {
            return Err(Misfit::Short);
        }
        self.hold = bytes;
        Ok(())
    }

    fn admit(&self, more: usize) -> Result<u64, Misfit> {
        let total = self.len.checked_add(more as u64);
        total
            .filter(|total| *total <= self.room)
            .ok_or(Misfit::TooLarge)
    }

    fn remember(&mut self) {
        if self.before.is_none() {
            self.before = Some((self.pieces.clone(), self.len));
        }
    }
}

/// What its pipeline does to it.
impl Window {
    /// Bytes arrived.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len += bytes.len() as u64;
            self.pieces.push_back(bytes);
        }
    }

    /// A hook begins.
    pub(super) fn begin(&mut self) {
        self.hold = 0;
        self.before = None;
    }

    /// As it was before the hook that failed.
    pub(super) fn undo(&mut self) {
        self.hold = 0;
        if let Some((pieces, len)) = self.before.take() {
            (self.pieces, self.len) = (pieces, len);
        }
    }

    /// Hands everything to `next`, but for what is held.
    pub(super) fn pass(&mut self, mut next: impl FnMut(Bytes)) {
        self.before = None;
        let mut going = self.len.saturating_sub(self.hold);
        self.len -= going;
        while going > 0
            && let Some(mut first) = self.pieces.pop_front()
        {
            match usize::try_from(going) {
                Ok(part) if part < first.len() => {
                    let gone = first.split_to(part);
                    self.pieces.push_front(first);
                    going = 0;
                    next(gone);
                }
                _ => {
                    going -= first.len() as u64;
                    next(first);
                }
            }
        }
        if self.len > 0 {
            self.settle_down();
        }
    }

    /// What is left stays for a while: small pieces at the end become one, so that none of them holds a large buffer.
    pub(super) fn settle_down(&mut self) {
        self.before = None;
        self.hold = 0;
        let small = |piece: &&Bytes| piece.len() < SMALL;
        let count = self.pieces.iter().rev().take_while(small).count();
        if count == 0 {
            return;
        }
        let tail = self.pieces.split_off(self.pieces.len() - count);
        let mut joined = BytesMut::with_capacity(tail.iter().map(Bytes::len).sum());
        tail.iter()
            .for_each(|piece| joined.extend_from_slice(piece));
        self.pieces.push_back(joined.freeze());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(pieces: &[&'static str]) -> Window {
        let mut window = Window::new(16);
        for piece in pieces {
            window.push(Bytes::from_static(piece.as_bytes()));
        }
        window.begin();
        window
    }

    fn text(window: &Window) -> String {
        let bytes: Vec<u8> = window.pieces().iter().flatten().copied().collect();
        assert_eq!(window.len(), bytes.len() as u64);
        assert!(window.pieces().iter().all(|piece| !piece.is_empty()));
        String::from_utf8(bytes).unwrap()
    }

    fn passed(window: &mut Window) -> String {
        let mut out = Vec::new();
        window.pass(|piece| out.extend_from_slice(&piece));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_change_counts() {
        let mut one = window(&["abc", "", "de"]);
        assert_eq!(one.drain(6), Err(Misfit::Short));
        one.drain(1).unwrap();
        one.drain(3).unwrap();
        assert_eq!(text(&one), "e");
        one.append(b"fg").unwrap();
        one.append_own(2, || Bytes::from_static(b"hi")).unwrap();
        assert_eq!(text(&one), "efghi");
        assert_eq!(one.append(&[b'x'; 12]), Err(Misfit::TooLarge));
        let never = || unreachable!("there is no room");
        assert_eq!(one.append_own(12, never), Err(Misfit::TooLarge));
        assert_eq!(one.append_own(usize::MAX, never), Err(Misfit::TooLarge));
        one.replace(b"z").unwrap();
        assert_eq!(text(&one), "z");
        assert_eq!(one.replace(&[b'x'; 17]), Err(Misfit::TooLarge));
        one.undo();
        assert_eq!(text(&one), "abcde");
    }

    #[test]
    fn what_is_held_stays() {
        let mut one = window(&["abc", "de"]);
        assert_eq!(one.hold(6), Err(Misfit::Short));
        one.hold(3).unwrap();
        assert_eq!(passed(&mut one), "ab");
        assert_eq!(text(&one), "cde");
        one.begin();
        one.hold(3).unwrap();
        one.drain(2).unwrap();
        assert_eq!(
            passed(&mut one),
            "",
            "what is left is less than what is held"
        );
        one.begin();
        assert_eq!(passed(&mut one), "e");
    }

    #[test]
    fn what_stays_is_in_few_pieces() {
        let mut one = window(&[]);
        for _ in 0..100 {
            one.push(Bytes::from_static(b"x"));
            one.settle_down();
        }
        assert_eq!((one.pieces().len(), one.len()), (1, 100));
    }
}
