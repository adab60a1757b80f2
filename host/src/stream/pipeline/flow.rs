//! How bytes, and the end of them, move from plugin to plugin.

use bytes::Bytes;
use smallvec::SmallVec;
use swapgate_abi as abi;

use super::Pipeline;
use crate::stream::{Hook, Overflow, Spec, Window};

/// One plugin, and how far it is.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) spec: Spec,
    pub(super) window: Window,
    /// Whether bytes came since its last call.
    pub(super) fresh: bool,
    /// Whether everything before it is over.
    pub(super) ending: bool,
    pub(super) called: bool,
    /// Whether it has passed its end on.
    pub(super) ended: bool,
    /// Whether it takes part no more.
    pub(super) out: bool,
    /// What it was last said to keep.
    pub(super) told: u64,
}

impl Pipeline {
    /// The hook that is due: the last plugin first, so that bytes leave before more of them move.
    pub(super) fn due(&self) -> Option<(usize, Hook)> {
        let stages = self.stages.iter().enumerate();
        for (at, stage) in stages.clone().rev() {
            if !stage.out && !stage.ended && (stage.fresh || stage.ending) {
                let first = if stage.called { 0 } else { abi::SG_BODY_FIRST };
                let end = if stage.ending { abi::SG_BODY_END } else { 0 };
                return Some((at, Hook::Body(first | end)));
            }
        }
        if !self.all_passed || self.trailers.is_none() {
            return None;
        }
        stages
            .skip(self.trailers_at)
            .find(|(_, stage)| stage.spec.trailers && !stage.out)
            .map(|(at, _)| (at, Hook::Trailers))
    }

    /// What a plugin has stays where it is.
    pub(super) fn keep(&mut self, at: usize) -> Result<(), Overflow> {
        if let Some(stage) = self.stages.get_mut(at) {
            stage.window.settle_down();
            stage.limited()?;
        }
        Ok(())
    }

    /// What a plugin has goes on, but for what it holds; `end` ends the body for whoever comes next.
    pub(super) fn pass_on(&mut self, at: usize, end: bool) -> Result<(), Overflow> {
        self.empty(at);
        if end {
            if let Some(stage) = self.stages.get_mut(at) {
                stage.ended = true;
            }
            self.end_from(at + 1);
        }
        self.stages.get(at).map_or(Ok(()), Stage::limited)
    }

    /// A plugin takes part no more: all it has goes on as it was.
    pub(super) fn pass_out(&mut self, at: usize, end: bool) {
        if let Some(stage) = self.stages.get_mut(at) {
            stage.window.undo();
            stage.out = true;
        }
        self.empty(at);
        let ended = self.stages.get(at).is_some_and(|stage| stage.ended);
        if end && !ended {
            self.end_from(at + 1);
        }
    }

    /// Moves what may leave a window on.
    fn empty(&mut self, at: usize) {
        let mut gone: SmallVec<[Bytes; 4]> = SmallVec::new();
        if let Some(stage) = self.stages.get_mut(at) {
            stage.window.pass(|bytes| gone.push(bytes));
        }
        for bytes in gone {
            self.forward(at + 1, bytes);
        }
    }

    /// Hands bytes to the first plugin from here on that looks at bytes, or out.
    pub(super) fn forward(&mut self, from: usize, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        match self.next(from) {
            Some(stage) => {
                stage.fresh = true;
                stage.window.push(bytes);
            }
            None => {
                self.passed_len += bytes.len() as u64;
                self.passed.push_back(bytes);
            }
        }
    }

    /// Tells the first plugin from here on that looks at bytes that there will be no more, or the pipeline.
    pub(super) fn end_from(&mut self, from: usize) {
        match self.next(from) {
            Some(stage) => stage.ending = true,
            None => self.all_passed = true,
        }
    }

    /// The first plugin from here on that looks at bytes.
    fn next(&mut self, from: usize) -> Option<&mut Stage> {
        let mut later = self.stages.iter_mut().skip(from);
        later.find(|stage| stage.spec.body && !stage.out)
    }
}

impl Stage {
    /// Whether it keeps no more than it may.
    fn limited(&self) -> Result<(), Overflow> {
        let limit = self.spec.keep;
        if self.window.len() > limit {
            let at = self.spec.at;
            return Err(Overflow { at, limit });
        }
        Ok(())
    }
}
