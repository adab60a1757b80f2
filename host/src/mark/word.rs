//! What a call is, as one number, and the names behind it.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::context::Phase;

/// Names of routes that can be marked; later ones are called "(other)".
const ROUTES: usize = 1 << 16;
static NAMES: [OnceLock<Box<str>>; ROUTES] = [const { OnceLock::new() }; ROUTES];

/// Hooks of an exchange by their numbers at the contract.
const HOOKS: [&str; 11] = [
    "(none)",
    "rewrite",
    "access",
    "request_body",
    "header_filter",
    "body_filter",
    "trailers",
    "log",
    "request_end",
    "on_event",
    "on_tick",
];
/// Where the numbers of control calls begin.
const CONTROL: u8 = 32;
const CONTROL_HOOKS: [&str; 15] = [
    "a control call",
    "a constructor",
    "sg_plugin_entry",
    "load",
    "configure",
    "start",
    "on_tick",
    "on_op_done",
    "memory",
    "a blocking function",
    "export_state",
    "import_state",
    "destroy",
    "unload",
    "a destructor",
];

/// What a call is, in one word: 24 bits of label, 8 of hook, 32 of route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct What(pub(super) u64);

impl What {
    /// A hook of an exchange.
    pub(super) fn hook(label: u32, phase: Phase, route: u32) -> Self {
        let hook = u8::try_from(phase as u32).unwrap_or(0);
        Self::new(label, hook, route)
    }

    /// A control call.
    pub(super) fn control(label: u32, hook: &str) -> Self {
        let known = CONTROL_HOOKS.iter().position(|known| *known == hook);
        let hook = CONTROL + u8::try_from(known.unwrap_or(0)).unwrap_or(0);
        Self::new(label, hook, 0)
    }

    fn new(label: u32, hook: u8, route: u32) -> Self {
        Self((u64::from(label) << 40) | (u64::from(hook) << 32) | u64::from(route))
    }

    /// The label of the plugin's version; none while no plugin runs.
    pub(super) fn label(self) -> Option<u32> {
        let label = u32::try_from(self.0 >> 40).ok();
        label.filter(|label| *label > 0)
    }

    /// The name of the hook.
    pub(super) fn hook_name(self) -> &'static str {
        let hook = usize::try_from((self.0 >> 32) & 0xff).unwrap_or(0);
        let control = usize::from(CONTROL);
        let found = match hook.checked_sub(control) {
            Some(control) => CONTROL_HOOKS.get(control),
            None => HOOKS.get(hook),
        };
        found.copied().unwrap_or("(none)")
    }

    /// The name of the route; empty where the call is not for one.
    pub(super) fn route_name(self) -> &'static str {
        let route = usize::try_from(self.0 & 0xffff_ffff).unwrap_or(0);
        match NAMES.get(route) {
            Some(name) => name.get().map_or("", |name| name),
            None => "(other)",
        }
    }
}

/// The number under which the name of a route is marked. Kept for the life of the process, so that the mark of a route that
/// is gone still has a name.
#[must_use]
pub fn route(name: &str) -> u32 {
    static NUMBERS: Mutex<Option<HashMap<Box<str>, u32>>> = Mutex::new(None);
    let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let numbers = numbers.get_or_insert_default();
    if let Some(number) = numbers.get(name) {
        return *number;
    }
    let number = numbers.len() + 1;
    let Some(place) = NAMES.get(number) else {
        return u32::MAX;
    };
    let _ = place.set(name.into());
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    numbers.insert(name.into(), number);
    number
}
