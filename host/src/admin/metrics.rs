//! The page that `/metrics` answers: what the rooms counted, and what control wrote down.

use std::collections::BTreeMap;

use super::Admin;
use crate::fault::breaker::Faults;
use crate::journal;
use crate::metrics::page::{Family, Page};
use crate::metrics::{names, process};
use crate::panics;
use crate::plugin::account::HookTotals;
use crate::plugin::catalog::Account;

/// The whole page.
///
/// # Errors
/// What the encoder says; a fault of the gateway.
pub(super) fn text(admin: &Admin) -> Result<String, prometheus::Error> {
    let mut page = Page::default();
    admin.metrics.routes.show(&mut page);
    admin.metrics.traffic.show(&mut page);
    admin.metrics.health.show(&mut page);
    admin.metrics.admission.show(&mut page);
    hooks(admin, &mut page);
    usage(admin, &mut page);
    health(admin, &mut page);
    images(admin, &mut page);
    certificates(admin, &mut page);
    admin.metrics.events.show(&mut page);
    generations(admin, &mut page);
    journal::show(&mut page);
    panics::show(&mut page);
    process::show(&mut page);
    for shown in admin.metrics.book.scrape() {
        page.add_plugin(&shown);
    }
    page.text()
}

/// What every version of every plugin did.
fn hooks(admin: &Admin, page: &mut Page) {
    let accounts = admin.images.accounts();
    let mut show = |name, number: &dyn Fn(&HookTotals) -> f64| {
        let mut family = Family::of(name);
        for Account {
            plugin,
            version,
            hooks,
            ..
        } in &accounts
        {
            for hook in hooks {
                family.number(&[plugin, version, hook.hook], number(hook));
            }
        }
        page.add(family);
    };
    show(&names::PLUGIN_CALLS, &|hook| whole(hook.calls));
    show(&names::PLUGIN_ERRORS, &|hook| whole(hook.errors));
    show(&names::PLUGIN_PANICS, &|hook| whole(hook.panics));
    show(&names::PLUGIN_SAMPLED_SECONDS, &|hook| {
        whole(hook.sampled_ns) / 1e9
    });
    show(&names::PLUGIN_SAMPLED_CALLS, &|hook| {
        whole(hook.sampled_calls)
    });
}

/// What every version of every plugin uses just now.
fn usage(admin: &Admin, page: &mut Page) {
    let accounts = admin.images.accounts();
    let mut show = |name, number: &dyn Fn(&Account) -> Option<u64>| {
        let mut family = Family::of(name);
        for account in &accounts {
            if let Some(number) = number(account) {
                family.count(&[&account.plugin, &account.version], number);
            }
        }
        page.add(family);
    };
    show(&names::PLUGIN_OPERATIONS, &|account| {
        Some(account.usage.pending_operations)
    });
    show(&names::PLUGIN_BUFFERED, &|account| {
        Some(account.usage.buffered_bytes)
    });
    show(&names::PLUGIN_MEMORY, &|account| account.memory_bytes);
    let mut family = Family::of(&names::PLUGIN_KV);
    for (plugin, kept) in admin.metrics.kv.get().iter().flat_map(|kv| kv.accounts()) {
        family.count(&[&plugin], kept.bytes());
    }
    page.add(family);
}

/// What went wrong in every version of every plugin; a version may have had several files.
fn health(admin: &Admin, page: &mut Page) {
    let reports = admin.images.report();
    let mut versions: BTreeMap<(&str, &str), (Faults, u64)> = BTreeMap::new();
    for image in &reports {
        let (faults, state) = versions.entry((&image.id, &image.version)).or_default();
        faults.add(&image.health.faults);
        *state = (*state).max(match image.health.breaker {
            "open" => 2,
            "half-open" => 1,
            _ => 0,
        });
    }
    let mut by_kind = Family::of(&names::PLUGIN_FAULTS);
    let mut states = Family::of(&names::BREAKER);
    let mut opened = Family::of(&names::BREAKER_OPENED);
    for ((plugin, version), (faults, state)) in &versions {
        let kinds = [
            ("error", faults.errors),
            ("panic", faults.panics),
            ("unknown", faults.unknown),
            ("over_budget", faults.over_budget),
        ];
        for (kind, count) in kinds {
            by_kind.count(&[plugin, version, kind], count);
        }
        states.count(&[plugin, version], *state);
        opened.count(&[plugin, version], faults.opened);
    }
    page.add(by_kind);
    page.add(states);
    page.add(opened);
}

#[allow(
    clippy::cast_precision_loss,
    reason = "the format has no other numbers; exact up to 2^53"
)]
fn whole(number: u64) -> f64 {
    number as f64
}

fn images(admin: &Admin, page: &mut Page) {
    let mut states: BTreeMap<String, u64> = BTreeMap::new();
    let mut resident: BTreeMap<String, u64> = BTreeMap::new();
    for image in admin.images.report() {
        // `stuck(hook)` is one state here: what it is stuck in is told by /plugins.
        let state = image.state.split('(').next().unwrap_or_default();
        *states.entry(state.to_owned()).or_default() += 1;
        let stays = resident.entry(image.id).or_default();
        *stays += u64::from(state == "resident");
    }
    let mut family = Family::of(&names::IMAGES);
    for (state, count) in &states {
        family.count(&[state], *count);
    }
    page.add(family);
    let mut family = Family::of(&names::RESIDENT);
    for (plugin, count) in &resident {
        family.count(&[plugin], *count);
    }
    page.add(family);
    let mut family = Family::of(&names::STUCK_HOOKS);
    family.count(&[], admin.watchdog.stuck().len() as u64);
    page.add(family);
    let mut family = Family::of(&names::STUCK);
    family.count(&[], admin.board.read(|status| status.stuck.len()) as u64);
    page.add(family);
}

/// When the certificates of listeners end.
fn certificates(admin: &Admin, page: &mut Page) {
    let mut family = Family::of(&names::CERTIFICATE_EXPIRY);
    let expiries = admin.board.read(|status| status.expiries.clone());
    for one in expiries {
        let end = u64::try_from(one.unix_s).unwrap_or(0);
        family.count(&[&one.listener, &one.name], end);
    }
    page.add(family);
}

fn generations(admin: &Admin, page: &mut Page) {
    let (generation, draining) = admin
        .board
        .read(|status| (status.generation, status.draining.len()));
    if let Some(drain) = admin.board.read(|status| status.drain) {
        let mut family = Family::of(&names::DRAIN_LEFT);
        let left = drain.left;
        for (what, count) in [
            ("connections", left.connections),
            ("exchanges", left.exchanges),
            ("tunnels", left.tunnels),
        ] {
            family.count(&[what], count as u64);
        }
        page.add(family);
    }
    let mut family = Family::of(&names::GENERATION);
    family.count(&[], generation);
    page.add(family);
    let mut family = Family::of(&names::DRAINING);
    family.count(&[], draining as u64);
    page.add(family);
    let abi = format!("{}.{}", swapgate_abi::ABI_MAJOR, swapgate_abi::ABI_MINOR);
    let mut family = Family::of(&names::BUILD);
    family.count(&[env!("CARGO_PKG_VERSION"), &abi], 1);
    page.add(family);
}
