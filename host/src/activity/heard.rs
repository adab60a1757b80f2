//! The beginning of a head as it came, for those who want to see what was refused.
//!
//! What is kept is the first kilobyte that came while a head was waited for; in HTTP/2 nothing, for there frames are read by a
//! library from their first byte on. A head that came behind another one in one piece is not told from it, and then not shown.

use std::cell::{Cell, RefCell};

use super::{Activity, Stage};

/// How much of a head is kept, and so looked at.
pub const LOOKED_AT: usize = 1024;

/// The beginning of a head.
#[derive(Debug, Default)]
pub(super) struct Heard {
    bytes: RefCell<Vec<u8>>,
    /// Exchanges that began since its first byte.
    begun: Cell<u8>,
    /// What the parser answered by itself.
    said: Cell<Option<u16>>,
    /// Whether some of the last answer may not have been written.
    unsent: Cell<bool>,
    /// Whether nobody wants to see what was refused.
    unwanted: Cell<bool>,
}

impl Heard {
    pub(super) fn exchange_begins(&self) {
        self.begun.set(self.begun.get().saturating_add(1));
        self.said.set(None);
    }

    pub(super) fn exchange_ends(&self) {
        self.unsent.set(true);
    }
}

impl Activity {
    /// Whether what comes next belongs to a head.
    #[must_use]
    pub fn awaits_head(&self) -> bool {
        let between = matches!(self.stage.get(), Stage::Idle(_) | Stage::Head(_));
        between && !self.body_open.get() && !self.is_multiplexed()
    }

    /// Whether a head has begun and is not complete.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        self.awaits_head() && matches!(self.stage.get(), Stage::Head(_))
    }

    /// Nobody wants to see what was refused: nothing is kept of what comes here.
    pub fn hears_nothing(&self) {
        self.heard.unwanted.set(true);
    }

    /// These bytes of a head came.
    pub fn hears(&self, bytes: &[u8]) {
        if self.heard.unwanted.get() {
            return;
        }
        let heard = &mut *self.heard.bytes.borrow_mut();
        if self.heard.begun.get() > 0 {
            heard.clear();
            self.heard.begun.set(0);
        }
        let room = LOOKED_AT.saturating_sub(heard.len());
        if room > 0 {
            heard.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        }
    }

    /// Gives back what was heard.
    pub fn forgets(&self) {
        self.heard.bytes.take();
    }

    /// The beginning of the head of the running exchange, if that is known.
    #[must_use]
    pub fn heard_of_this(&self) -> Option<Vec<u8>> {
        self.heard(1)
    }

    /// The beginning of a head that came to no exchange, if that is known.
    #[must_use]
    pub fn heard_of_none(&self) -> Option<Vec<u8>> {
        self.heard(0)
    }

    fn heard(&self, begun: u8) -> Option<Vec<u8>> {
        let bytes = self.heard.bytes.borrow();
        (self.heard.begun.get() == begun && !bytes.is_empty()).then(|| bytes.clone())
    }

    /// All that was answered so far was written.
    pub fn has_flushed(&self) {
        self.heard.unsent.set(false);
    }

    /// Notes what is answered while a head is waited for: once the last answer was written, that can only be the parser's own.
    pub fn answers_by_itself(&self, bytes: &[u8]) {
        if self.heard.unsent.get() {
            return;
        }
        let status = bytes
            .strip_prefix(b"HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let status = status.and_then(|digits| std::str::from_utf8(digits).ok());
        let status = status.and_then(|digits| digits.parse().ok());
        if let Some(status @ 400..=599) = status {
            self.heard.said.set(Some(status));
        }
    }

    /// What the parser answered by itself.
    #[must_use]
    pub fn answered_by_itself(&self) -> Option<u16> {
        self.heard.said.get()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_head_is_known_until_the_next_one_begins() {
        let activity = Activity::new(Instant::now());
        activity.hears(b"GET / HT");
        assert_eq!(activity.heard_of_none().unwrap(), b"GET / HT");
        activity.hears(b"TP/1.1\r\n\r\n");
        activity.exchange_begins();
        assert!(!activity.awaits_head());
        assert_eq!(activity.heard_of_none(), None);
        assert_eq!(activity.heard_of_this().unwrap(), b"GET / HTTP/1.1\r\n\r\n");
        activity.exchange_ends(Instant::now());
        assert!(activity.awaits_head());
        activity.exchange_begins();
        assert_eq!(activity.heard_of_this(), None, "it came in the same piece");
        activity.exchange_ends(Instant::now());
        activity.hears(&[b'x'; 3000]);
        assert_eq!(activity.heard_of_none().unwrap().len(), LOOKED_AT);
        activity.forgets();
        assert_eq!(activity.heard_of_none(), None);
    }

    #[test]
    fn nothing_is_kept_that_nobody_wants() {
        let activity = Activity::new(Instant::now());
        activity.hears_nothing();
        activity.hears(b"GET / HTTP/1.1");
        assert_eq!(activity.heard_of_none(), None);
    }

    #[test]
    fn only_errors_are_the_parsers_own() {
        let activity = Activity::new(Instant::now());
        activity.answers_by_itself(b"HTTP/1.1 200 OK\r\n");
        activity.answers_by_itself(b"piece of a body");
        assert_eq!(activity.answered_by_itself(), None);
        activity.answers_by_itself(b"HTTP/1.1 431 Request Header Fields Too Large\r\n");
        assert_eq!(activity.answered_by_itself(), Some(431));
        activity.exchange_begins();
        assert_eq!(activity.answered_by_itself(), None);
        activity.exchange_ends(Instant::now());
        activity.answers_by_itself(b"HTTP/1.1 404 Not Found\r\n");
        assert_eq!(activity.answered_by_itself(), None, "it is the exchange's");
        activity.has_flushed();
        activity.answers_by_itself(b"HTTP/1.1 400 Bad Request\r\n");
        assert_eq!(activity.answered_by_itself(), Some(400));
    }

    #[test]
    fn a_head_is_awaited_and_then_comes() {
        let activity = Activity::new(Instant::now());
        assert!(activity.awaits_head() && activity.is_in_head(), "the first");
        activity.exchange_begins();
        assert!(!activity.awaits_head() && !activity.is_in_head());
        activity.exchange_ends(Instant::now());
        assert!(activity.awaits_head() && !activity.is_in_head());
        activity.read();
        assert!(activity.awaits_head() && activity.is_in_head());
        activity.body_begins();
        assert!(!activity.awaits_head() && !activity.is_in_head());
        activity.body_ends(true);
        activity.speaks_in_streams();
        assert!(!activity.awaits_head() && !activity.is_in_head());
    }
}
