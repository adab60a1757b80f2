//! `grpc.health.v1` of the reference implementation.

use swapgate_tests::python::PythonServer;
use swapgate_tests::{Certificates, Nginx, Python};

use super::world::{SOON, before, target, wait_for_check_after, wait_for_reason, wait_for_state};

/// Sets the state of a service.
#[track_caller]
fn set(server: &mut PythonServer, service: &str, state: &str) {
    server.process.say(&format!("{service} {state}"));
    assert_eq!(server.line(), "set");
}

fn keys(manner: &str, more: &str) -> String {
    format!("{manner} health: {{active: {{type: grpc, {SOON}, {more}}}}}")
}

#[test]
fn what_a_server_says_of_itself_counts() {
    let mut server = Python::script("health_server.py").serve();
    let gateway = before(&keys("protocol: h2,", ""), 1)
        .set("0", server.address())
        .start();
    let address = server.address().to_string();
    let begun = target(&gateway, &address).expect("it is configured");
    let checked = wait_for_check_after(&gateway, &address, &begun);
    assert_eq!(checked["last_check"]["ok"], true, "{checked}");
    set(&mut server, "-", "NOT_SERVING");
    wait_for_reason(
        &gateway,
        &address,
        "down",
        "it says that the server is NOT_SERVING",
    );
    set(&mut server, "-", "SERVING");
    wait_for_state(&gateway, &address, "up");
}

#[test]
fn one_service_is_asked_about() {
    let mut server = Python::script("health_server.py").serve();
    // The check is made in HTTP/2 whatever the requests speak.
    let gateway = before(&keys("", "service: swapgate.test.Echo"), 1)
        .set("0", server.address())
        .start();
    let address = server.address().to_string();
    wait_for_reason(
        &gateway,
        &address,
        "down",
        "it does not know service \"swapgate.test.Echo\"",
    );
    set(&mut server, "swapgate.test.Echo", "SERVING");
    wait_for_state(&gateway, &address, "up");
    set(&mut server, "swapgate.test.Echo", "UNKNOWN");
    wait_for_reason(&gateway, &address, "down", "is UNKNOWN");
}

#[test]
fn tls_is_spoken_where_the_upstream_does() {
    let authority = Certificates::new();
    let pair = authority.server(&["127.0.0.1"]);
    let server = Python::script("health_server.py")
        .argument("--certificate")
        .argument(&pair.certificate)
        .argument("--key")
        .argument(&pair.key)
        .serve();
    let address = server.address().to_string();
    for protocol in ["h2", "auto", "http/1.1"] {
        let tls = format!(
            "protocol: {protocol}, tls: {{ca: {}}},",
            authority.ca().display()
        );
        let gateway = before(&keys(&tls, ""), 1)
            .set("0", server.address())
            .start();
        let begun = target(&gateway, &address).expect("it is configured");
        let checked = wait_for_check_after(&gateway, &address, &begun);
        assert_eq!(checked["last_check"]["ok"], true, "{protocol}: {checked}");
    }
}

#[test]
fn whoever_has_no_health_service_is_not_well() {
    let server = Python::script("health_server.py")
        .argument("--without")
        .serve();
    let nginx = Nginx::server("return 200 well;");
    let gateway = before(&keys("", ""), 2)
        .set("0", server.address())
        .set("1", nginx.address())
        .start();
    let (grpc, other) = (server.address().to_string(), nginx.address().to_string());
    wait_for_reason(&gateway, &grpc, "down", "it has no grpc.health.v1.Health");
    wait_for_state(&gateway, &other, "down");
}
