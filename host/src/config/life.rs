//! From raw to ready: as whom the process runs, and how it comes to its end.

use std::time::Duration;

use super::error::ConfigError;
use super::raw::{RawDrain, RawDuration, RawProcess};
use super::ready::{Drain, Process};
use super::validate::Checker;
use super::value::Flaw;

pub(super) fn drain(check: &mut Checker<'_>, raw: &RawDrain) -> Drain {
    Drain {
        delay: optional(check, "/drain/delay", raw.delay.as_ref()),
        shutdown: check.duration("/drain/shutdown", &raw.shutdown),
        upgrade: check.duration("/drain/upgrade", &raw.upgrade),
        max: optional(check, "/drain/max", raw.max.as_ref()),
    }
}

fn optional(check: &mut Checker<'_>, pointer: &str, raw: Option<&RawDuration>) -> Option<Duration> {
    raw.map(|raw| check.duration(pointer, raw))
}

/// Whether the names exist is asked where they are needed: a file may be checked on another machine.
pub(super) fn process(check: &mut Checker<'_>, raw: &RawProcess) -> Process {
    for (key, name) in [("user", &raw.user), ("group", &raw.group)] {
        if let Some(name) = name {
            let is_name = !name.is_empty() && !name.contains(['\0', ':', '/', '\n']);
            let flaw = || Flaw::new("the name or the number of an account of the system");
            check.value(
                &format!("/process/{key}"),
                is_name.then_some(()).ok_or_else(flaw),
            );
        }
    }
    if raw.group.is_some() && raw.user.is_none() {
        check.error("/process/group", |place| {
            ConfigError::new(place, "a group without a user").advice("write process.user as well")
        });
    }
    Process {
        user: raw.user.clone(),
        group: raw.group.clone(),
    }
}
