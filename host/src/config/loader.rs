//! From raw to ready: how plugin files are admitted, and what becomes of those that go wrong.

use super::raw::{RawFaults, RawLoader, RawPermissions, RawUnload};
use super::ready::{Breaker, Faults, Loader, Permissions, UnloadPolicy};
use super::validate::{Checker, within_schema};

pub(super) fn loader(check: &mut Checker<'_>, raw: &RawLoader) -> Loader {
    Loader {
        permissions: match raw.permissions {
            RawPermissions::Strict => Permissions::Strict,
            RawPermissions::Relaxed => Permissions::Relaxed,
        },
        preflight_timeout: check.duration("/loader/preflight_timeout", &raw.preflight_timeout),
        call_timeout: check.duration("/loader/call_timeout", &raw.call_timeout),
        unload: match raw.unload {
            RawUnload::Auto => UnloadPolicy::Auto,
            RawUnload::Never => UnloadPolicy::Never,
        },
        max_images: within_schema(raw.max_images),
        state_bytes: within_schema(
            check
                .size("/loader/state_bytes", &raw.state_bytes)
                .unwrap_or_default(),
        ),
    }
}

pub(super) fn faults(check: &mut Checker<'_>, raw: &RawFaults) -> Faults {
    Faults {
        hook_budget: check.duration("/faults/hook_budget", &raw.hook_budget),
        breaker: Breaker {
            faults: within_schema(raw.breaker.faults),
            window: check.duration("/faults/breaker/window", &raw.breaker.window),
            open: check.duration("/faults/breaker/open", &raw.breaker.open),
        },
        probation: check.duration("/faults/probation", &raw.probation),
        return_after: raw.return_after,
        hung: check.duration("/faults/hung", &raw.hung),
        crashes: raw.crashes,
    }
}
