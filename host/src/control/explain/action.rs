//! What a route does with a request that its plugins admit.

use super::document::{Answers, Forward, Mirror, Share, Taken};
use super::question::Read;
use crate::config::ready::{self, Action, Config, Route};
use crate::respond::failure::RequestFault;
use crate::router::template::{Template, Values};
use crate::snapshot::leads::{self as lead, ForwardedPath};

/// Where it leads.
pub(super) enum Leads {
    /// To a service.
    Forward(Forward),
    /// To an answer of the route itself.
    Answers(Answers),
    /// To a refusal.
    Refused(RequestFault),
}

/// What becomes of a request that this route takes; `params` are those of the path that fits, which took `prefix_len`
/// bytes.
pub(super) fn leads(
    config: &Config,
    route: &Route,
    (params, prefix_len): (&[(String, String)], usize),
    read: &Read,
) -> Option<Leads> {
    let values = Values {
        host: read.host.as_str(),
        path: &read.path,
        query: &read.query,
        prefix_len,
    };
    let param = |name: &str| {
        let mut params = params.iter();
        params
            .find(|(other, _)| *other == *name)
            .map(|(_, value)| &**value)
    };
    let render = |template: &Template| template.render(&values, param);
    let forward = match &route.action {
        Action::Forward(forward) => forward,
        Action::Redirect(redirect) => {
            return Some(
                match lead::location(redirect, values.host, || render(&redirect.location)) {
                    Ok(location) => Leads::Answers(Answers {
                        status: redirect.status.as_u16(),
                        location: Some(String::from_utf8_lossy(location.as_bytes()).into_owned()),
                        body_bytes: 0,
                    }),
                    Err(fault) => Leads::Refused(fault),
                },
            );
        }
        Action::Respond(respond) => {
            return Some(Leads::Answers(Answers {
                status: respond.status.as_u16(),
                location: None,
                body_bytes: respond.body.len(),
            }));
        }
    };
    let matched = (&*read.path, prefix_len);
    let path = match lead::path(&forward.path, matched, config.merge_slashes, render) {
        Ok(ForwardedPath::From(start)) => read.path.get(start..)?.to_owned(),
        Ok(ForwardedPath::Other(path)) => path,
        Err(fault) => return Some(Leads::Refused(fault)),
    };
    forwarded(config, forward, &path, read).map(Leads::Forward)
}

fn forwarded(
    config: &Config,
    forward: &ready::Forward,
    path: &str,
    read: &Read,
) -> Option<Forward> {
    let service = config.services.get(forward.service)?;
    let upstream = config.upstreams.get(service.upstream)?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let query = match &*read.query {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let field = read.host_field.as_ref();
    let asked = field.and_then(|field| field.to_str().ok());
    Some(Forward {
        service: service.name.to_string(),
        upstream: upstream.name.to_string(),
        targets: targets(upstream),
        split: split(config, forward),
        mirror: mirror(config, forward),
        target: format!("{slash}{path}{query}"),
        host: if forward.preserve_host {
            asked.unwrap_or_default().to_owned()
        } else {
            "the name or address of the target".to_owned()
        },
    })
}

fn split(config: &Config, forward: &ready::Forward) -> Vec<Share> {
    let of = forward.split.iter().map(|share| u64::from(share.weight));
    let of = of.sum();
    let share = |share: &ready::Split| {
        let upstream = config.upstreams.get(share.upstream)?;
        Some(Share {
            upstream: upstream.name.to_string(),
            targets: targets(upstream),
            weight: share.weight,
            of,
        })
    };
    forward.split.iter().filter_map(share).collect()
}

fn mirror(config: &Config, forward: &ready::Forward) -> Option<Mirror> {
    let mirror = forward.mirror?;
    let upstream = config.upstreams.get(mirror.upstream)?;
    Some(Mirror {
        upstream: upstream.name.to_string(),
        targets: targets(upstream),
        percent: mirror.percent,
        requests: mirror.requests,
        body_bytes: mirror.body_bytes,
    })
}

fn targets(upstream: &ready::Upstream) -> Vec<String> {
    let targets = upstream.targets.iter();
    targets.map(|target| target.address.to_string()).collect()
}

impl Answers {
    /// In words, for the outcome.
    pub(super) fn words(&self) -> String {
        match &self.location {
            Some(location) => format!("answers {} to {location}", self.status),
            None => format!("answers {} itself", self.status),
        }
    }
}

impl Taken {
    /// What it does, for the outcome.
    pub(super) fn outcome(&self, leads: Option<&Leads>) -> String {
        let name = &self.name;
        match leads {
            Some(Leads::Answers(answers)) => {
                format!("route {name} takes it and {}", answers.words())
            }
            Some(Leads::Refused(fault)) => format!("route {name} takes it and refuses it: {fault}"),
            Some(Leads::Forward(_)) | None => format!("route {name} takes it"),
        }
    }
}
