//! What a thread does when the system has no descriptor, socket or memory to give: it says so here, and whoever holds
//! what nobody uses lets go of it.

use std::io;
use std::rc::Rc;

use tokio::sync::Notify;

thread_local! {
    static TOLD: Rc<Notify> = Rc::new(Notify::new());
}

/// Whether an error says that this system, or this process, has nothing to give; it says nothing of the other end then.
#[must_use]
pub fn is(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    )
}

/// Asks this thread to let go of what it does not use.
pub fn tell() {
    TOLD.with(|told| told.notify_one());
}

/// Waits until somebody on this thread asks for that.
pub async fn told() {
    let told = TOLD.with(Rc::clone);
    told.notified().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_other_end_does_is_no_shortage() {
        let of = |code| is(&io::Error::from_raw_os_error(code));
        assert!(of(libc::EMFILE) && of(libc::ENFILE) && of(libc::ENOBUFS) && of(libc::ENOMEM));
        assert!(!of(libc::ECONNREFUSED) && !of(libc::ETIMEDOUT) && !of(libc::EADDRNOTAVAIL));
        assert!(!is(&io::Error::other("too many open files")));
    }
}
