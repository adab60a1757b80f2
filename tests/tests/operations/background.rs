//! The background of instances.

use swapgate_tests::{Upstream, wait_until};

use crate::world::{config, number, prepared};

#[test]
fn ticks_end_before_the_instance_does() {
    let upstream = Upstream::echo();
    let uses = [("a", "tick: true"), ("b", "tick: true")];
    let gateway = prepared("", &uses, &upstream).start();
    for key in ["a:ticks", "b:ticks"] {
        wait_until(key, || number(&gateway, key) > 3);
    }
    gateway.write_config(&config("", &uses[1..]));
    wait_until("the end of a", || number(&gateway, "a:destroyed") == 1);
    let (a, b) = (number(&gateway, "a:ticks"), number(&gateway, "b:ticks"));
    wait_until("more ticks of b", || number(&gateway, "b:ticks") > b + 5);
    assert_eq!(number(&gateway, "a:ticks"), a);
    assert_eq!(number(&gateway, "late:ticks"), 0);
    let metrics = gateway.admin("/metrics").text();
    let line = "swapgate_plugin_calls_total{plugin=\"probe\",version=\"1.0.0\",phase=\"on_tick\"}";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn operations_begun_in_start_are_told_in_the_background() {
    let upstream = Upstream::echo();
    let uses = [("caller", "call: auth"), ("worker", "work: true")];
    let gateway = prepared("", &uses, &upstream).start();
    wait_until("the callout", || number(&gateway, "caller:status") == 200);
    assert_eq!(upstream.requests()[0].line(), "GET /from-start HTTP/1.1");
    wait_until("the work", || number(&gateway, "worker:result") == 2);
    wait_until("its end", || number(&gateway, "work:released") == 1);
}

#[test]
fn a_tick_that_hangs_is_shown_and_holds_up_nobody_else() {
    let upstream = Upstream::echo();
    let settings = "loader: {call_timeout: 1s}";
    let uses = [("stuck", "tick: true, hang: true")];
    let gateway = prepared(settings, &uses, &upstream).start();
    wait_until("the hang", || number(&gateway, "stuck:hangs") == 1);
    gateway.wait_for_status("the stuck call", |status| {
        status["stuck"][0] == "on_tick of probe@1.0.0"
    });
    assert_eq!(gateway.get("/add?n").text(), "0 1 of 1.0.0");
    // It is not called again, and not destroyed under the call that runs.
    gateway.write_config(&config(settings, &[]));
    gateway.wait_for_generation_after(1);
    assert_eq!(gateway.get("/add?n").text(), "0 2 of 1.0.0");
    assert_eq!(number(&gateway, "stuck:hangs"), 1);
    assert_eq!(number(&gateway, "stuck:destroyed"), 0);
}

#[test]
fn an_instance_may_call_a_service_that_comes_with_it() {
    let upstream = Upstream::echo();
    let gateway = prepared("", &[], &upstream).start();
    let more = config("", &[("late", "call: other")]);
    let more = more.replace("services: [", "services: [{name: other, upstream: up}, ");
    gateway.write_config(&more);
    wait_until("the callout", || number(&gateway, "late:status") == 200);
}
