//! Instances whose configuration and image are unchanged live on through reloads.

use serde_json::Value;
use swapgate_tests::Gateway;

use super::{STAY, named};

fn config(second: &str, further: &str) -> String {
    format!(
        "\
workers: 2
upstreams: [{{name: a, targets: [{{address: \"@a@\"}}]}}]
services: [{{name: a, upstream: a}}]
routes:
  - {{name: first, service: a, paths: [/first], plugins: [{{name: headers, config: {{response: {{set: {{x: first}}}}}}}}]}}
  - {{name: second, service: a, paths: [/second], plugins: [{{name: headers, config: {{response: {{set: {{x: {second}}}}}}}}}]}}
{further}"
    )
}

/// Calls of the header filter by the name of the configuration.
fn calls(gateway: &Gateway) -> Vec<(String, u64)> {
    let view = gateway.plugins_view();
    let images = view["images"].as_array().expect("a list of images");
    let image = images.iter().find(|image| image["id"] == "headers");
    let instances = image.expect("the image")["instances"]
        .as_array()
        .expect("a list");
    let of = |instance: &Value| {
        let hooks = instance["hooks"].as_array().expect("a list of hooks");
        let filter = hooks.iter().find(|hook| hook["hook"] == "header_filter");
        let count = filter.map_or(0, |hook| hook["calls"].as_u64().unwrap_or(0));
        (
            instance["config"].as_str().expect("a name").to_owned(),
            count,
        )
    };
    instances.iter().map(of).collect()
}

#[test]
fn their_accounts_go_on() {
    let a = named("a");
    let gateway = Gateway::with(&config("two", ""))
        .set("a", a.address())
        .plugin("headers")
        .start();
    let ask = |path: &str, times: u64| {
        for _ in 0..times {
            assert_eq!(gateway.get(path).status, 200);
        }
    };
    ask("/first", 5);
    ask("/second", 3);
    let before = calls(&gateway);
    assert_eq!(before.len(), 2, "{before:?}");
    let first = before
        .iter()
        .find(|(_, calls)| *calls == 5)
        .expect("the first")
        .0
        .clone();
    let second = before
        .iter()
        .find(|(_, calls)| *calls == 3)
        .expect("the second")
        .0
        .clone();

    // A route more: both stay.
    gateway.reload_published(&config(
        "two",
        "  - {name: third, service: a, paths: [/third]}\n",
    ));
    ask("/first", 1);
    let after = calls(&gateway);
    assert!(
        after.contains(&(first.clone(), 6)) && after.contains(&(second.clone(), 3)),
        "{after:?}"
    );

    // Another configuration of the second: a new instance, and the first stays.
    gateway.reload_published(&config("other", ""));
    assert_eq!(gateway.get("/second").header("x").as_deref(), Some("other"));
    swapgate_tests::eventually!(calls(&gateway).len() == 2);
    let after = calls(&gateway);
    assert!(after.contains(&(first.clone(), 6)), "{after:?}");
    assert!(
        after.iter().all(|(config, _)| *config != second),
        "{after:?}"
    );
    assert!(after.iter().any(|(_, calls)| *calls == 1), "{after:?}");

    // A refused reload leaves them alone too.
    gateway.reload_refused("routes: 7\n");
    ask("/first", 1);
    assert!(calls(&gateway).contains(&(first, 7)));

    // Nobody uses it any more: no instance is left.
    gateway.reload_published(STAY);
    swapgate_tests::eventually!(gateway.plugins_view()["images"].as_array().is_some_and(
        |images| {
            images
                .iter()
                .all(|image| image["instances"].as_array().is_some_and(Vec::is_empty))
        }
    ));
}
