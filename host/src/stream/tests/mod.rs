//! A pipeline driven with closures in the place of plugins.

mod chunking;
mod rules;

use bytes::Bytes;
use http::HeaderMap;

use super::{Hook, Need, Overflow, Part, Pipeline, Spec, Step, Verdict, Window};

/// A plugin: looks at its window and the flags.
pub(super) type Plugin<'a> = Box<dyn FnMut(&mut Window, u32) -> Verdict + 'a>;

pub(super) fn spec(at: usize, need: Need) -> Spec {
    Spec {
        at,
        need,
        body: true,
        trailers: false,
        keep: 1 << 20,
        room: 1 << 20,
    }
}

/// Drives bodies through plugins and keeps what comes out.
pub(super) struct Drive<'a> {
    pub(super) pipeline: Pipeline,
    pub(super) plugins: Vec<Plugin<'a>>,
    pub(super) out: Vec<u8>,
}

impl<'a> Drive<'a> {
    pub(super) fn new(plugins: Vec<(Need, Plugin<'a>)>) -> Self {
        let specs: Vec<Spec> = plugins
            .iter()
            .enumerate()
            .map(|(at, (need, _))| spec(at, *need))
            .collect();
        Self::with(
            specs,
            plugins.into_iter().map(|(_, plugin)| plugin).collect(),
        )
    }

    pub(super) fn with(specs: Vec<Spec>, plugins: Vec<Plugin<'a>>) -> Self {
        Self {
            pipeline: Pipeline::new(specs),
            plugins,
            out: Vec::new(),
        }
    }

    /// Until more is wanted, everything stands still, or it is over.
    pub(super) fn run(&mut self) -> Result<Step, Overflow> {
        loop {
            match self.pipeline.step() {
                Step::Pass(bytes) => self.out.extend_from_slice(&bytes),
                Step::Call(at, hook) => self.call(at, hook)?,
                rest => return Ok(rest),
            }
        }
    }

    pub(super) fn call(&mut self, at: usize, hook: Hook) -> Result<(), Overflow> {
        let verdict = match self.pipeline.part() {
            Some(Part::Window { window, .. }) => self.plugins[at](window, hook.flags()),
            Some(Part::Trailers { trailers, .. }) => {
                trailers.append("x-seen-by", at.into());
                Verdict::Continue
            }
            None => unreachable!("a hook runs"),
        };
        self.pipeline.settle(verdict)
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Step, Overflow> {
        self.pipeline.feed(Bytes::copy_from_slice(bytes));
        self.run()
    }

    pub(super) fn end(&mut self, trailers: Option<HeaderMap>) -> Result<Step, Overflow> {
        self.pipeline.end(trailers);
        self.run()
    }
}

/// What a window shows, as one text.
pub(super) fn bytes(window: &Window) -> Vec<u8> {
    window.pieces().iter().flatten().copied().collect()
}
