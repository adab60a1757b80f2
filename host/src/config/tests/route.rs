//! Routes: what they say, and how it has to fit together.

use super::*;
use crate::config::ready::{Action, ForwardPath};
use crate::router::condition::{FieldCondition, ValuePattern};

const SERVICE: &str = "upstreams: [{name: u, targets: [{address: '127.0.0.1:1'}]}]
services: [{name: s, upstream: u, timeouts: {connect: 2s}}]
";

/// Checks one route, which stands in line 5.
#[track_caller]
fn check_route(route: &str, expected: &str) {
    check_more(
        &format!("{SERVICE}routes: [{{name: r, {route}}}]"),
        expected,
    );
}

#[track_caller]
fn good_route(route: &str) -> Action {
    let config = good(&format!("{MINIMAL}{SERVICE}routes: [{{name: r, {route}}}]"));
    config.routes[0].action.clone()
}

#[test]
fn a_route_does_one_thing() {
    check_route(
        "paths: [/]",
        "5:10: routes[0]: the route does nothing with its requests: expected one of service, redirect and respond",
    );
    check_route(
        "service: s, respond: {status: 204}",
        "5:41: routes[0].respond: the route has a service already; keep one of the two, or make two routes",
    );
    check_route(
        "redirect: {location: /x}, preserve_host: true, timeouts: {idle: 1s}",
        "
        5:61: routes[0].preserve_host: a route with redirect forwards nothing; leave this key out
        5:77: routes[0].timeouts: a route with redirect forwards nothing; leave this key out",
    );
}

#[test]
fn time_outs_of_the_service_hold_where_the_route_has_none() {
    let Action::Forward(forward) = good_route("service: s, timeouts: {response: 7s}") else {
        panic!("it forwards");
    };
    let timeouts = forward.timeouts;
    let seconds = [timeouts.connect, timeouts.response, timeouts.idle].map(|time| time.as_secs());
    assert_eq!(seconds, [2, 7, 60]);
}

#[test]
fn templates_name_what_every_path_has() {
    let Action::Forward(forward) = good_route(
        "service: s, paths: ['/a/{id}', '~/b/(?<id>[0-9]+)'], rewrite_path: '/c/{id}{$rest}'",
    ) else {
        panic!("it forwards");
    };
    assert!(matches!(forward.path, ForwardPath::Rewrite(_)));
    check_route(
        "service: s, paths: ['/a/{id}', /b], rewrite_path: '/c/{id}'",
        "5:70: routes[0].rewrite_path: the path '/b' has no parameter 'id'",
    );
    check_route(
        "service: s, rewrite_path: '/c/{$rest}'",
        "5:46: routes[0].rewrite_path: '{$rest}' begins with a slash itself; leave out the one before it",
    );
    for wrong in ["c", "/c{$query}", "/c?d=e", "{$host}", "https://x/"] {
        let found = read(&format!(
            "{MINIMAL}{SERVICE}routes: [{{name: r, service: s, rewrite_path: '{wrong}'}}]"
        ));
        let told = listing(&found.unwrap_err());
        assert!(told.contains("expected a path such as"), "{wrong}: {told}");
    }
    check_route(
        "service: s, strip_path: true, rewrite_path: '/c'",
        "5:64: routes[0].rewrite_path: strip_path and rewrite_path both say what is forwarded; keep rewrite_path; {$rest} is what strip_path would leave",
    );
}

#[test]
fn answers_of_a_route_can_be_sent() {
    check_route(
        "redirect: {location: '', status: 304}",
        "
        5:41: routes[0].redirect.location: this value does not fit: found \"\", expected a location such as https://{$host}{$path}{$query}
        5:53: routes[0].redirect.status: this value does not fit: found the number 304, expected one of 301, 302, 303, 307 and 308",
    );
    check_route(
        "respond: {status: 204, body: x}",
        "5:49: routes[0].respond.body: an answer with status 204 has no body; leave the body out, or choose another status",
    );
    check_route(
        "respond: {headers: {connection: close, 'a b': c, x: \"a\\r\\nb: c\"}}",
        "
        5:52: routes[0].respond.headers.connection: framing and hop-by-hop headers belong to the gateway
        5:66: routes[0].respond.headers[\"a b\"]: this is not a header that can be sent (RFC 9110, 5.1 and 5.5)
        5:72: routes[0].respond.headers.x: this is not a header that can be sent (RFC 9110, 5.1 and 5.5)",
    );
    let Action::Respond(respond) = good_route("respond: {body: hello}") else {
        panic!("it answers");
    };
    assert_eq!(respond.headers["content-type"], "text/plain; charset=utf-8");
}

#[test]
fn conditions_are_read() {
    let config = good(&format!(
        "{MINIMAL}{SERVICE}routes: [{{name: r, service: s, headers: {{x-a: v, x-b: [v, '~^w']}}, query: {{q: []}}, cookies: {{c: ''}}, addresses: [10.0.0.0/8]}}]"
    ));
    let conditions = &config.routes[0].conditions;
    assert_eq!(conditions.headers.len(), 2);
    assert_eq!(
        (
            conditions.query.len(),
            conditions.cookies.len(),
            conditions.addresses.len()
        ),
        (1, 1, 1)
    );
    check_route(
        "service: s, headers: {X-A: v, x-a: w}",
        "5:55: routes[0].headers.x-a: this header is named already by routes[0].headers.X-A in line 5: found \"w\"; keep one of the two",
    );
    check_route(
        "service: s, query: {q: 7}, addresses: [ten]",
        "
        5:43: routes[0].query.q: this value does not fit: found the number 7, expected a text, or a list of texts
        5:59: routes[0].addresses[0]: this value does not fit: found \"ten\", expected an IP address or a network such as 10.0.0.0/8 or fd00::/8",
    );
}

#[test]
fn a_location_names_its_host_itself() {
    check_route(
        "paths: ['~/old(?<tail>.*)'], redirect: {location: 'https://new.test{tail}'}",
        "5:70: routes[0].redirect.location: the parameter 'tail' could name another host; write a slash before it, as in https://example.com/{tail}",
    );
}

#[test]
fn values_that_are_filled_in_are_secrets() {
    let config = good(&format!(
        "{MINIMAL}{SERVICE}routes: [{{name: r, service: s, headers: {{x-a: '${{env:TOKEN}}', x-b: [v, '~${{file:keys/one}}']}}, cookies: {{c: '~${{env:KEY}}('}}}}]"
    ));
    let conditions = &config.routes[0].conditions;
    let values = |field: &FieldCondition| field.values().to_vec();
    assert_eq!(
        values(&conditions.headers[0]),
        [ValuePattern::secret("s3cr3t-t0ken")]
    );
    assert_eq!(
        values(&conditions.headers[1]),
        [
            ValuePattern::parse("v").unwrap(),
            ValuePattern::secret("~of-a-file")
        ]
    );
    assert_eq!(
        values(&conditions.cookies[0]),
        [ValuePattern::secret("~hunter2-hunter2(")]
    );
    let shown = format!("{:?}", config.routes);
    for secret in ["s3cr3t", "of-a-file", "hunter2"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
