//! Configurations that are wrong: refused with every place, in the log and on `/status`, while traffic goes on as it was.

use swapgate_tests::Gateway;

use super::{STAY, load, named};

/// Each text stands for a whole file; the words must stand in its errors, one error for each.
#[test]
fn every_place_is_told_and_nothing_changes() {
    let a = named("a");
    let gateway = Gateway::with(STAY)
        .set("a", a.address())
        .plugin("headers")
        .start();
    let load = load(&gateway, 2, "a");
    let generation = gateway.generation();
    let global = |plugin: &str| format!("{STAY}plugins: [{plugin}]\n");
    let cases: Vec<(String, Vec<&str>)> = vec![
        (
            format!("{STAY}  - {{name: x"),
            vec!["swapgate.yaml:12:1: routes[1]: not YAML or JSON: "],
        ),
        (
            STAY.replace("routes:", "routs:"),
            vec![
                "swapgate.yaml:9:1: routs: this key is not known: found \"routs\", expected one of ",
            ],
        ),
        (
            STAY.replace("routes:", "routes2:"),
            vec!["; did you mean \"routes\"?"],
        ),
        (
            format!(
                "{}  - {{name: stay, service: b, paths: [stay], priority: high}}\n",
                STAY.replace("upstream: a}", "upstream: aa}")
                    .replace("workers: 2", "workers: 0")
            ),
            vec![
                "swapgate.yaml:6:10: workers: this value does not fit: found the number 0",
                "swapgate.yaml:8:32: services[0].upstream: there is no upstream of this name: found \"aa\"",
                "swapgate.yaml:11:12: routes[1].name: this name is taken by routes[0].name in line 10",
                "swapgate.yaml:11:27: routes[1].service: there is no service of this name: found \"b\"",
                "swapgate.yaml:11:38: routes[1].paths[0]: 'stay' is not a path that can be matched",
                "swapgate.yaml:11:55: routes[1].priority: this value does not fit: found \"high\"",
            ],
        ),
        (
            STAY.replace("service: a", "service: users"),
            vec![
                "routes[0].service: there is no service of this name: found \"users\", expected one of a",
            ],
        ),
        (
            STAY.replace("workers: 2", "workers: 1"),
            vec![
                "workers: a change of workers needs a restart; restart the gateway, or put the old value back",
            ],
        ),
        (
            global("{name: header}"),
            vec!["plugins[0]: the plugin header is not in /"],
        ),
        (
            global("{name: headers, version: ^9}"),
            vec!["has no version of the plugin headers that `^9` admits"],
        ),
        (
            global("{name: headers, config: {request: {sets: {}}, answer: {}}}"),
            vec!["sets", "answer"],
        ),
        (
            global("{name: headers, config: {response: {set: {x: \"${nonsense}\"}}}}"),
            vec!["nonsense"],
        ),
        (
            global("{name: headers, config: {response: {set: {x: \"${file:nowhere}\"}}}}"),
            vec!["nowhere"],
        ),
        (
            global("{name: headers, config: {response: {set: {x: \"${env:NOT_SET_ANYWHERE}\"}}}}"),
            vec!["NOT_SET_ANYWHERE"],
        ),
    ];
    for (text, words) in &cases {
        let errors = gateway.reload_refused(text);
        check(&gateway, text, &errors, words);
        assert_eq!(gateway.generation(), generation, "{text}");
        assert_eq!(gateway.get("/stay").text(), "a", "{text}");
    }
    gateway.reload_published(&global(
        "{name: headers, config: {response: {set: {x: good}}}}",
    ));
    assert_eq!(gateway.get("/stay").header("x").as_deref(), Some("good"));
    load.stop_without_failure();
}

#[track_caller]
fn check(gateway: &Gateway, text: &str, errors: &[String], words: &[&str]) {
    assert!(errors.len() >= words.len(), "{text}\n{errors:#?}");
    for word in words {
        let error = errors.iter().find(|error| error.contains(word));
        let error = error.unwrap_or_else(|| panic!("no `{word}` for\n{text}\n{errors:#?}"));
        assert!(error.contains("swapgate.yaml:"), "{error}");
        assert!(!error.ends_with('.'), "{error}");
        swapgate_tests::wait_until(&format!("`{error}` in the log"), || {
            let log = gateway.log_messages();
            log.iter().any(|line| line.contains(error.as_str()))
        });
    }
}

/// Settings that only a restart can change, each at its place.
#[test]
fn what_needs_a_restart_says_so() {
    let a = named("a");
    let gateway = Gateway::with(STAY).set("a", a.address()).start();
    let text = "\
format: 1
listeners: [{name: public, address: \"127.0.0.1:0\"}]
admin: {address: \"127.0.0.9:0\"}
plugins_dir: other
state_dir: elsewhere
workers: 1
";
    gateway.rename_whole_config(text);
    let status = gateway.wait_for_status("a refusal", |status| {
        status["last_change"]["outcome"] == "refused"
    });
    let errors: Vec<&str> = status["last_change"]["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(serde_json::Value::as_str)
        .collect();
    assert_eq!(errors.len(), 4, "{errors:#?}");
    let places = [
        "3:8: admin",
        "4:14: plugins_dir",
        "5:12: state_dir",
        "6:10: workers",
    ];
    for (error, place) in errors.iter().zip(places) {
        assert!(
            error.contains(&format!("swapgate.yaml:{place}: ")),
            "{error}"
        );
        assert!(error.contains("needs a restart"), "{error}");
    }
    assert!(!gateway.folder().join("other").exists());
    assert!(!gateway.folder().join("elsewhere").exists());
    assert_eq!(gateway.get("/stay").status, 200);
}

/// A configuration that only lacks a plugin waits for it; one that is put in its place takes the waiting away.
#[test]
fn a_newer_configuration_replaces_the_one_that_waits() {
    let a = named("a");
    let gateway = Gateway::with(STAY).set("a", a.address()).start();
    let waiting =
        format!("{STAY}plugins: [{{name: headers, config: {{response: {{set: {{x: y}}}}}}}}]\n");
    gateway.reload_refused(&waiting);
    assert!(gateway.status()["pending"].is_array());
    gateway.reload_published(STAY);
    assert!(gateway.status()["pending"].is_null());
    let bytes = std::fs::read(swapgate_tests::artifacts::plugin("headers")).unwrap();
    gateway.plugins().rename(&bytes, "libheaders.so");
    // The folder is looked at before the next configuration is, so after this the file has been seen.
    gateway.reload_published(&format!("{STAY}  - {{name: x, service: a, paths: [/x]}}\n"));
    assert_eq!(
        gateway.get("/stay").header("x"),
        None,
        "it does not come back"
    );
    // And a broken one as well: what was refused last is what waits, or nothing.
    gateway.reload_refused(&format!("{STAY}  - {{name: x"));
    assert!(gateway.status()["pending"].is_null());
}
