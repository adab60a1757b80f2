//! One direction of an exchange: what arrives, what a plugin has of it, what was passed on.

use std::collections::VecDeque;

use swapgate_abi::code;

use super::{Call, Stage};
use crate::testing::window::Window;

/// One direction.
#[derive(Debug)]
pub(in crate::testing) struct Way {
    pub(super) stage: Stage,
    pub(in crate::testing) window: Window,
    pub(super) incoming: VecDeque<Vec<u8>>,
    /// Nothing more will be put in.
    pub(super) ended: bool,
    /// A hook was told of the end.
    pub(super) end_told: bool,
    first_told: bool,
    pub(in crate::testing) ignored: bool,
    pub(in crate::testing) waiting: Option<Call>,
    pub(super) trailers: bool,
    pub(super) passed: Vec<u8>,
}

impl Way {
    pub(super) fn new(stage: Stage) -> Self {
        Self {
            stage,
            window: Window::default(),
            incoming: VecDeque::new(),
            ended: false,
            end_told: false,
            first_told: false,
            ignored: false,
            waiting: None,
            trailers: false,
            passed: Vec::new(),
        }
    }

    pub(in crate::testing) fn feed(&mut self, bytes: &[u8]) {
        self.incoming.push_back(bytes.to_vec());
    }

    pub(in crate::testing) fn end(&mut self) {
        self.ended = true;
    }

    /// Takes the next piece into the window. None: there is none yet.
    pub(super) fn arrive(&mut self) -> Option<u32> {
        let next = self.incoming.pop_front();
        if next.is_none() && !self.ended {
            return None;
        }
        self.window.arrive(next.unwrap_or_default());
        let mut flags = 0;
        if self.ended && self.incoming.is_empty() {
            self.end_told = true;
            flags |= code::SG_BODY_END;
        }
        if !std::mem::replace(&mut self.first_told, true) {
            flags |= code::SG_BODY_FIRST;
        }
        Some(flags)
    }

    pub(in crate::testing) fn passed(&self) -> &[u8] {
        &self.passed
    }
}
