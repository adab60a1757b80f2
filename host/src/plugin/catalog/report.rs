//! What the admin API shows of an image.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use super::slot::Slot;
use super::state::State;
use crate::fault::breaker::HealthReport;
use crate::fault::label;
use crate::plugin::account::HookTotals;
use crate::plugin::ffi::handover::Memory;
use crate::plugin::image::{Digest, Door, ImageKey};
use crate::plugin::inspect::Unload;
use crate::plugin::instance::{Inherited, Instance};
use crate::plugin::usage::UsageTotals;

/// One image, as `/plugins` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageReport {
    /// Id of the plugin.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Digest of the file.
    pub digest: Digest,
    /// The file as the operator knows it.
    pub file: String,
    /// The door it is entered through.
    pub door: Door,
    /// The contract it is built for.
    pub abi: String,
    /// What it was written with.
    pub sdk: String,
    /// What it was built with.
    pub toolchain: String,
    /// Its state; `stuck` where a call has not returned and it does not serve.
    pub state: String,
    /// Since when, in seconds since 1970.
    pub since_unix_s: u64,
    /// Why it was refused, stays mapped or will, or is stuck.
    pub reasons: Vec<String>,
    /// Whether it is mapped into this process.
    pub mapped: bool,
    /// Its instances that are alive.
    pub instances: Vec<InstanceReport>,
    /// What its instances use just now.
    #[serde(flatten)]
    pub usage: UsageTotals,
    /// Its faults, and whether its breaker lets it be called.
    pub health: HealthReport,
    /// How much memory it uses, as it counts itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// The accounts of its hooks, instances that are gone included.
    pub hooks: Vec<HookTotals>,
}

/// One instance, as `/plugins` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceReport {
    /// Names its configuration without showing it.
    pub config: String,
    /// Its place in every phase.
    pub priority: i32,
    /// What became of the state of the instance whose place it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Inherited>,
    /// What it uses just now.
    #[serde(flatten)]
    pub usage: UsageTotals,
    /// The accounts of its hooks.
    pub hooks: Vec<HookTotals>,
}

pub(super) fn of(slot: &Slot, live: &[(ImageKey, Arc<Instance>)]) -> ImageReport {
    let instances: Vec<InstanceReport> = live
        .iter()
        .filter(|(key, _)| *key == slot.key)
        .map(|(_, instance)| InstanceReport {
            config: instance.config().shown(),
            priority: instance.priority(),
            state: instance.inherited().cloned(),
            usage: instance.usage(),
            hooks: instance.totals(),
        })
        .collect();
    let mapped = slot.is_mapped();
    let shown = slot.shown();
    let hooks = shown.totals();
    let serves = matches!(shown.state, State::Active | State::Draining);
    let state = match shown.stuck.first() {
        Some(hook) if !serves => format!("stuck({hook})"),
        _ => shown.state.name().to_owned(),
    };
    let descriptor = &shown.fit.inspected.descriptor;
    ImageReport {
        id: descriptor.id.clone(),
        version: descriptor.version.to_string(),
        digest: slot.key.digest,
        file: shown.fit.staged.shown.to_string(),
        door: slot.key.door,
        abi: format!("{}.{}", descriptor.abi_major, descriptor.abi_max_minor),
        sdk: descriptor.sdk.clone(),
        toolchain: descriptor.toolchain.clone(),
        state,
        since_unix_s: shown
            .since
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
        reasons: reasons(
            &shown.state,
            &shown.fit.inspected.unload,
            shown.stuck.first().copied(),
        ),
        mapped,
        instances,
        usage: shown.usage(),
        health: HealthReport::of(&label::of(&shown.fit.identity()).health),
        memory: shown.memory,
        hooks,
    }
}

fn reasons(state: &State, unload: &Unload, stuck: Option<&str>) -> Vec<String> {
    let mut reasons: Vec<String> = match (state, unload) {
        (State::Refused(refusal), _) => vec![refusal.text()],
        (State::Resident(pins), _) | (State::Draining | State::Retired, Unload::Resident(pins)) => {
            pins.iter().map(ToString::to_string).collect()
        }
        _ => Vec::new(),
    };
    let already = matches!(state, State::Resident(_));
    if let Some(hook) = stuck.filter(|_| !already) {
        reasons.push(format!("{hook} has not returned"));
    }
    reasons
}
