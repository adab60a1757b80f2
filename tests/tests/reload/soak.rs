//! Many reloads under load: nobody notices, nothing wrong gets through, and nothing stays behind.

use swapgate_tests::Gateway;
use swapgate_tests::process::anonymous_bytes;

use super::{load, named};

const RELOADS: usize = 200;

/// What the file says before reload `number`. Everything changes but one route and its plugin.
fn text(number: usize) -> String {
    let route = |index: usize| {
        let name = (number * 7 + index) % 50;
        format!(
            "  - {{name: r{index}, service: b, hosts: [\"h{name}.test\"], paths: [\"/r{name}/{{id}}\"], priority: {}}}\n",
            number % 3
        )
    };
    let routes: String = (0..20).map(route).collect();
    let (target, plugin) = (["a", "b"][number % 2], number % 5);
    format!(
        "\
workers: 2
limits: {{headers: {}}}
upstreams:
  - {{name: a, targets: [{{address: \"@a@\"}}]}}
  - {{name: b, targets: [{{address: \"@{target}@\"}}]}}
services: [{{name: a, upstream: a}}, {{name: b, upstream: b}}]
routes:
  - {{name: stay, service: a, paths: [/stay], plugins: [{{name: headers, config: {{response: {{set: {{x: kept}}}}}}}}]}}
  - {{name: other, service: b, paths: [/other], plugins: [{{name: headers, config: {{response: {{set: {{x: \"{plugin}\"}}}}}}}}]}}
{routes}",
        100 + number % 4
    )
}

#[test]
fn two_hundred_reloads_under_load() {
    let (a, b) = (named("a"), named("b"));
    let gateway = Gateway::with(&text(0))
        .set("a", a.address())
        .set("b", b.address())
        .plugin("headers")
        .start();
    let load = load(&gateway, 2, "a");
    // Every configuration of the plugin has been seen and every pool is warm before memory is looked at.
    for number in 1..6 {
        gateway.reload_published(&text(number));
        load.wait_for_more(200);
    }
    let kept = kept_calls(&gateway);
    assert!(kept > 0);
    let mut after_first_tenth = 0;
    for number in 1..=RELOADS {
        if number % 10 == 0 {
            let broken = text(number).replace("service: b", "service: nobody");
            let errors = gateway.reload_refused(&broken);
            assert_eq!(errors.len(), 21, "one for each route: {errors:#?}");
            for (index, error) in errors.iter().enumerate() {
                let place = format!(
                    "routes[{}].service: there is no service of this name",
                    index + 1
                );
                assert!(error.contains(&place), "{place}: {error}");
            }
        } else {
            gateway.reload_published(&text(number));
            let mark = gateway.get("/other").header("x");
            assert_eq!(mark, Some((number % 5).to_string()));
        }
        if number == RELOADS / 10 {
            after_first_tenth = anonymous_bytes(gateway.pid());
        }
        // A test keeps nothing it does not look at: the record of a busy upstream grows fast.
        drop((a.take_requests(), b.take_requests()));
    }
    gateway.wait_for_status("old generations to be gone", |status| {
        status["draining"].as_array().is_some_and(Vec::is_empty)
    });
    let at_the_end = anonymous_bytes(gateway.pid());
    assert!(
        kept_calls(&gateway) > kept + 1000,
        "the instance of the route that never changed was made anew"
    );
    let outcome = load.stop_without_failure();
    assert!(outcome.answered > 1000, "{outcome:?}");
    assert!(
        at_the_end <= after_first_tenth / 100 * 105,
        "{after_first_tenth} bytes after a tenth of the reloads, {at_the_end} at the end"
    );
}

/// Header filter calls of the instance that was called most, which is that of the busy route.
fn kept_calls(gateway: &Gateway) -> u64 {
    let view = gateway.plugins_view();
    let images = view["images"].as_array().expect("a list of images");
    let instances = images
        .iter()
        .filter_map(|image| image["instances"].as_array())
        .flatten();
    let hooks = instances
        .filter_map(|instance| instance["hooks"].as_array())
        .flatten();
    let filters = hooks.filter(|hook| hook["hook"] == "header_filter");
    filters
        .filter_map(|hook| hook["calls"].as_u64())
        .max()
        .unwrap_or(0)
}
