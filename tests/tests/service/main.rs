//! What the gateway has to do with the system that starts it: sockets that are passed to it, what it tells the service manager,
//! whom it becomes, and how it is packaged.

mod activation;
mod notify;
mod package;
mod privileges;

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};
use swapgate_tests::gateway::Builder;
use swapgate_tests::{Gateway, Upstream, artifacts, process, wait_for, wait_until};

/// A route to this upstream, behind a plugin if one is named.
fn routes(plugins: &str) -> String {
    format!(
        "\
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up{plugins}}}]
"
    )
}

/// A gateway with these settings before that route.
fn prepared(settings: &str, plugins: &str, upstream: &Upstream) -> Builder {
    let text = format!("workers: 2\n{settings}{}", routes(plugins));
    Gateway::with(&text).set("up", upstream.address())
}

/// A line of what the system says of every thread of a process, without its name.
fn of_threads(pid: u32, field: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let statuses = tasks.flatten().map(|task| task.path().join("status"));
    let lines = statuses.filter_map(|path| line(&path, field));
    lines.collect()
}

fn line(status: &Path, field: &str) -> Option<String> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.map(|line| line.trim().to_owned())
}

/// Demands an upgrade to what is there already; the process that serves since.
#[track_caller]
fn upgraded(gateway: &Gateway, supervised: bool) -> u32 {
    let before = gateway.serving();
    let own = i32::try_from(before).ok().and_then(Pid::from_raw);
    let own = own.expect("a process");
    let told = if supervised { gateway.pid() } else { own };
    kill_process(told, Signal::USR2).expect("the gateway runs");
    let status = gateway.wait_for_status("the outcome of an upgrade", |status| {
        let upgrade = &status["upgrade"];
        upgrade["under_way_since_unix_ms"].is_null() && upgrade["last"]["from"]["pid"] == before
    });
    let last = &status["upgrade"]["last"];
    assert_eq!(last["outcome"], "serves", "{last}");
    let after = last["to"]["pid"].as_u64().expect("a process");
    wait_until("the old process to end", || {
        !process::is_alive(before) && gateway.serving() != before
    });
    u32::try_from(after).expect("the number of a process")
}

/// Changes the whole configuration and demands an outcome; gives back why it was refused.
#[track_caller]
fn reload(gateway: &Gateway, text: &str, outcome: &str) -> Vec<String> {
    let before = gateway.last_change()["number"].clone();
    gateway.rename_whole_config(text);
    let change = wait_for("the outcome of a reload", || {
        Some(gateway.last_change()).filter(|change| change["number"] != before)
    });
    assert_eq!(change["outcome"], outcome, "{change}");
    let errors = change["errors"].as_array().into_iter().flatten();
    let errors = errors.filter_map(|error| error.as_str());
    errors.map(str::to_owned).collect()
}

fn put(gateway: &Gateway, library: &str) {
    let bytes = fs::read(artifacts::plugin(library)).expect("it was built");
    gateway
        .plugins()
        .rename(&bytes, &format!("lib{library}.so"));
}
