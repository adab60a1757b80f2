//! Drives exchanges and the background of instances until all of them stand still.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use swapgate_abi::{ExchangeTok, SgEvent, code};

use super::area;
use super::course::Call;
use super::event::{event, number_of, with_data};
use super::exchange::{Exchange, Phase};
use super::image::{Image, Made};
use super::outcome::Outcome;
use super::shared::{Left, Slot};
use super::slot::drop_gone;
use super::world::{Callout, Data, Happening, Scope};
use crate::guest::hooks::Lane;
use crate::guest::response::Response;
use crate::status::HostError;

/// What answers callouts.
pub(super) type Answers = dyn FnMut(&Callout) -> Result<Response, HostError>;

impl Image {
    /// Lets an exchange begin.
    pub(super) fn begin(&self, made: &Made, exchange: Exchange) -> ExchangeTok {
        static TOKENS: AtomicU64 = AtomicU64::new(1);
        let token = TOKENS.fetch_add(1, Ordering::Relaxed);
        let plugin = self.plugin();
        let needs = [plugin.request_body_need, plugin.response_body_need];
        let slot = Slot::new(made.0, exchange, needs);
        let mut state = self.shared().lock();
        state.slots.insert(token, slot);
        state.moved.insert(token);
        token
    }

    /// Goes on until nothing happens any more by itself.
    pub(super) fn settle(&self, answers: &mut Option<Box<Answers>>) {
        let _running = self.enter_thread();
        loop {
            self.answer_all(answers);
            self.work_all();
            let happening = self.shared().lock().world.next_happening();
            let happened = happening.is_some();
            if let Some(happening) = happening {
                self.deliver(happening);
            }
            if !self.step_all() && !happened && self.is_still(answers.is_some()) {
                return;
            }
        }
    }

    fn is_still(&self, answers: bool) -> bool {
        let state = self.shared().lock();
        let world = &state.world;
        let work = !world.hold_work && world.work().is_some();
        let asked = answers && !world.callouts().is_empty() || !world.lookups().is_empty();
        !work && !asked && !world.has_happened()
    }

    /// Answers callouts and look-ups that can be answered.
    fn answer_all(&self, answers: &mut Option<Box<Answers>>) {
        let callouts = self.shared().lock().world.callouts();
        if let Some(answers) = answers {
            for callout in callouts {
                let answer = answers(&callout);
                self.answer(callout.id, answer);
            }
        }
        let mut state = self.shared().lock();
        for (op, name) in state.world.lookups() {
            let found = state.world.names.get(&name);
            let texts: Option<Vec<String>> =
                found.map(|found| found.iter().map(ToString::to_string).collect());
            match texts {
                Some(texts) => state.world.done(op, code::SG_OK, Data::Addresses(texts)),
                None => state
                    .world
                    .done(op, HostError::NotFound.code(), Data::Nothing),
            };
        }
    }

    pub(super) fn answer(&self, id: u64, answer: Result<Response, HostError>) -> bool {
        let mut state = self.shared().lock();
        match answer {
            Ok(answer) => state.world.done(id, code::SG_OK, Data::Answer(answer)),
            Err(error) => state.world.done(id, error.code(), Data::Nothing),
        }
    }

    /// Does the work that waits for a thread, unless it is held.
    fn work_all(&self) {
        while !self.shared().lock().world.hold_work && self.work_one() {}
    }

    /// Does one piece of work. False: there is none.
    pub(super) fn work_one(&self) -> bool {
        let next = self.shared().lock().world.work();
        let Some((op, job)) = next else { return false };
        let result = area::run(job);
        self.shared().lock().world.done(op, result, Data::Nothing)
    }

    /// Tells the plugin of something.
    fn deliver(&self, happening: Happening) {
        let (op, scope, result, data, job) = match happening {
            Happening::Done {
                op,
                scope,
                result,
                data,
                job,
            } => (op, scope, result, data, job),
            Happening::Wake(scope) => (0, scope, code::SG_OK, Data::Nothing, None),
        };
        let kind = if op == 0 {
            code::SG_EVENT_WAKE
        } else {
            code::SG_EVENT_OP_DONE
        };
        with_data(&data, |data| {
            let event = SgEvent {
                op,
                result,
                data,
                ..event(kind)
            };
            match scope {
                Scope::Exchange(token, lane) => drop(self.tell(token, lane, event)),
                Scope::Instance(token) => {
                    let state = self.shared().lock();
                    let made = state.world.instances.get(&token).map(|found| found.made);
                    drop(state);
                    if let Some(made) = made {
                        self.on_op_done(made, &event);
                    }
                }
            }
        });
        job.into_iter().for_each(area::release);
    }

    /// Tells an exchange of something and goes by what the plugin answers.
    pub(super) fn tell(&self, token: ExchangeTok, lane: Lane, event: SgEvent) -> Option<i32> {
        let shared = self.shared();
        let (made, waiting) = {
            let mut state = shared.lock();
            let slot = state.slots.get_mut(&token)?;
            if slot.course.is_over() {
                return None;
            }
            let waiting = slot.course.waiting(lane);
            if let Some(call) = waiting {
                slot.enter(call);
            }
            (slot.made, waiting)
        };
        let event = SgEvent {
            lane: number_of(lane),
            phase: waiting.map_or(0, |call| call.phase.number()),
            flags: waiting.map_or(0, |call| call.flags & code::SG_BODY_END),
            ..event
        };
        shared.run(Some(token));
        let code = self.on_event(made, token, &event);
        shared.run(None);
        shared.lock().moved.insert(token);
        let cancelled = event.kind == code::SG_EVENT_CANCEL;
        let mut state = shared.lock();
        let slot = state.slots.get_mut(&token)?;
        match waiting {
            // The answer to CANCEL is ignored.
            _ if cancelled => {}
            Some(call) => {
                slot.course.way(lane).waiting = None;
                slot.returned(self, call, code);
            }
            None => {
                let phase = slot.call.map_or(Phase::Rewrite, |call| call.phase);
                slot.course.told(phase, code);
            }
        }
        drop_gone(state, token);
        Some(code)
    }

    /// Calls every hook that can be called. False: there was none.
    fn step_all(&self) -> bool {
        let moved = std::mem::take(&mut self.shared().lock().moved);
        let mut any = false;
        for token in moved {
            while self.step(token) {
                any = true;
            }
        }
        any
    }

    fn step(&self, token: ExchangeTok) -> bool {
        let shared = self.shared();
        let (made, call) = {
            let mut state = shared.lock();
            let Some(slot) = state.slots.get_mut(&token) else {
                return false;
            };
            let call = slot.course.next(self.plugin());
            slot.take_head();
            let Some(call) = call else {
                let over = slot.course.is_over();
                drop_gone(state, token);
                if over {
                    self.end(token);
                }
                return false;
            };
            slot.enter(call);
            (slot.made, call)
        };
        shared.run(Some(token));
        let code = self.hook(made, token, call);
        shared.run(None);
        let mut state = shared.lock();
        if let Some(slot) = state.slots.get_mut(&token) {
            slot.returned(self, call, code);
            slot.take_head();
        }
        drop_gone(state, token);
        true
    }

    /// Lets go of all an exchange holds.
    fn end(&self, token: ExchangeTok) {
        let mut state = self.shared().lock();
        let jobs = state.world.end(token);
        let mut left = Vec::new();
        if let Some(slot) = state.slots.get_mut(&token) {
            left.append(&mut slot.replaced);
            left.push(slot.state.take());
        }
        drop(state);
        jobs.into_iter().for_each(area::release);
        left.into_iter().for_each(Left::release);
    }

    /// Calls one hook again and again.
    pub(super) fn repeat(&self, made: &Made, phase: Phase, exchange: Exchange, times: u32) -> i64 {
        let _running = self.enter_thread();
        let token = self.begin(made, exchange);
        let (lane, flags) = (Lane::Request, 0);
        let call = Call { phase, lane, flags };
        if let Some(slot) = self.shared().lock().slots.get_mut(&token) {
            slot.enter(call);
        }
        self.shared().run(Some(token));
        let answers = (0..times).map(|_| i64::from(self.hook(made.0, token, call)));
        let sum = answers.sum();
        self.shared().run(None);
        self.cancel(token);
        while self.step(token) {}
        drop(self.finish(token));
        sum
    }

    /// The client of an exchange is gone.
    pub(super) fn cancel(&self, token: ExchangeTok) {
        let _running = self.enter_thread();
        for lane in [Lane::Request, Lane::Response] {
            let state = self.shared().lock();
            let slot = state.slots.get(&token);
            let waits = slot.is_some_and(|slot| slot.course.waiting(lane).is_some());
            drop(state);
            if waits {
                let result = HostError::Cancelled.code();
                let kind = code::SG_EVENT_CANCEL;
                self.tell(
                    token,
                    lane,
                    SgEvent {
                        result,
                        ..event(kind)
                    },
                );
            }
        }
        let mut state = self.shared().lock();
        let jobs = state.world.end(token);
        if let Some(slot) = state.slots.get_mut(&token) {
            slot.course.cancel();
        }
        state.moved.insert(token);
        drop(state);
        jobs.into_iter().for_each(area::release);
    }

    /// Calls the ticks that are due.
    pub(super) fn tick(&self) {
        let _running = self.enter_thread();
        let due = self.shared().lock().world.due_ticks();
        for made in due {
            self.on_tick(made);
        }
    }

    /// Goes on in time to the next thing that happens, no further than that. False: there is none.
    pub(super) fn go_on(&self, until: Duration) -> bool {
        self.shared().lock().world.go_on(until)
    }

    /// Takes an exchange that is over, and says what became of it. None: it is not over.
    pub(super) fn finish(&self, token: ExchangeTok) -> Option<Outcome> {
        let mut state = self.shared().lock();
        if !state.slots.get(&token)?.course.is_over() {
            return None;
        }
        let slot = state.slots.remove(&token)?;
        drop(state);
        Some(slot.outcome())
    }
}
