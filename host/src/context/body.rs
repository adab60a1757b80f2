//! Bodies as plugins see them: the window of the running hook, and the fields after it.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::{Denied, Frame, Lane, Phase};
use crate::stream::{Misfit, Need, Part, Pipeline, Window};

/// The bodies of both lanes, on their way through the plugins.
#[derive(Debug, Default)]
pub struct Bodies {
    /// Nothing where nobody takes part: then nobody looks at the body either.
    lanes: [Option<Box<Pipeline>>; 2],
    /// Instances that want nothing of a body although their plugin does.
    ignored: Vec<(usize, Lane)>,
    /// Whether the head of the request has not been sent, because a plugin may want all of the body first.
    pub head_waits: bool,
    /// Whether the client takes trailers.
    pub takes_trailers: bool,
}

impl Bodies {
    /// The body of a lane.
    pub fn of(&mut self, lane: Lane) -> Option<&mut Pipeline> {
        self.lane(lane).as_deref_mut()
    }

    /// Puts a pipeline in a lane.
    pub fn put(&mut self, lane: Lane, pipeline: Pipeline) {
        *self.lane(lane) = Some(Box::new(pipeline));
    }

    /// Takes a body away: it is over, or nobody wants it any more.
    pub fn take(&mut self, lane: Lane) -> Option<Box<Pipeline>> {
        self.lane(lane).take()
    }

    /// Whether an instance wants nothing of the body of a lane.
    #[must_use]
    pub fn ignores(&self, owner: usize, lane: Lane) -> bool {
        self.ignored.contains(&(owner, lane))
    }

    fn lane(&mut self, lane: Lane) -> &mut Option<Box<Pipeline>> {
        let [request, response] = &mut self.lanes;
        match lane {
            Lane::Request => request,
            Lane::Response => response,
        }
    }
}

/// Keeps the image of a plugin mapped.
pub trait Keeper {
    /// For as long as the result lives.
    fn keep(&self) -> Arc<dyn Any + Send + Sync>;
}

impl<T: Any + Send + Sync> Keeper for Arc<T> {
    fn keep(&self) -> Arc<dyn Any + Send + Sync> {
        Self::clone(self) as _
    }
}

impl Frame<'_> {
    /// The window of the running hook.
    ///
    /// # Errors
    /// The running hook is not one for bytes.
    pub fn window(&mut self) -> Result<&mut Window, Denied> {
        self.body().map(|(window, ..)| window)
    }

    /// Changes the window of the running hook.
    ///
    /// # Errors
    /// The running hook is not one for bytes, its plugin only looks, or the window refuses.
    pub fn change_body(
        &mut self,
        change: impl FnOnce(&mut Window) -> Result<(), Misfit>,
    ) -> Result<(), Denied> {
        let (window, need, _) = self.body()?;
        if !need.changes() {
            return Err(Denied::Forbidden);
        }
        change(window).map_err(Denied::from)
    }

    /// Adds bytes that the plugin owns to the window of the running hook.
    ///
    /// # Errors
    /// As [`Frame::change_body`].
    pub fn append_own(
        &mut self,
        bytes: usize,
        make: impl FnOnce(Arc<dyn Any + Send + Sync>) -> Bytes,
    ) -> Result<(), Denied> {
        let keeper = self.keeper.ok_or(Denied::WrongPhase)?;
        self.change_body(|window| window.append_own(bytes, || make(keeper.keep())))
    }

    /// Holds the last bytes of the window back.
    ///
    /// # Errors
    /// As [`Frame::change_body`]; and at the end of the body, where nothing can wait for more.
    pub fn hold_body(&mut self, bytes: u64) -> Result<(), Denied> {
        let (_, _, end) = self.body()?;
        self.change_body(|window| {
            if end && bytes > 0 {
                return Err(Misfit::Short);
            }
            window.hold(bytes)
        })
    }

    /// Takes the running instance out of the body of a lane.
    ///
    /// # Errors
    /// No such lane, or it is too late for it.
    pub fn ignore_body(&mut self, lane: u32) -> Result<(), Denied> {
        let lane = Lane::from_number(lane).ok_or(Denied::Invalid)?;
        let in_time = match (lane, self.phase) {
            (Lane::Request, Phase::Access)
            | (Lane::Response, Phase::Rewrite | Phase::Access | Phase::HeaderFilter) => true,
            (Lane::Response, Phase::RequestBody) => self.context.response.is_none(),
            _ => false,
        };
        if !in_time {
            return Err(Denied::WrongPhase);
        }
        if !self.context.bodies.ignores(self.owner, lane) {
            self.context.bodies.ignored.push((self.owner, lane));
        }
        Ok(())
    }

    /// Whether the request's head can still change although its body has begun.
    pub(super) fn head_waits(&self) -> bool {
        self.phase == Phase::RequestBody && self.context.bodies.head_waits
    }

    pub(super) fn trailers(&self, lane: Lane) -> Result<&HeaderMap, Denied> {
        let trailers = self.in_trailers(lane)?.trailers();
        trailers.ok_or(Denied::WrongPhase)
    }

    pub(super) fn trailers_mut(&mut self, lane: Lane) -> Result<&mut HeaderMap, Denied> {
        self.in_trailers(lane)?;
        match self.part() {
            Some(Part::Trailers { need, .. }) if !need.changes() => Err(Denied::Forbidden),
            Some(Part::Trailers { trailers, .. }) => Ok(trailers),
            _ => Err(Denied::WrongPhase),
        }
    }

    fn in_trailers(&self, lane: Lane) -> Result<&Pipeline, Denied> {
        let [request, response] = &self.context.bodies.lanes;
        let pipeline = match lane {
            Lane::Request => request,
            Lane::Response => response,
        };
        let here = self.phase == Phase::Trailers && self.lane == lane;
        let pipeline = pipeline.as_deref().filter(|_| here);
        pipeline.ok_or(Denied::WrongPhase)
    }

    fn body(&mut self) -> Result<(&mut Window, Need, bool), Denied> {
        if !self.phase.is_of_body() {
            return Err(Denied::WrongPhase);
        }
        match self.part() {
            Some(Part::Window { window, need, end }) => Ok((window, need, end)),
            _ => Err(Denied::WrongPhase),
        }
    }

    /// What the running hook is about, if it is the one that its lane is busy with.
    fn part(&mut self) -> Option<Part<'_>> {
        let owner = self.owner;
        let pipeline = self.context.bodies.of(self.lane)?;
        let runs = pipeline.running().is_some_and(|(at, _)| at == owner);
        if runs { pipeline.part() } else { None }
    }
}

impl From<Misfit> for Denied {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::Short => Self::Invalid,
            Misfit::TooLarge => Self::TooLarge,
        }
    }
}
