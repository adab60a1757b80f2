//! What the running exchange waits for: its upstream, within two limits, and its hooks, while which the client may leave.

use std::time::{Duration, Instant};

use super::Activity;

/// How often a client is looked for while a hook waits.
const LOOK: Duration = Duration::from_millis(250);

impl Activity {
    /// The upstream has until `due` for the head of its answer; none: there is nothing to wait for any more.
    pub fn expect_answer(&self, due: Option<Instant>) {
        self.answer_due.set(due);
        self.answer_late.set(false);
        if let Some(due) = due {
            self.comes_nearer(due);
        }
    }

    /// Whether the upstream's time has run out.
    #[must_use]
    pub fn is_answer_late(&self) -> bool {
        self.answer_late.get()
    }

    /// Notes that the upstream's time has run out.
    pub fn answer_is_late(&self) {
        self.answer_due.set(None);
        self.answer_late.set(true);
    }

    /// All of the exchange with the upstream has until `due`; none: there is no limit, or it is over.
    pub fn limit_total(&self, due: Option<Instant>) {
        self.total_due.set(due);
        self.total_over.set(false);
        if let Some(due) = due {
            self.comes_nearer(due);
        }
    }

    /// Whether the time for all of it has run out.
    #[must_use]
    pub fn is_total_over(&self) -> bool {
        self.total_over.get()
    }

    /// Notes that the time for all of it has run out.
    pub fn total_is_over(&self) {
        self.total_due.set(None);
        self.total_over.set(true);
    }

    /// A hook of the running exchange waits for something.
    pub fn wait_begins(&self) {
        self.waiting.set(self.waiting.get().saturating_add(1));
        if self.is_stream() {
            return; // A connection that speaks HTTP/2 is always read, and a stream whose client left is dropped.
        }
        self.look_at.set(Instant::now().checked_add(LOOK));
    }

    /// It has what it waited for.
    pub fn wait_ends(&self) {
        let left = self.waiting.get().saturating_sub(1);
        self.waiting.set(left);
        if left == 0 {
            self.look_at.set(None);
            self.look.set(false);
        }
    }

    /// It is time to look for the client, and again after a while.
    pub fn look_is_due(&self, now: Instant) {
        self.look_at.set(now.checked_add(LOOK));
        self.look.set(true);
    }

    /// Whether to look for the client now; says so once.
    #[must_use]
    pub fn looks(&self) -> bool {
        self.look.replace(false)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::activity::Overdue;
    use crate::activity::tests::{LIMITS, due};

    #[test]
    fn a_client_is_looked_for_while_a_hook_waits() {
        let activity = Activity::new(Instant::now());
        activity.exchange_begins();
        activity.wait_begins();
        activity.wait_begins();
        assert_eq!(due(&activity), Some(Overdue::Look));
        activity.look_is_due(Instant::now());
        assert!(activity.looks());
        assert!(!activity.looks(), "once");
        activity.wait_ends();
        assert_eq!(due(&activity), Some(Overdue::Look));
        activity.wait_ends();
        assert_eq!(due(&activity), None);
    }

    #[test]
    fn a_client_is_looked_for_again_after_the_same_while() {
        let activity = Activity::new(Instant::now());
        activity.exchange_begins();
        let before = Instant::now();
        activity.wait_begins();
        let (at, what) = activity.deadline(&LIMITS).unwrap();
        assert_eq!(what, Overdue::Look);
        assert!(at >= before + LOOK && at <= Instant::now() + LOOK);
        activity.look_is_due(at);
        assert_eq!(activity.deadline(&LIMITS), Some((at + LOOK, Overdue::Look)));
        activity.wait_ends();
        assert!(!activity.looks(), "nobody waits any more");
    }

    #[test]
    fn nobody_looks_for_the_client_of_a_stream() {
        let connection = Rc::new(Activity::new(Instant::now()));
        connection.speaks_in_streams();
        let stream = Activity::stream(&connection);
        stream.exchange_begins();
        stream.wait_begins();
        assert_eq!(due(&stream), None);
    }

    #[test]
    fn a_limit_that_ran_out_is_known_until_the_next_is_set() {
        let activity = Activity::new(Instant::now());
        activity.exchange_begins();
        let now = Instant::now();
        assert!(!activity.is_answer_late() && !activity.is_total_over());
        activity.expect_answer(Some(now));
        activity.limit_total(Some(now));
        assert!(!activity.is_answer_late() && !activity.is_total_over());
        activity.answer_is_late();
        assert_eq!(due(&activity), Some(Overdue::Total), "once");
        activity.total_is_over();
        assert_eq!(due(&activity), None, "once");
        assert!(activity.is_answer_late() && activity.is_total_over());
        activity.expect_answer(Some(now));
        activity.limit_total(None);
        assert!(!activity.is_answer_late() && !activity.is_total_over());
        assert_eq!(due(&activity), Some(Overdue::Upstream));
    }
}
