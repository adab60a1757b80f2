//! An exchange on its way, step by step.

use swapgate_abi::{ExchangeTok, SgEvent, code};

use super::exchange::{Exchange, Phase};
use super::outcome::Outcome;
use super::{Instance, event};
use crate::guest::hooks::Lane;

/// An exchange that began and can stand still: because a hook waits, or because more of a body is to come. It goes on by
/// itself as far as it can whenever something happens. Dropped, its client is gone.
#[derive(Debug)]
pub struct Flight<'i> {
    instance: &'i Instance<'i>,
    token: ExchangeTok,
    finished: bool,
}

impl<'i> Flight<'i> {
    pub(super) fn new(instance: &'i Instance<'i>, exchange: Exchange) -> Self {
        let host = instance.host;
        let token = host.image.begin(&instance.made, exchange);
        host.settle();
        let finished = false;
        Self {
            instance,
            token,
            finished,
        }
    }

    /// The hook that waits in this lane.
    #[must_use]
    pub fn waiting(&self, lane: Lane) -> Option<Phase> {
        let state = self.instance.host.image.shared().lock();
        let slot = state.slots.get(&self.token)?;
        slot.course.waiting(lane).map(|call| call.phase)
    }

    /// Whether some hook waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        let waits = |lane| self.waiting(lane).is_some();
        waits(Lane::Request) || waits(Lane::Response)
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let state = self.instance.host.image.shared().lock();
        let slot = state.slots.get(&self.token);
        slot.is_none_or(|slot| slot.course.is_over())
    }

    /// More of the request's body arrives; see [`Exchange::open_body`].
    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        self.feed(Lane::Request, Some(bytes.as_ref()));
    }

    /// The request's body ends.
    pub fn end_request(&self) {
        self.feed(Lane::Request, None);
    }

    /// More of the upstream's body arrives; see [`Exchange::open_upstream_body`].
    pub fn receive(&self, bytes: impl AsRef<[u8]>) {
        self.feed(Lane::Response, Some(bytes.as_ref()));
    }

    /// The upstream's body ends.
    pub fn end_answer(&self) {
        self.feed(Lane::Response, None);
    }

    fn feed(&self, lane: Lane, bytes: Option<&[u8]>) {
        let host = self.instance.host;
        let mut state = host.image.shared().lock();
        state.moved.insert(self.token);
        if let Some(slot) = state.slots.get_mut(&self.token) {
            let way = slot.course.way(lane);
            match bytes {
                Some(bytes) => way.feed(bytes),
                None => way.end(),
            }
        }
        drop(state);
        host.settle();
    }

    /// What was passed on so far in this lane.
    #[must_use]
    pub fn passed(&self, lane: Lane) -> Vec<u8> {
        let mut state = self.instance.host.image.shared().lock();
        let slot = state.slots.get_mut(&self.token);
        slot.map_or(Vec::new(), |slot| slot.course.way(lane).passed().to_vec())
    }

    /// The client is gone: what waits is told once and called no more; `log` and `request_end` follow.
    pub fn cancel(&self) {
        let host = self.instance.host;
        host.image.cancel(self.token);
        host.settle();
    }

    /// The gateway is shutting down and would like this exchange to end soon: a hint.
    pub fn drain(&self) {
        for lane in [Lane::Request, Lane::Response] {
            if self.waiting(lane).is_some() {
                self.event(lane, code::SG_EVENT_DRAIN, 0, 0);
            }
        }
    }

    /// Hands over an event that no gateway would: of an unknown kind, of an operation that is over. What the plugin
    /// answers; none where the exchange is over.
    pub fn event(&self, lane: Lane, kind: u32, op: u64, result: i32) -> Option<i32> {
        let host = self.instance.host;
        let event = SgEvent {
            op,
            result,
            ..event::event(kind)
        };
        let _running = host.image.enter_thread();
        let code = host.image.tell(self.token, lane, event);
        host.settle();
        code
    }

    /// What became of it. Time goes on to whatever happens next until it is over.
    ///
    /// # Panics
    ///
    /// When it waits for something that never comes: a callout that nobody answers, a body that does not end.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        self.finished = true;
        let host = self.instance.host;
        loop {
            if let Some(outcome) = host.image.finish(self.token) {
                return outcome;
            }
            let next = host.image.shared().lock().world.next_time();
            if let Some(next) = next {
                host.advance(next.saturating_sub(host.now()));
                continue;
            }
            let can_wake = host.image.shared().lock().world.has_waker(self.token);
            assert!(
                can_wake && host.image.shared().wait_for_wake(),
                "the exchange waits for something that does not come: request {:?}, answer {:?}",
                self.waiting(Lane::Request),
                self.waiting(Lane::Response),
            );
            host.settle();
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.finished && !self.is_over() {
            self.cancel();
        }
        if !self.finished {
            let _ = self.instance.host.image.finish(self.token);
        }
    }
}
