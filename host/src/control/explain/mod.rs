//! What would become of a request, and why: which route takes it, what runs, where it goes.
//!
//! A [`View`] is plain data that control leaves on the board with each generation. It holds no instance and no snapshot,
//! so that asking keeps nothing alive; the same view is made of a file that nobody serves.

mod action;
mod document;
mod plugins;
mod question;

pub use document::{
    Answers, Considered, Document, Forward, Mirror, OtherHosts, Overridden, PhaseRuns, Plugins,
    Question, Runs, Share, Shown, Taken, Unavailable,
};
pub use plugins::Got;
pub use question::Unclear;

use std::sync::OnceLock;

use action::Leads;
use plugins::{Attachments, GLOBAL};
use question::Read;

use super::assemble;
use super::resolve::{Resolved, uses};
use crate::config::ready::Config;
use crate::router::explain::{self, Explanation, Verdict};
use crate::router::table::RouteRule;

/// Most candidates whose path does not fit, and most names of routes for other hosts, that are listed.
const LISTED: usize = 50;

/// What can be explained.
pub struct View {
    generation: Option<u64>,
    config: Config,
    /// Made when something is asked for the first time, which for most generations is never.
    rules: OnceLock<Vec<RouteRule>>,
    got: Vec<Got>,
}

impl View {
    /// Of a generation that serves.
    #[must_use]
    pub fn serving(config: &Config, resolved: &[Resolved], generation: u64) -> Self {
        Self {
            generation: Some(generation),
            ..Self::of(config, resolved.iter().map(Got::from).collect())
        }
    }

    /// Of a file, with what its uses got.
    #[must_use]
    pub fn of(config: &Config, got: Vec<Got>) -> Self {
        Self {
            generation: None,
            config: config.clone(),
            rules: OnceLock::new(),
            got,
        }
    }

    /// Of a file alone.
    #[must_use]
    pub fn without_plugins(config: &Config) -> Self {
        let got = uses(config).map(|_| Got::Unknown).collect();
        Self::of(config, got)
    }

    /// The rules of the snapshot, except that asking them takes no cache of an expression away from a worker.
    fn rules(&self) -> &[RouteRule] {
        self.rules.get_or_init(|| {
            let rules = assemble::rules(&self.config);
            rules.iter().map(RouteRule::unshared).collect()
        })
    }

    /// Explains what would become of a request.
    ///
    /// # Errors
    /// The question is not about a request.
    pub fn answer(&self, question: &Question) -> Result<Document, Unclear> {
        let read = Read::new(question, &self.config)?;
        let mut document = Document {
            generation: self.generation,
            request: Shown {
                method: read.method.to_string(),
                host: read.host.as_str().to_owned(),
                path: read.path.clone(),
                query: read.query.clone(),
                client: read.client.to_string(),
            },
            ..Document::default()
        };
        if let Some(fault) = &read.refused {
            document.outcome =
                format!("the gateway refuses the request before it is routed: {fault}");
            return Ok(document);
        }
        let attachments = Attachments::new(&self.config, &self.got);
        if read.ends_here {
            document.plugins.unavailable = attachments.plugins(&self.config, None).unavailable;
            document.outcome = missing_global(&document).unwrap_or_else(|| {
                "204: the gateway answers itself, before it routes, for Max-Forwards lets the request pass nobody any more".to_owned()
            });
            return Ok(document);
        }
        let explanation = explain::explain(self.rules(), &read.request());
        self.candidates(&mut document, &explanation, &read);
        let route = self.taken(&mut document, &explanation, &read);
        document.plugins = attachments.plugins(&self.config, route);
        self.notes(&mut document);
        if let Some((said, own)) = &read.differs {
            document.notes.push(format!(
                "such a request comes over {own} here; one that says {said} itself, in HTTP/2 or with a target in absolute form, is refused with 400, unless it comes from trusted_addresses and says https"
            ));
        }
        document.outcome = outcome(&document, &explanation);
        Ok(document)
    }

    fn candidates(&self, document: &mut Document, explanation: &Explanation, read: &Read) {
        let mut misfits = 0;
        for (at, one) in explanation.candidates.iter().enumerate() {
            let Some(rule) = self.rules().get(one.route) else {
                continue;
            };
            misfits += usize::from(one.verdict == Verdict::Path);
            if one.verdict == Verdict::Path && misfits > LISTED {
                document.considered_left_out += 1;
                continue;
            }
            let host = one.host.and_then(|index| rule.hosts.get(index));
            document.considered.push(Considered {
                route: rule.name.to_string(),
                host: host.map(ToString::to_string),
                path: rule
                    .paths
                    .get(one.path)
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                won: explanation.chosen == Some(at),
                why: explanation.why(one, self.rules(), &read.request()),
            });
        }
        let others = explanation.other_hosts.iter();
        let names = others.filter_map(|index| Some(self.rules().get(*index)?.name.to_string()));
        document.other_hosts = OtherHosts {
            count: explanation.other_hosts.len(),
            names: names.take(LISTED).collect(),
        };
    }

    /// The route that takes it, and where that leads.
    fn taken(
        &self,
        document: &mut Document,
        explanation: &Explanation,
        read: &Read,
    ) -> Option<usize> {
        let chosen = explanation.candidates.get(explanation.chosen?)?;
        let Verdict::Won { params, prefix_len } = &chosen.verdict else {
            return None;
        };
        let rule = self.rules().get(chosen.route)?;
        document.route = Some(Taken {
            name: rule.name.to_string(),
            path: rule.paths.get(chosen.path)?.to_string(),
            parameters: params.clone(),
        });
        let route = self.config.routes.get(chosen.route)?;
        let leads = action::leads(&self.config, route, (params, *prefix_len), read);
        document.outcome = document.route.as_ref()?.outcome(leads.as_ref());
        match leads {
            Some(Leads::Forward(forward)) => document.forward = Some(forward),
            Some(Leads::Answers(answers)) => document.answers = Some(answers),
            Some(Leads::Refused(_)) | None => {}
        }
        Some(chosen.route)
    }

    fn notes(&self, document: &mut Document) {
        let plugins = &document.plugins;
        let rewrites = plugins
            .phases
            .first()
            .is_some_and(|phase| !phase.runs.is_empty());
        if rewrites {
            document.notes.push(
                "plugins in rewrite may change the request before it is routed; none was called for this".to_owned(),
            );
        }
        if !plugins.attached.is_empty() {
            document.notes.push(
                "which plugin files would be used, the phases they take part in and the priority they ask for are known to a running gateway, or with --plugins; plugins that say no priority stand last here".to_owned(),
            );
        }
    }
}

fn outcome(document: &Document, explanation: &Explanation) -> String {
    if let Some(everything) = missing_global(document) {
        return everything;
    }
    let missing = document.plugins.unavailable.first();
    let missing = missing.map(|one| format!("plugin {} of {} is not there", one.plugin, one.from));
    match (&document.route, missing) {
        (Some(route), Some(missing)) => {
            format!("route {} takes it, and answers 503: {missing}", route.name)
        }
        (Some(_), None) => document.outcome.clone(),
        (None, _) if explanation.allow.is_empty() => "404: no route takes it".to_owned(),
        (None, _) => {
            let allow: Vec<&str> = explanation.allow.iter().map(http::Method::as_str).collect();
            format!(
                "405: only the method differs, Allow would be {}",
                allow.join(", ")
            )
        }
    }
}

/// What becomes of everything where a global plugin is missing.
fn missing_global(document: &Document) -> Option<String> {
    let mut unavailable = document.plugins.unavailable.iter();
    unavailable
        .any(|one| one.from == GLOBAL)
        .then(|| "503 for every request, because a global plugin is not there".to_owned())
}

#[cfg(test)]
mod tests;
