//! Which plugins run for a route: those of the gateway, of its service and its own, merged into one chain.

use std::sync::Arc;

use crate::chain::{Chain, Link};
use crate::config::ready::{Config, PluginUse};
use crate::context::Phase;
use crate::control::resolve::Resolved;
use crate::snapshot::{Keep, Plan};

/// What runs, where.
pub(super) struct Plans {
    /// Before routing, and where no route matched.
    pub(super) global: Plan,
    /// Of each route.
    pub(super) routes: Vec<Plan>,
}

impl Plans {
    /// What uses got, where they are attached.
    pub(super) fn of(config: &Config, resolved: &[Resolved]) -> Self {
        let mut left = resolved.iter();
        let everywhere = attached(&config.plugins, &mut left);
        let services: Vec<_> = config
            .services
            .iter()
            .map(|service| attached(&service.plugins, &mut left))
            .collect();
        let global = plan(&[&everywhere]);
        let rewrites = !global.chain.of(Phase::Rewrite).is_empty();
        let routes = config.routes.iter().map(|route| {
            let own = attached(&route.plugins, &mut left);
            let service = route.service().and_then(|service| services.get(service));
            let service = service.map_or(&[][..], Vec::as_slice);
            // Where a plugin is attached in several ways, the narrower one wins (Kong's order of precedence).
            let mut plan = plan(&[&own, service, &everywhere]);
            if rewrites {
                // A global instance that ran in `rewrite` hears of the end although the route may have its own use of it.
                plan.keep.request |= global.keep.request;
                plan.keep.answer |= global.keep.answer;
            }
            plan
        });
        let routes = routes.collect();
        Self { global, routes }
    }
}

/// A use and what it got.
type Attached<'a> = (&'a PluginUse, &'a Resolved);

fn attached<'a>(
    list: &'a [PluginUse],
    left: &mut impl Iterator<Item = &'a Resolved>,
) -> Vec<Attached<'a>> {
    list.iter().zip(left).collect()
}

/// Attachments in their ways, the narrowest first. Each with the number of its way, and with that of the narrower way in
/// which the same plugin is attached: then it does not count.
pub(in crate::control) fn merged<'a, T>(
    ways: &[&'a [(&'a PluginUse, T)]],
) -> Vec<(usize, &'a (&'a PluginUse, T), Option<usize>)> {
    let mut taken: Vec<(&str, usize)> = Vec::new();
    let mut merged = Vec::new();
    for (way, list) in ways.iter().enumerate() {
        for attached in *list {
            let name = &*attached.0.name;
            let narrower = taken.iter().find(|(other, _)| *other == name);
            merged.push((way, attached, narrower.map(|(_, way)| *way)));
            if narrower.is_none() {
                taken.push((name, way));
            }
        }
    }
    merged
}

/// Merges attachments, the narrowest first, into one chain.
fn plan(ways: &[&[Attached<'_>]]) -> Plan {
    let mut links: Vec<Link> = Vec::new();
    let mut unavailable = None;
    for (_, (use_, resolved), narrower) in merged(ways) {
        if narrower.is_some() {
            continue;
        }
        match resolved {
            Ok(instance) => links.push(Link {
                instance: Arc::clone(instance),
                on_error: use_.on_error,
                priority: use_.priority.unwrap_or_else(|| instance.priority()),
            }),
            // Not even `on_error: open` serves without it: the plugin never had its say.
            Err(reason) => {
                unavailable.get_or_insert_with(|| reason.clone());
            }
        }
    }
    let chain = Chain::compile(links);
    let keep = Keep {
        request: chain.reads_request_later(),
        answer: chain.reads_answer_later(),
    };
    Plan {
        chain,
        unavailable,
        keep,
    }
}
