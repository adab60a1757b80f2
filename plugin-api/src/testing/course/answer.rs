//! What the answer of a hook does, once it was held against the contract.

use swapgate_abi::{SgPlugin, code};

use super::{Call, Course, Stage, gateway};
use crate::guest::hooks::Lane;
use crate::guest::response::Response;
use crate::status::{HookResult, HostError};
use crate::testing::exchange::Phase;
use crate::testing::outcome::Failure;
use crate::testing::window::LIMIT;

impl Course {
    /// What the answer of a hook does. `on_event` says whether the plugin can be told of events.
    pub(in crate::testing) fn apply(
        &mut self,
        plugin: &SgPlugin,
        made: Call,
        code: i32,
        text: Option<String>,
    ) {
        let result = self.checked(plugin, made, HookResult::from_code(code));
        match result {
            Ok(HookResult::Pending) => self.way(made.lane).waiting = Some(made),
            Ok(HookResult::Buffer) => self.way(made.lane).window.keep(),
            Ok(HookResult::Respond) => self.ways[0].stage = Stage::Done,
            Ok(_) => {
                if matches!(made.phase, Phase::RequestBody | Phase::BodyFilter) {
                    let way = self.way(made.lane);
                    way.window.pass(&mut way.passed);
                }
            }
            Err((error, why)) => self.fail(made, error, text.unwrap_or(why)),
        }
    }

    /// Holds the answer against the contract.
    fn checked(
        &self,
        plugin: &SgPlugin,
        made: Call,
        result: HookResult,
    ) -> Result<HookResult, (HostError, String)> {
        let bad = |code: i32, why: &str| Err((HostError::Unknown(code), why.to_owned()));
        let (need, window) = match made.lane {
            Lane::Request => (plugin.request_body_need, &self.ways[0].window),
            Lane::Response => (plugin.response_body_need, &self.ways[1].window),
        };
        match result {
            HookResult::Failed(error) => Err((error, String::new())),
            HookResult::Unknown(code) => Err((HostError::Unknown(code), String::new())),
            HookResult::Pending if made.phase >= Phase::Log => {
                bad(code::SG_PENDING, "it would wait where the exchange is over")
            }
            HookResult::Pending if plugin.on_event.is_none() => {
                bad(code::SG_PENDING, "it would wait, but it has no on_event")
            }
            HookResult::Respond if self.answer.is_none() => {
                bad(code::SG_RESPOND, "it answered without calling respond()")
            }
            HookResult::Buffer => {
                let of_body = matches!(made.phase, Phase::RequestBody | Phase::BodyFilter);
                if !of_body || need != code::SG_BODY_BUFFER || made.flags & code::SG_BODY_END != 0 {
                    return bad(code::SG_BUFFER, "it may not buffer here");
                }
                let limit = usize::try_from(plugin.buffer_bytes).unwrap_or(LIMIT);
                let limit = if limit == 0 { LIMIT } else { limit.min(LIMIT) };
                if window.len() > limit {
                    return Err((
                        HostError::TooLarge,
                        "the body is too long to buffer".to_owned(),
                    ));
                }
                Ok(result)
            }
            HookResult::Continue | HookResult::Pending | HookResult::Respond => Ok(result),
        }
    }

    fn fail(&mut self, made: Call, error: HostError, text: String) {
        let phase = made.phase;
        self.failures.push(Failure { phase, error, text });
        self.panicked |= error == HostError::Panic;
        let status = match (error, made.lane) {
            (HostError::TooLarge, Lane::Request) => 413,
            (HostError::TooLarge, Lane::Response) => 502,
            _ => 500,
        };
        match phase {
            Phase::Rewrite | Phase::Access | Phase::RequestBody => {
                self.ways[0].stage = Stage::Done;
                if self.has_begun() {
                    self.reset = true;
                    self.ways[1].stage = Stage::Done;
                } else {
                    self.answer = Some(gateway(status));
                }
            }
            Phase::HeaderFilter => {
                self.head = Some(Response::new(status));
                self.ways[1].incoming.clear();
                self.ways[1].stage = Stage::Done;
            }
            Phase::BodyFilter | Phase::Trailers => {
                self.reset = true;
                self.ways[1].stage = Stage::Done;
            }
            Phase::Log | Phase::RequestEnd => {}
        }
    }

    /// A hook that does not wait was told of something and may not answer it.
    pub(in crate::testing) fn told(&mut self, phase: Phase, code: i32) {
        if code != code::SG_CONTINUE {
            let text = "it was only told of an event, but answered it".to_owned();
            let error = HostError::Unknown(code);
            self.failures.push(Failure { phase, error, text });
        }
    }
}
