//! What a reload changes.

use super::good;
use crate::config::diff::diff;

const OLD: &str = "
format: 1
listeners: [{name: a, address: '127.0.0.1:1'}, {name: b, address: '127.0.0.1:2'}]
upstreams: [{name: u, targets: [{address: '1.2.3.4:5'}]}, {name: v, targets: [{address: '1.2.3.4:6'}]}]
services: [{name: s, upstream: v}]
routes: [{name: r, service: s, plugins: [{name: p, config: {a: 1, b: 2}}]}]
plugins: [{name: g}]
";

/// Compares `OLD` with itself after replacements; `expected` holds the words of the change.
#[track_caller]
fn check(replacements: &[(&str, &str)], expected: &[&str]) {
    let new = replacements
        .iter()
        .fold(OLD.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
    assert_eq!(diff(&good(OLD), &good(&new)).words, expected);
}

#[test]
fn nothing_changes_where_only_places_and_order_do() {
    check(&[], &[]);
    check(&[("format: 1\n", "\n\nformat: 1\n")], &[]);
    check(&[("{a: 1, b: 2}", "{b: 2, a: 1}")], &[]);
    // The index of the upstream moves, but not what the service refers to.
    check(
        &[(
            "upstreams: [",
            "upstreams: [{name: a, targets: [{address: '1.2.3.4:7'}]}, ",
        )],
        &["upstream a added"],
    );
}

#[test]
fn every_kind_of_change_has_its_words() {
    check(
        &[(
            "{name: b, address: '127.0.0.1:2'}",
            "{name: c, address: '127.0.0.1:3'}",
        )],
        &[
            "listener c added on 127.0.0.1:3",
            "listener b removed from 127.0.0.1:2",
        ],
    );
    check(&[("b: 2", "b: 3")], &["route r changed"]);
    check(&[("upstream: v", "upstream: u")], &["service s changed"]);
    check(
        &[("name: r,", "name: r2,")],
        &["route r2 added", "route r removed"],
    );
    check(
        &[("{name: g}", "{name: g, on_error: open}")],
        &["global plugin g changed"],
    );
    check(&[("{name: g}", "")], &["global plugin g removed"]);
    check(
        &[(
            "format: 1",
            "format: 1\nlimits: {headers: 5}\nvia: x\ndrain: {shutdown: 1h}",
        )],
        &["limits changed", "via changed", "drain changed"],
    );
}

#[test]
fn a_listener_with_another_name_keeps_its_socket() {
    let listeners = diff(&good(OLD), &good(&OLD.replace("name: a,", "name: z,"))).listeners;
    assert!(listeners.added.is_empty() && listeners.removed.is_empty());
    let kept: Vec<&str> = listeners.kept.iter().map(|l| &*l.name).collect();
    assert_eq!(kept, ["z", "b"]);
}

#[test]
fn some_settings_need_a_restart() {
    let new = good(&format!(
        "{OLD}workers: 7\nadmin: {{address: '127.0.0.1:9'}}\nstate_dir: other\nplugins_dir: theirs\n"
    ));
    let told: Vec<String> = diff(&good(OLD), &new)
        .restart
        .iter()
        .map(ToString::to_string)
        .collect();
    let advice = "needs a restart; restart the gateway, or put the old value back";
    assert_eq!(
        told,
        [
            format!("gate.yaml:8:10: workers: a change of workers {advice}"),
            format!("gate.yaml:9:8: admin: a change of admin {advice}"),
            format!("gate.yaml:10:12: state_dir: a change of state_dir {advice}"),
            format!("gate.yaml:11:14: plugins_dir: a change of plugins_dir {advice}"),
        ]
    );
    assert!(diff(&good(OLD), &good(OLD)).restart.is_empty());
}
