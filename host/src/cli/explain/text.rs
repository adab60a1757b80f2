//! An explanation for people.

use std::fmt::Write as _;

use swapgate::control::explain::{Considered, Document, Forward, Plugins, Runs};

/// The whole of it.
pub(super) fn of(document: &Document) -> String {
    let mut out = String::new();
    request(&mut out, document);
    considered(&mut out, document);
    plugins(&mut out, &document.plugins);
    if let Some(forward) = &document.forward {
        forwarded(&mut out, forward);
    }
    if let Some(answers) = &document.answers {
        line(&mut out, "");
        line(&mut out, "answered by the route itself");
        line(&mut out, &format!("  status    {}", answers.status));
        match &answers.location {
            Some(location) => line(&mut out, &format!("  location  {location}")),
            None => line(
                &mut out,
                &format!("  body      {} bytes", answers.body_bytes),
            ),
        }
    }
    for note in &document.notes {
        line(&mut out, "");
        line(&mut out, &format!("note: {note}"));
    }
    out
}

fn forwarded(out: &mut String, forward: &Forward) {
    line(out, "");
    line(out, "forwarded");
    line(out, &format!("  service   {}", forward.service));
    let named = |name: &str, targets: &[String]| format!("{name} ({})", targets.join(", "));
    if forward.split.is_empty() {
        let upstream = named(&forward.upstream, &forward.targets);
        line(out, &format!("  upstream  {upstream}"));
    }
    for share in &forward.split {
        let upstream = named(&share.upstream, &share.targets);
        let (weight, of) = (share.weight, share.of);
        line(
            out,
            &format!("  upstream  {weight} of {of} requests to {upstream}"),
        );
    }
    line(out, &format!("  target    {}", forward.target));
    line(out, &format!("  host      {}", forward.host));
    if let Some(mirror) = &forward.mirror {
        let upstream = named(&mirror.upstream, &mirror.targets);
        let percent = mirror.percent;
        line(
            out,
            &format!("  mirror    copies of {percent} % of requests to {upstream}"),
        );
    }
}

/// Nothing fails that writes to a string.
fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{text}");
}

fn request(out: &mut String, document: &Document) {
    let request = &document.request;
    let query = match &*request.query {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let host = match &*request.host {
        "" => "no host",
        host => host,
    };
    let (method, path, client) = (&request.method, &request.path, &request.client);
    line(
        out,
        &format!("{method} {path}{query} for {host} from {client}"),
    );
    let asked = match document.generation {
        Some(generation) => format!("generation {generation}"),
        None => "the configuration file".to_owned(),
    };
    line(out, &format!("{} ({asked})", document.outcome));
    if let Some(route) = &document.route {
        for (name, value) in &route.parameters {
            line(out, &format!("  {name} = {value}"));
        }
    }
}

fn considered(out: &mut String, document: &Document) {
    if document.considered.is_empty() && document.other_hosts.count == 0 {
        return;
    }
    line(out, "");
    line(out, "routes, in the order in which they are asked");
    let what = |one: &Considered| match &one.host {
        Some(host) => format!("{} ({host} {})", one.route, one.path),
        None => format!("{} ({})", one.route, one.path),
    };
    let width = document
        .considered
        .iter()
        .map(|one| what(one).chars().count());
    let width = width.max().unwrap_or(0).min(48);
    for one in &document.considered {
        let mark = if one.won { '>' } else { ' ' };
        line(out, &format!("{mark} {:width$}  {}", what(one), one.why));
    }
    let more = document.considered_left_out;
    if more > 0 {
        line(out, &format!("  and {more} more whose path does not fit"));
    }
    let other = &document.other_hosts;
    if other.count > 0 {
        let dots = if other.names.len() < other.count {
            ", ..."
        } else {
            ""
        };
        let names = other.names.join(", ");
        line(
            out,
            &format!(
                "  not asked, because they name other hosts: {} ({names}{dots})",
                other.count
            ),
        );
    }
}

fn plugins(out: &mut String, plugins: &Plugins) {
    let lines = |out: &mut String, head: &str, runs: &[Runs]| {
        for (at, one) in runs.iter().enumerate() {
            let head = if at == 0 { head } else { "" };
            let priority = one.priority.map_or_else(
                || "the plugin's own".to_owned(),
                |priority| priority.to_string(),
            );
            let what = format!("{}@{}", one.plugin, one.version);
            line(
                out,
                &format!("  {head:13} {what:24} priority {priority}, {}", one.from),
            );
        }
        if runs.is_empty() {
            line(out, &format!("  {head:13} none"));
        }
    };
    if !plugins.phases.is_empty() {
        line(out, "");
        line(out, "plugins, in the order in which they run");
    }
    for phase in &plugins.phases {
        lines(out, &phase.phase, &phase.runs);
    }
    if !plugins.attached.is_empty() {
        line(out, "");
        line(out, "plugins");
        lines(out, "attached", &plugins.attached);
    }
    for one in &plugins.overridden {
        line(
            out,
            &format!(
                "  {:13} {} of {}, by that of {}",
                "overridden", one.plugin, one.from, one.by
            ),
        );
    }
    for one in &plugins.unavailable {
        line(
            out,
            &format!(
                "  {:13} {} of {}: {}",
                "unavailable", one.plugin, one.from, one.reason
            ),
        );
    }
}
