//! Whether a request is sent again.
//!
//! What was certainly not processed may be repeated whatever it is. What may have been is repeated only where that makes no
//! difference (RFC 9110, 9.2.2): where its method is idempotent, all of it is still there, and nothing of an answer was
//! passed on. A request that changes the protocol of its connection is none of these.

pub(super) mod backoff;
pub(super) mod budget;

use http::{Method, Request, StatusCode};
use hyper::body::Body as _;

use super::body::RequestBody;
use super::replay::Tape;
use super::send::Order;
use crate::config::ready::{Retries, RetryOn};
use crate::metrics::retries::{Denied, Reason};

/// What went wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There was no connection, or one that took nothing.
    Connect,
    /// There was no answer, or a malformed one.
    Reset,
    /// There was none in time.
    Timeout,
    /// The answer has this status.
    Status(StatusCode),
}

/// How far the target may have come with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It processed nothing of it.
    Nothing,
    /// Nobody knows.
    Unknown,
}

/// Whether a request could be told once more from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// All of it is there.
    Whole,
    /// No: to process it twice is not the same as once.
    Never,
    /// No: its body is larger than what is kept.
    Large,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be sent again.
    Again,
    /// Nobody asked for that.
    Unasked,
    /// It is not, although somebody asked for it.
    No(Denied),
}

/// Whether it is safe, and asked for, to send a request again.
pub(super) fn verdict(on: &RetryOn, trouble: Trouble, progress: Progress, kept: Kept) -> Verdict {
    let asked = match trouble {
        Trouble::Connect => on.connect,
        Trouble::Reset => on.reset,
        Trouble::Timeout => on.timeout,
        Trouble::Status(status) => on.statuses.contains(status),
    };
    match (asked, progress, kept) {
        (false, ..) => Verdict::Unasked,
        (true, Progress::Nothing, _) | (true, _, Kept::Whole) => Verdict::Again,
        (true, Progress::Unknown, Kept::Never) => Verdict::No(Denied::Method),
        (true, Progress::Unknown, Kept::Large) => Verdict::No(Denied::Body),
    }
}

/// The retries of one request.
pub(super) struct Retrying<'a> {
    pub(super) policy: &'a Retries,
    /// How many are left.
    left: u32,
    copy: Copied,
}

/// What is kept of a request.
enum Copied {
    /// Its head, and what was sent of its body.
    Request(Box<Request<()>>, Tape),
    /// Nothing, and why.
    Nothing(Kept),
}

impl<'a> Retrying<'a> {
    /// Of a request that is about to be sent for the first time; its body is recorded from here on, if it may be needed.
    pub(super) fn new(
        policy: &'a Retries,
        order: &Order<'_>,
        request: &mut Request<RequestBody>,
    ) -> Self {
        order.group.budget.deposit(policy.budget);
        Self {
            policy,
            left: policy.attempts,
            copy: Copied::of(policy, order.upgrade.is_some(), request),
        }
    }

    /// Whether the request is sent again. `others`: there is a target that was not tried. To go on to that with a request of
    /// which nothing was processed takes nothing from the budget: it costs a target nothing but a connect.
    pub(super) fn admits(
        &mut self,
        order: &Order<'_>,
        (trouble, progress): (Trouble, Progress),
        others: bool,
    ) -> Result<Reason, Option<Denied>> {
        let verdict = verdict(&self.policy.on, trouble, progress, self.copy.kept());
        let left = match (verdict, self.left.checked_sub(1)) {
            (Verdict::Unasked, _) => return Err(None),
            (_, None) => return Err(Some(Denied::Attempts)),
            (Verdict::No(why), _) => return Err(Some(why)),
            (Verdict::Again, Some(left)) => left,
        };
        let free = progress == Progress::Nothing && others;
        if !free && !order.group.budget.withdraw(self.policy.budget) {
            return Err(Some(Denied::Budget));
        }
        self.left = left;
        Ok(trouble.into())
    }

    /// The request from its beginning; none if not all of it is there.
    pub(super) fn request(&self) -> Option<Request<RequestBody>> {
        match &self.copy {
            Copied::Request(head, tape) => {
                let body = tape.rewind()?;
                Some((**head).clone().map(|()| body))
            }
            Copied::Nothing(_) => None,
        }
    }

    /// Whether all of the body was sent, so that its connection may be used again.
    pub(super) fn was_told(&self) -> bool {
        match &self.copy {
            Copied::Request(_, tape) => tape.was_told(),
            Copied::Nothing(_) => false,
        }
    }
}

impl Copied {
    fn of(policy: &Retries, changes_over: bool, request: &mut Request<RequestBody>) -> Self {
        if changes_over || !is_idempotent(request.method()) {
            return Self::Nothing(Kept::Never);
        }
        let on = &policy.on;
        let ever = on.reset || on.timeout || !on.statuses.is_empty();
        let large = request.body().size_hint().lower() > policy.body_bytes;
        if !ever || policy.attempts == 0 || large {
            return Self::Nothing(Kept::Large);
        }
        let mut head = Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        *head.version_mut() = request.version();
        *head.headers_mut() = request.headers().clone();
        let tape = Tape::record(request.body_mut(), policy.body_bytes);
        Self::Request(Box::new(head), tape)
    }

    fn kept(&self) -> Kept {
        match self {
            Self::Request(_, tape) if tape.is_whole() => Kept::Whole,
            Self::Request(..) => Kept::Large,
            Self::Nothing(why) => *why,
        }
    }
}

/// RFC 9110, 9.2.2. Of a method that nobody knows nothing is known.
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    )
}

impl From<Trouble> for Reason {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Connect => Self::Connect,
            Trouble::Reset => Self::Reset,
            Trouble::Timeout => Self::Timeout,
            Trouble::Status(_) => Self::Status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ready::Statuses;

    fn everything() -> RetryOn {
        RetryOn {
            connect: true,
            reset: true,
            timeout: true,
            statuses: Statuses::new([(502, 504)]),
        }
    }

    const BAD: Trouble = Trouble::Status(StatusCode::SERVICE_UNAVAILABLE);
    const ALL: [Trouble; 4] = [Trouble::Connect, Trouble::Reset, Trouble::Timeout, BAD];

    #[test]
    fn what_was_not_processed_is_sent_again_whatever_it_is() {
        for kept in [Kept::Whole, Kept::Never, Kept::Large] {
            for trouble in ALL {
                let verdict = verdict(&everything(), trouble, Progress::Nothing, kept);
                assert_eq!(verdict, Verdict::Again);
            }
        }
    }

    #[test]
    fn what_may_have_been_processed_is_sent_again_only_if_that_is_the_same() {
        for trouble in ALL {
            for (kept, expected) in [
                (Kept::Whole, Verdict::Again),
                (Kept::Never, Verdict::No(Denied::Method)),
                (Kept::Large, Verdict::No(Denied::Body)),
            ] {
                let found = verdict(&everything(), trouble, Progress::Unknown, kept);
                assert_eq!(found, expected, "{trouble:?} {kept:?}");
            }
        }
    }

    #[test]
    fn what_nobody_asked_for_is_not_done() {
        for trouble in ALL {
            for progress in [Progress::Nothing, Progress::Unknown] {
                let found = verdict(&RetryOn::default(), trouble, progress, Kept::Whole);
                assert_eq!(found, Verdict::Unasked);
            }
        }
        let other = Trouble::Status(StatusCode::OK);
        let found = verdict(&everything(), other, Progress::Unknown, Kept::Whole);
        assert_eq!(found, Verdict::Unasked);
    }

    #[test]
    fn methods_are_told_apart() {
        for (name, expected) in [
            ("GET", true),
            ("HEAD", true),
            ("OPTIONS", true),
            ("TRACE", true),
            ("PUT", true),
            ("DELETE", true),
            ("POST", false),
            ("PATCH", false),
            ("CONNECT", false),
            ("PURGE", false),
            ("get", false),
        ] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            assert_eq!(is_idempotent(&method), expected, "{name}");
        }
    }

    /// A policy that asks for everything, and a request of this method with a body of this many bytes.
    #[track_caller]
    fn copied(method: &str, bytes: usize, changes_over: bool) -> Kept {
        let policy = Retries {
            attempts: 2,
            on: everything(),
            budget: 20,
            backoff: std::time::Duration::ZERO,
            max_backoff: std::time::Duration::ZERO,
            body_bytes: 10,
        };
        let body = RequestBody::Whole(vec![b'x'; bytes].into());
        let mut request = Request::builder().method(method).body(body).unwrap();
        Copied::of(&policy, changes_over, &mut request).kept()
    }

    #[test]
    fn only_what_could_be_told_again_is_kept() {
        assert_eq!(copied("PUT", 10, false), Kept::Whole);
        assert_eq!(copied("PUT", 11, false), Kept::Large);
        assert_eq!(copied("GET", 0, false), Kept::Whole);
        assert_eq!(copied("GET", 0, true), Kept::Never);
        assert_eq!(copied("POST", 0, false), Kept::Never);
        assert_eq!(copied("PATCH", 10, false), Kept::Never);
    }
}
