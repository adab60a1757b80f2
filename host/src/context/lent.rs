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
pub struct Lent(RefCell<Vec<(Lender, Copied)>>);

/// Bytes that are overwritten while a plugin may still hold a view of them.
type Copied = Box<[Cell<u8>]>;

impl Lent {
    /// Lends a copy of some bytes.
    pub fn lend(&self, lender: Lender, bytes: &[u8]) -> swapgate_abi::SgStr {
        let copy: Copied = bytes.iter().map(|byte| Cell::new(*byte)).collect();
        let view = swapgate_abi::SgStr {
            ptr: copy.as_ptr().cast(),
            len: copy.len(),
        };
        self.0.borrow_mut().push((lender, copy));
        view
    }

    /// Ends the views of one header map.
    pub fn expire(&self, lender: Lender) {
        for (_, copy) in self.0.borrow().iter().filter(|(known, _)| *known == lender) {
            copy.iter().for_each(|byte| byte.set(EXPIRED));
        }
    }

    /// Ends all views: the hook returned.
    pub fn expire_all(&self) {
        let mut lent = self.0.borrow_mut();
        for (_, copy) in lent.iter() {
            copy.iter().for_each(|byte| byte.set(EXPIRED));
        }
        // A body may be endless: the oldest go, and a view that outlived so many others reads what it may.
        let mut kept = 0;
        let recent = lent.iter().rev().take_while(|(_, copy)| {
            kept += copy.len();
            kept <= KEPT_BYTES
        });
        let recent = recent.count();
        let old = lent.len() - recent;
        lent.drain(..old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lent: &Lent) -> Vec<Vec<u8>> {
        lent.0
            .borrow()
            .iter()
            .map(|(_, copy)| copy.iter().map(Cell::get).collect())
            .collect()
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
