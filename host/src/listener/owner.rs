//! The listener that a socket belongs to, as those that come from it are spoken with and counted.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::metrics::traffic::{Connections as Account, Hold};
use crate::snapshot::Speech;

/// The listener a socket belongs to. How it speaks and its name, and with that the account, may change while the socket
/// stays.
pub struct Owner(RefCell<(Arc<Speech>, Rc<Hold>)>);

impl Owner {
    /// A listener that speaks so, whose connections are counted there.
    #[must_use]
    pub fn new(speech: Arc<Speech>, account: Arc<Account>) -> Self {
        Self(RefCell::new((speech, Hold::new(account))))
    }

    /// New connections are spoken with like this from now on; those that are open stay as they are, and counted where
    /// they began.
    pub fn speak(&self, speech: Arc<Speech>, account: Arc<Account>) {
        let renamed = self.speech().listener != speech.listener;
        let own = &mut *self.0.borrow_mut();
        own.0 = speech;
        if renamed {
            own.1 = Hold::new(account);
        }
    }

    pub(super) fn speech(&self) -> Arc<Speech> {
        Arc::clone(&self.0.borrow().0)
    }

    pub(super) fn account(&self) -> Rc<Hold> {
        Rc::clone(&self.0.borrow().1)
    }
}
