//! What a call does to an exchange, and what becomes of it.

use swapgate_abi::{ExchangeTok, code};

use super::course::Call;
use super::headers::HeaderList;
use super::image::Image;
use super::outcome::Outcome;
use super::shared::{Slot, State};
use crate::guest::hooks::Lane;

impl Slot {
    pub(super) fn enter(&mut self, call: Call) {
        self.call = Some(call);
        self.live.phase = call.phase;
        self.live.lane = call.lane;
        self.live.error = None;
    }

    pub(super) fn returned(&mut self, image: &Image, call: Call, code: i32) {
        let text = self.live.error.take();
        if let Some(answer) = self.live.answer.take().filter(|_| code == code::SG_RESPOND) {
            self.course.answer = Some(answer);
        }
        self.course.apply(image.plugin(), call, code, text);
    }

    /// The head of the answer, as soon as there is one.
    pub(super) fn take_head(&mut self) {
        if let Some(head) = self.course.head.take() {
            self.live.reached_upstream = self.course.reached_upstream;
            self.live.response = Some((head.status, HeaderList::from(&head)));
        }
    }

    pub(super) fn outcome(mut self) -> Outcome {
        let live = self.live;
        let (status, response) = live.response.unwrap_or_default();
        let request_body = self.course.way(Lane::Request).passed().to_vec();
        Outcome {
            method: live.request.method,
            path: live.request.path,
            query: live.request.query,
            request: live.request.headers,
            status,
            response,
            body: self.course.way(Lane::Response).passed().to_vec(),
            reached_upstream: self.course.reached_upstream,
            consumer: live.request.consumer,
            vars: live.vars.into_iter().collect(),
            failures: self.course.failures,
            request_body,
            trailers: live.trailers,
            upstream: live.upstream,
            reset: self.course.reset,
            cancelled: self.course.cancelled,
        }
    }
}

/// Drops what left the windows of an exchange, without the lock: it may be the plugin's.
pub(super) fn drop_gone(mut state: std::sync::MutexGuard<'_, State>, token: ExchangeTok) {
    let slot = state.slots.get_mut(&token);
    let gone = slot.map(|slot| {
        let request = slot.course.way(Lane::Request).window.gone();
        (request, slot.course.way(Lane::Response).window.gone())
    });
    drop(state);
    drop(gone);
}
