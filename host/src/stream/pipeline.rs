//! The plugins that take part in one body, one after the other.
//!
//! ```text
//! feed -> window of the first -> its hook -> CONTINUE -> window of the second -> ... -> pass
//!                                   BUFFER: stays        PENDING: everything stands still
//! ```

mod flow;

use std::collections::VecDeque;

use bytes::Bytes;
use http::HeaderMap;
use smallvec::SmallVec;

use super::step::{Hook, Overflow, Part, Spec, Step, Verdict};
use super::{Need, Window};
use flow::Stage;

/// The plugins of one lane of one exchange.
#[derive(Debug, Default)]
pub struct Pipeline {
    stages: SmallVec<[Stage; 2]>,
    passed: VecDeque<Bytes>,
    passed_len: u64,
    trailers: Option<HeaderMap>,
    /// Where `trailers` go next.
    trailers_at: usize,
    running: Option<(usize, Hook)>,
    parked: bool,
    fed_all: bool,
    all_passed: bool,
}

impl Pipeline {
    /// Through these, in this order. Who needs nothing takes no part.
    #[must_use]
    pub fn new(specs: impl IntoIterator<Item = Spec>) -> Self {
        let takes_part = |spec: &Spec| spec.need != Need::None && (spec.body || spec.trailers);
        let stage = |spec: Spec| Stage {
            spec,
            window: Window::new(spec.room),
            fresh: false,
            ending: false,
            called: false,
            ended: !spec.body,
            out: false,
            told: 0,
        };
        Self {
            stages: specs.into_iter().filter(takes_part).map(stage).collect(),
            ..Self::default()
        }
    }

    /// Whether nobody takes part.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The most that anybody who looks at bytes needs.
    #[must_use]
    pub fn need(&self) -> Need {
        let bodies = self.stages.iter().filter(|stage| stage.spec.body);
        bodies
            .map(|stage| stage.spec.need)
            .max()
            .unwrap_or_default()
    }

    /// Bytes arrived. Only after [`Step::More`].
    pub fn feed(&mut self, bytes: Bytes) {
        self.forward(0, bytes);
    }

    /// The body ended. Once.
    pub fn end(&mut self, trailers: Option<HeaderMap>) {
        if !self.fed_all {
            self.fed_all = true;
            self.trailers = trailers;
            self.end_from(0);
        }
    }

    /// What to do next. The same answer until it was done.
    pub fn step(&mut self) -> Step {
        if let Some(bytes) = self.passed.pop_front() {
            self.passed_len -= bytes.len() as u64;
            return Step::Pass(bytes);
        }
        if self.parked {
            return Step::Parked;
        }
        if self.running.is_none() {
            self.running = self.due();
            if let Some((at, Hook::Body(_))) = self.running
                && let Some(stage) = self.stages.get_mut(at)
            {
                stage.window.begin();
                (stage.called, stage.fresh) = (true, false);
            }
        }
        match self.running {
            Some((at, hook)) => match self.stages.get(at) {
                Some(stage) => Step::Call(stage.spec.at, hook),
                None => Step::Over,
            },
            None if self.all_passed => Step::Over,
            None => Step::More,
        }
    }

    /// What the running hook may look at and change.
    pub fn part(&mut self) -> Option<Part<'_>> {
        let (at, hook) = self.running?;
        let stage = self.stages.get_mut(at)?;
        let need = stage.spec.need;
        Some(match hook {
            Hook::Trailers => {
                let trailers = self.trailers.get_or_insert_default();
                Part::Trailers { trailers, need }
            }
            Hook::Body(_) => Part::Window {
                window: &mut stage.window,
                need,
                end: hook.is_end(),
            },
        })
    }

    /// The hook that runs or waits, and whose it is.
    #[must_use]
    pub fn running(&self) -> Option<(usize, Hook)> {
        let (at, hook) = self.running?;
        Some((self.stages.get(at)?.spec.at, hook))
    }

    /// Whether the running hook may answer that it wants more before anything goes on.
    #[must_use]
    pub fn may_buffer(&self) -> bool {
        self.running.is_some_and(|(at, hook)| {
            let stage = self.stages.get(at);
            let declared = stage.is_some_and(|stage| stage.spec.need == Need::Buffer);
            declared && matches!(hook, Hook::Body(_)) && !hook.is_end()
        })
    }

    /// Says what the running hook came to.
    ///
    /// # Errors
    /// The plugin keeps more than it may.
    pub fn settle(&mut self, verdict: Verdict) -> Result<(), Overflow> {
        if verdict == Verdict::Pending {
            self.parked = self.running.is_some();
            return Ok(());
        }
        self.parked = false;
        let Some((at, hook)) = self.running.take() else {
            return Ok(());
        };
        if hook == Hook::Trailers {
            self.trailers_at = at + 1;
            return Ok(());
        }
        match verdict {
            Verdict::Buffer if !hook.is_end() => self.keep(at),
            Verdict::Out => {
                self.pass_out(at, hook.is_end());
                Ok(())
            }
            _ => self.pass_on(at, hook.is_end()),
        }
    }

    /// Takes a plugin out, which failed elsewhere: what it has goes on.
    pub fn take_out(&mut self, at: usize) {
        let found = |stage: &Stage| stage.spec.at == at && !stage.out;
        if let Some(position) = self.stages.iter().position(found) {
            if self.running.is_some_and(|(running, _)| running == position) {
                self.running = None;
                self.parked = false;
            }
            let ending = self.stages.get(position).is_some_and(|stage| stage.ending);
            self.pass_out(position, ending);
        }
    }

    /// How many bytes will pass in all, once that is known and if none has passed before.
    #[must_use]
    pub fn known_len(&self) -> Option<u64> {
        self.all_passed.then_some(self.passed_len)
    }

    /// Bytes that plugins keep.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.stages.iter().map(|stage| stage.window.len()).sum()
    }

    /// Tells how many bytes each plugin keeps now, and how many it was last said to keep, where the two differ.
    pub fn tell_kept(&mut self, mut tell: impl FnMut(usize, u64, u64)) {
        for stage in &mut self.stages {
            let kept = stage.window.len();
            if kept != stage.told {
                tell(stage.spec.at, kept, stage.told);
                stage.told = kept;
            }
        }
    }

    /// Throws away what plugins keep: nobody wants it any more.
    pub fn clear(&mut self) {
        for stage in &mut self.stages {
            stage.window = Window::new(stage.spec.room);
        }
        self.passed.clear();
    }

    /// The fields after the body.
    #[must_use]
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// The fields after the body, once everything has passed.
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }
}
