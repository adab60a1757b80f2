//! Views that expire, in debug builds.
//!
//! A view of a header ends with the next change of its map, every other view when the hook returns. A plugin that keeps
//! one longer reads whatever stands there by then, which usually still looks right. So debug builds lend out copies and
//! overwrite them the moment they expire: the mistake shows in the author's first test. Release builds lend the
//! gateway's own memory and none of this exists there.

use std::cell::{Cell, RefCell};

/// What an expired view reads.
pub const EXPIRED: u8 = 0xdd;

/// How much expired memory is kept.
const KEPT_BYTES: usize = 1 << 20;

/// What a view is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lender {
    /// The request's headers.
    Request,
    /// The response's headers.
    Response,
    /// Trailers.
    Trailers,
    /// A body.
    Body,
    /// Anything else.
    Hook,
}

/// Copies that were lent to plugins, alive or expired; the last ones are kept until the exchange is over.
#[derive(Debug, Default)]
pub struct Lent(RefCell<Vec<View>>);

/// One copy.
#[derive(Debug)]
struct View {
    of: Lender,
    copy: Copied,
    expired: Cell<bool>,
}

/// Bytes that are overwritten while a plugin may still hold a view of them.
type Copied = Box<[Cell<u8>]>;

impl Lent {
    /// Lends a copy of some bytes.
    pub fn lend(&self, lender: Lender, bytes: &[u8]) -> swapgate_abi::SgStr {
        if bytes.is_empty() {
            return swapgate_abi::SgStr::EMPTY;
        }
        let copy: Copied = bytes.iter().map(|byte| Cell::new(*byte)).collect();
        let view = swapgate_abi::SgStr {
            ptr: copy.as_ptr().cast(),
            len: copy.len(),
        };
        self.0.borrow_mut().push(View {
            of: lender,
            copy,
            expired: Cell::new(false),
        });
        view
    }

    /// Ends the views of one header map.
    pub fn expire(&self, lender: Lender) {
        let lent = self.0.borrow();
        lent.iter()
            .filter(|view| view.of == lender)
            .for_each(View::expire);
    }

    /// Ends all views: the hook returned.
    pub fn expire_all(&self) {
        let mut lent = self.0.borrow_mut();
        lent.iter().for_each(View::expire);
        // A body may be endless: the oldest go, and a view that outlived so many others reads what it may.
        let mut kept = 0;
        let recent = lent.iter().rev().take_while(|view| {
            kept += view.copy.len();
            kept <= KEPT_BYTES
        });
        let recent = recent.count();
        let old = lent.len() - recent;
        lent.drain(..old);
    }
}

impl View {
    fn expire(&self) {
        if !self.expired.replace(true) {
            self.copy.iter().for_each(|byte| byte.set(EXPIRED));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lent: &Lent) -> Vec<Vec<u8>> {
        lent.0
            .borrow()
            .iter()
            .map(|view| view.copy.iter().map(Cell::get).collect())
            .collect()
    }

    #[test]
    fn no_bytes_are_null() {
        let lent = Lent::default();
        let view = lent.lend(Lender::Request, b"");
        assert!(view.ptr.is_null() && view.len == 0);
        assert!(read(&lent).is_empty());
    }

    #[test]
    fn only_the_changed_map_expires() {
        let lent = Lent::default();
        lent.lend(Lender::Request, b"ab");
        lent.lend(Lender::Hook, b"c");
        lent.expire(Lender::Request);
        assert_eq!(read(&lent), [vec![EXPIRED, EXPIRED], b"c".to_vec()]);
        lent.expire_all();
        assert_eq!(read(&lent), [vec![EXPIRED, EXPIRED], vec![EXPIRED]]);
    }
}
