//! What becomes of names that cannot be looked up.

use serde_json::Value;
use swapgate_tests::{Dns, Gateway, eventually};

use crate::{NOBODY, Row, name, text, wait_for_addresses};

fn targets(row: &Row) -> String {
    format!("targets: [{{address: \"users.test:{}\"}}]", row.port())
}

#[test]
fn what_was_known_last_stays_while_nobody_answers() {
    let row = Row::start(1);
    let mut dns = Dns::start(&[("users.test", "127.0.0.1")]);
    let gateway = Gateway::with(&text(&dns, &targets(&row))).start();
    let generation = gateway.generation();
    let has_error = |status: &Value| name(status)["error"].is_string();

    dns.kill();
    gateway.wait_for_status("an error of the name", has_error);
    assert_eq!(gateway.get("/").status, 200);

    dns.start_again(&[]);
    gateway.wait_for_status("the error to be over", |status| !has_error(status));

    // A name that is gone is no reason to serve nobody.
    dns.change(NOBODY);
    let status = gateway.wait_for_status("an error of the name", has_error);
    assert_eq!(name(&status)["error"], "there is no such name");
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(gateway.generation(), generation);
    let log = gateway.log_messages();
    let said = log
        .iter()
        .filter(|line| line.contains("there is no such name"));
    assert_eq!(said.count(), 1, "{log:#?}");
}

#[test]
fn a_name_that_is_not_there_yet_serves_as_soon_as_it_is() {
    let row = Row::start(1);
    let dns = Dns::start(NOBODY);
    let gateway = Gateway::with(&text(&dns, &targets(&row))).start();
    let answer = gateway.get("/");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    let problem = answer.json();
    assert_eq!(problem["detail"], "no target of the upstream is known");

    dns.change(&[("users.test", "127.0.0.1")]);
    eventually!(gateway.get("/").status == 200);
    let scrape = gateway.admin("/metrics").text();
    for result in ["ok", "negative"] {
        let series = format!("swapgate_dns_lookups_total{{result=\"{result}\"}}");
        assert!(scrape.contains(&series), "{scrape}");
    }
}

#[test]
fn a_server_that_does_not_answer_keeps_nobody_from_starting() {
    let row = Row::start(1);
    let mut dns = Dns::start(&[("users.test", "127.0.0.1")]);
    dns.kill();
    let silent = std::net::UdpSocket::bind(dns.address()).expect("it was free a moment ago");
    let gateway = Gateway::with(&text(&dns, &targets(&row))).start();
    assert_eq!(gateway.get("/").status, 503);
    drop(silent);
    dns.start_again(&[]);
    wait_for_addresses(&gateway, 1);
    eventually!(gateway.get("/").status == 200);
}

#[test]
fn a_reload_waits_for_the_names_it_brings_and_forgets_those_it_drops() {
    let row = Row::start(2);
    let dns = Dns::start(&[("users.test", "127.0.0.1"), ("others.test", "127.0.0.2")]);
    let before = text(&dns, &targets(&row));
    let gateway = Gateway::with(&before).start();
    gateway.reload_published(&before.replace("users.test", "others.test"));
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(row.asked(), [2]);
    assert_eq!(gateway.status()["names"].as_array().map(Vec::len), Some(1));

    // It is refused after its names were looked up, for a plugin that is not there.
    let asked = dns.questions("users.test");
    let errors = gateway.reload_refused(&format!("{before}plugins: [{{name: nowhere}}]\n"));
    assert!(errors[0].contains("nowhere"), "{errors:?}");
    eventually!(dns.questions("users.test") > asked);
    // A last question may be on its way.
    wait_for_questions(&dns, 2);
    let asked = dns.questions("users.test");
    wait_for_questions(&dns, 4);
    assert_eq!(dns.questions("users.test"), asked);
    assert_eq!(gateway.status()["names"].as_array().map(Vec::len), Some(1));
}

/// Waits until the name that serves was asked for so many times more.
fn wait_for_questions(dns: &Dns, more: usize) {
    let before = dns.questions("others.test");
    eventually!(dns.questions("others.test") > before + more);
}

#[test]
fn other_servers_are_asked_after_a_reload() {
    let row = Row::start(2);
    let dns = Dns::start(&[("users.test", "127.0.0.1")]);
    let text_before = text(&dns, &targets(&row));
    let gateway = Gateway::with(&text_before).start();
    let other = Dns::start(&[("users.test", "127.0.0.2")]);
    gateway.reload_published(&text(&other, &targets(&row)));
    eventually!({
        let _ = row.asked();
        gateway.get("/").status == 200 && row.asked() == [2]
    });
    drop(dns);
}
