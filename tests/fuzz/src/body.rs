//! Edits of bodies by plugins, beside a model that holds plain vectors.
//!
//! The model knows no order of calls: it follows the pipeline from call to call, edits its own windows in the same way, and
//! every window, refusal and byte must be the same.

use bytes::Bytes;
use swapgate::stream::{Hook, Misfit, Need, Part, Pipeline, Spec, Step, Verdict, Window};
use swapgate_abi as abi;

use crate::input::Input;

/// What a plugin may add, small enough to be reached.
const ROOM: u64 = 600;

/// One plugin of the model.
struct Stage {
    need: Need,
    keep: u64,
    window: Vec<u8>,
    out: bool,
    begun: bool,
    ended: bool,
}

/// The model and what it follows.
struct World<'a> {
    input: Input<'a>,
    pipeline: Pipeline,
    stages: Vec<Stage>,
    /// What the model lets out, and what came out.
    wanted: Vec<u8>,
    out: Vec<u8>,
}

/// A byte for how many plugins, two for each of them; then what happens: pieces that come, and edits.
pub fn body(data: &[u8]) {
    let mut input = Input::new(data);
    let count = usize::from(input.byte() % 4);
    let stages: Vec<Stage> = (0..count).map(|_| stage(&mut input)).collect();
    let specs = stages.iter().enumerate().map(|(at, stage)| Spec {
        at,
        need: stage.need,
        body: true,
        trailers: false,
        keep: stage.keep,
        room: ROOM,
    });
    let mut world = World {
        pipeline: Pipeline::new(specs),
        input,
        stages,
        wanted: Vec::new(),
        out: Vec::new(),
    };
    let _ = world.run();
}

fn stage(input: &mut Input<'_>) -> Stage {
    let need = match input.byte() % 3 {
        0 => Need::Observe,
        1 => Need::Transform,
        _ => Need::Buffer,
    };
    Stage {
        need,
        keep: u64::from(input.byte()) * 8,
        window: Vec::new(),
        out: false,
        begun: false,
        ended: false,
    }
}

impl World<'_> {
    /// Ends early where a plugin keeps more than it may, as the exchange does.
    fn run(&mut self) -> Option<()> {
        while !self.input.is_empty() {
            if self.input.byte() == 0xff {
                self.take_out();
            }
            let piece = self.input.piece();
            self.pipeline.feed(Bytes::copy_from_slice(piece));
            self.arrives(0, piece);
            self.drive(false)?;
        }
        self.pipeline.end(None);
        self.drive(true)?;
        assert_eq!(self.pipeline.kept(), 0, "something stayed behind");
        for stage in &self.stages {
            assert!(stage.ended || stage.out, "nobody told it that it is over");
            assert!(stage.window.is_empty());
        }
        Some(())
    }

    /// Until more is wanted.
    fn drive(&mut self, over: bool) -> Option<()> {
        loop {
            match self.pipeline.step() {
                Step::Pass(bytes) => {
                    assert!(!bytes.is_empty());
                    self.out.extend_from_slice(&bytes);
                }
                Step::Call(at, hook) => self.call(at, hook)?,
                Step::Parked => self.resume()?,
                Step::More => {
                    assert!(!over);
                    break;
                }
                Step::Over => {
                    assert!(over);
                    break;
                }
            }
        }
        assert_eq!(self.out, self.wanted);
        let kept: usize = self.stages.iter().map(|stage| stage.window.len()).sum();
        assert_eq!(self.pipeline.kept(), kept as u64);
        Some(())
    }

    fn call(&mut self, at: usize, hook: Hook) -> Option<()> {
        let stage = &mut self.stages[at];
        assert!(!stage.out && !stage.ended, "called after its end");
        let first = hook.flags() & abi::SG_BODY_FIRST != 0;
        assert_eq!(first, !stage.begun, "the first call is not the first");
        stage.begun = true;
        let before = stage.window.clone();
        let held = self.edit(at, hook.is_end());
        let choice = self.input.byte();
        self.settle(at, hook, (choice, held), before)
    }

    /// Some edits; how much is held at their end.
    fn edit(&mut self, at: usize, end: bool) -> usize {
        let model = &mut self.stages[at].window;
        let Some(Part::Window { window, need, .. }) = self.pipeline.part() else {
            panic!("a hook runs without a window");
        };
        assert_eq!(shown(window), *model);
        let mut held = 0;
        if !need.changes() {
            return held;
        }
        for _ in 0..self.input.byte() % 4 {
            let bytes = match self.input.byte() % 5 {
                0 => {
                    let count = self.input.byte();
                    let fits = usize::from(count) <= model.len();
                    assert_eq!(window.drain(u64::from(count)), short(fits));
                    model.drain(..usize::from(count) * usize::from(fits));
                    continue;
                }
                1 => {
                    let count = self.input.byte();
                    let fits = usize::from(count) <= model.len() && !end;
                    if fits {
                        assert_eq!(window.hold(u64::from(count)), Ok(()));
                        held = usize::from(count);
                    }
                    continue;
                }
                2 => {
                    let bytes = self.input.piece();
                    assert_eq!(window.replace(bytes), Ok(()));
                    model.clear();
                    model.extend_from_slice(bytes);
                    continue;
                }
                3 => {
                    let bytes = self.input.piece();
                    let own = Bytes::copy_from_slice(bytes);
                    (bytes, window.append_own(bytes.len(), || own))
                }
                _ => {
                    let bytes = self.input.piece();
                    (bytes, window.append(bytes))
                }
            };
            let fits = (model.len() + bytes.0.len()) as u64 <= ROOM;
            assert_eq!(bytes.1.is_ok(), fits);
            if fits {
                model.extend_from_slice(bytes.0);
            }
        }
        assert_eq!(shown(window), *model);
        assert_eq!(window.len(), model.len() as u64);
        held
    }

    fn settle(
        &mut self,
        at: usize,
        hook: Hook,
        (choice, held): (u8, usize),
        before: Vec<u8>,
    ) -> Option<()> {
        let verdict = match choice % 5 {
            0 if self.pipeline.may_buffer() => Verdict::Buffer,
            1 => Verdict::Pending,
            2 if choice > 200 => Verdict::Out,
            _ => Verdict::Continue,
        };
        if verdict == Verdict::Pending {
            assert_eq!(self.pipeline.settle(verdict), Ok(()));
            assert!(
                matches!(self.pipeline.step(), Step::Parked | Step::Pass(_))
                    || self.out.len() < self.wanted.len()
            );
        }
        let stage = &mut self.stages[at];
        let left = match verdict {
            Verdict::Buffer => stage.window.len(),
            Verdict::Out => {
                stage.window = before;
                stage.out = true;
                0
            }
            Verdict::Pending | Verdict::Continue => held.min(stage.window.len()),
        };
        stage.ended |= hook.is_end() && verdict != Verdict::Out;
        let going = stage.window.len() - left;
        let gone: Vec<u8> = stage.window.drain(..going).collect();
        let full = stage.window.len() as u64 > stage.keep;
        self.arrives(at + 1, &gone);
        let settled = match verdict {
            // It came back, and went on.
            Verdict::Pending => self.pipeline.settle(Verdict::Continue),
            other => self.pipeline.settle(other),
        };
        assert_eq!(settled.is_err(), full && verdict != Verdict::Out);
        settled.ok()
    }

    /// Nothing stays parked here: whoever waits is resumed at once.
    fn resume(&mut self) -> Option<()> {
        panic!("parked, and nobody said so")
    }

    fn arrives(&mut self, from: usize, bytes: &[u8]) {
        let mut later = self.stages.iter_mut().skip(from);
        match later.find(|stage| !stage.out) {
            Some(stage) => stage.window.extend_from_slice(bytes),
            None => self.wanted.extend_from_slice(bytes),
        }
    }

    /// A plugin fails elsewhere, between two calls.
    fn take_out(&mut self) {
        let at = usize::from(self.input.byte() & 3);
        let Some(stage) = self.stages.get_mut(at).filter(|stage| !stage.out) else {
            return;
        };
        stage.out = true;
        let gone = std::mem::take(&mut stage.window);
        self.arrives(at + 1, &gone);
        self.pipeline.take_out(at);
    }
}

const fn short(fits: bool) -> Result<(), Misfit> {
    if fits { Ok(()) } else { Err(Misfit::Short) }
}

fn shown(window: &Window) -> Vec<u8> {
    window.pieces().iter().flatten().copied().collect()
}
