//! Upstreams, with what is known of their targets and counted.

use std::iter;
use std::sync::Arc;

use super::Reusable;
use crate::admission::{Fuse, Limit};
use crate::config::ready::Config;
use crate::counted::Metrics;
use crate::discovery::Known;
use crate::discovery::known::Located;
use crate::endpoint::Endpoint;
use crate::health::clock;
use crate::metrics::retries::Retried;
use crate::metrics::traffic::{Attempts, Connections};
use crate::snapshot::{Target, TargetAccount, Upstream};
use crate::tls::Material;
use crate::upstream::balance::Ring;
use crate::upstream::manner::Manner;

/// The upstreams of a generation; those that would be the same as before are those of before.
pub(super) fn upstreams(
    config: &Config,
    generation: u64,
    metrics: &Metrics,
    (material, known): (&Material, &Known),
    before: &Reusable,
) -> Vec<Arc<Upstream>> {
    // Targets that come later than the process have to warm up, where that is wanted.
    let since_ms = if generation == 1 { 0 } else { clock::now_ms() };
    let new = config.upstreams.iter();
    let new = new.map(|one| upstream(one, (metrics, since_ms), material, known));
    let before = before.upstreams().iter().map(Some);
    new.zip(before.chain(iter::repeat(None)))
        .map(|(new, old)| {
            old.filter(|old| have_same_targets(old, &new))
                .map_or(Arc::new(new), Arc::clone)
        })
        .collect()
}

/// The account of the addresses that plugins choose: one for all, because there may be many.
pub(super) fn elsewhere(metrics: &Metrics) -> TargetAccount {
    TargetAccount {
        health: Arc::default(),
        attempts: Arc::new(Attempts::new(metrics.workers)),
        retried: Arc::new(Retried::new(metrics.workers)),
        connections: Arc::new(Connections::new(metrics.workers)),
    }
}

fn upstream(
    upstream: &crate::config::ready::Upstream,
    counted: (&Metrics, u64),
    material: &Material,
    known: &Known,
) -> Upstream {
    let target = |target: Located| Target {
        account: account(&upstream.name, &target.address, counted),
        address: target.address,
        name: target.name,
        weight: target.weight,
        priority: target.priority,
    };
    let targets: Vec<_> = known
        .locate(&upstream.targets)
        .into_iter()
        .map(target)
        .collect();
    Upstream {
        name: Arc::clone(&upstream.name),
        balance: upstream.balance.clone(),
        manner: Manner {
            protocol: upstream.protocol,
            tls: material.upstream(&upstream.name).cloned(),
        },
        ring: Ring::of(&upstream.balance, &targets),
        targets,
        health: upstream.health.clone(),
        limit: Limit::of(
            &counted.0.admission.upstreams,
            &upstream.name,
            upstream.concurrency,
        ),
        fuse: Fuse::of(
            &counted.0.admission.breakers,
            &upstream.name,
            counted.0.workers,
            upstream.breaker.as_ref(),
        ),
    }
}

/// Whether two makings of one upstream differ in nothing.
fn have_same_targets(old: &Upstream, new: &Upstream) -> bool {
    let what = |target: &Target| (target.weight, target.priority, target.name.clone());
    let mut pairs = old.targets.iter().zip(&new.targets);
    old.targets.len() == new.targets.len()
        && pairs.all(|(old, new)| old.address == new.address && what(old) == what(new))
}

/// What is known of a target of an upstream, and counted; a new one comes into rotation then.
fn account(
    upstream: &Arc<str>,
    target: &Endpoint,
    (metrics, since_ms): (&Metrics, u64),
) -> TargetAccount {
    let traffic = &metrics.traffic;
    let key = (Arc::clone(upstream), target.clone());
    TargetAccount {
        health: metrics.health.target(upstream, target, since_ms),
        attempts: traffic
            .attempts
            .get(&key, || Attempts::new(metrics.workers)),
        retried: traffic
            .retried
            .get(upstream, || Retried::new(metrics.workers)),
        connections: traffic
            .targets
            .get(target, || Connections::new(metrics.workers)),
    }
}
