//! Upstreams and what hangs on them: health, breakers, retries, names.

use super::*;

#[test]
fn upstreams_say_what_their_parts_expect() {
    check_more("upstreams:\n- name: u\n  algorithm: fastest\n  helth: {}\n  targets: [{address: '1.2.3.4:5'}]", "
        5:14: upstreams[0].algorithm: this value does not fit: found \"fastest\", expected one of \"round-robin\", \"least-requests\", \"p2c-ewma\", \"consistent-hash\", \"random\"
        6:3: upstreams[0].helth: this key is not known: found \"helth\", expected one of name, algorithm, hash, sticky, slow_start, panic, protocol, tls, targets, health, concurrency, breaker; did you mean \"health\"?");
    check_more("upstreams:\n- name: u\n  algorithm: consistent-hash\n  targets: [{address: 'a.example'}, {address: 'srv:-'}, {address: '[::1]:0'}]\n- name: v\n  hash: [consumer, 'header:a b', 'who']\n  targets: [{address: 'a.example:80'}, {address: 'A.example:80'}]", "
        4:3: upstreams[0].hash: consistent-hash needs to know what it goes by; write for example hash: [consumer, address]
        6:23: upstreams[0].targets[0].address: this value does not fit: found \"a.example\", expected an address or a name, and a port, such as 10.0.0.1:8080 or users.internal:8080; add the port
        6:47: upstreams[0].targets[1].address: this value does not fit: found \"srv:-\", expected srv: and the name of a service such as srv:_http._tcp.users.internal
        6:67: upstreams[0].targets[2].address: this value does not fit: found \"[::1]:0\", expected a port from 1 to 65535
        8:9: upstreams[1].hash: only consistent-hash goes by this; write algorithm: consistent-hash, or leave this key out
        8:20: upstreams[1].hash[1]: this value does not fit: found \"header:a b\", expected consumer, address, header:NAME, cookie:NAME or param:NAME
        8:34: upstreams[1].hash[2]: this value does not fit: found \"who\", expected consumer, address, header:NAME, cookie:NAME or param:NAME
        9:50: upstreams[1].targets[1].address: this address is taken by upstreams[1].targets[0].address in line 9: found \"A.example:80\"; choose another one");
}

#[test]
fn failing_upstreams_are_described_whole() {
    let upstream = "upstreams:\n- name: u\n  targets: [{address: '1.2.3.4:5'}]\n  health:\n    active: {type: http, path: healthz, statuses: ['20x']}\n    passive: {eject: 10s, max_eject: 5s}\n  breaker: {fallback: {status: 204, body: x}}\n";
    let service = "services:\n- {name: s, upstream: u, retries: {on: [connect, refused, '599-500'], backoff: 1s}}\n";
    let route = "routes:\n- {name: r, service: s, split: [{upstream: u, weight: 0}], mirror: {upstream: v}}\n- {name: q, respond: {}, split: [{upstream: u, weight: 1}]}\n";
    check_more(&format!("{upstream}{service}{route}dns: {{min_ttl: 10m}}\n"), "
        7:32: upstreams[0].health.active.path: this value does not fit: found \"healthz\", expected a path such as /healthz, with a query if it has one
        7:52: upstreams[0].health.active.statuses[0]: this value does not fit: found \"20x\", expected a status or a range of them such as \"503\" or \"502-504\"
        8:38: upstreams[0].health.passive.max_eject: this is shorter than eject: found \"5s\"; make it 10s or longer
        9:43: upstreams[0].breaker.fallback.body: an answer with status 204 has no body; leave the body out, or choose another status
        11:35: services[0].retries.max_backoff: this is shorter than backoff; make it 1s or longer
        11:50: services[0].retries.on[1]: this value does not fit: found \"refused\", expected connect, reset, timeout, or statuses such as \"503\" or \"502-504\"
        11:59: services[0].retries.on[2]: this value does not fit: found \"599-500\", expected connect, reset, timeout, or statuses such as \"503\" or \"502-504\"
        13:32: routes[0].split: no upstream has a share of the requests; give one of them a weight above 0
        13:79: routes[0].mirror.upstream: there is no upstream of this name: found \"v\", expected one of u; did you mean \"u\"?
        14:33: routes[1].split: a route with respond forwards nothing; leave this key out
        15:6: dns.max_ttl: this is shorter than min_ttl; make it 600s or longer");
}

#[test]
fn what_would_mean_nothing_is_refused() {
    let upstream = |name: &str, keys: &str| {
        format!("- {{name: {name}, targets: [{{address: '1.2.3.4:5'}}], {keys}}}\n")
    };
    let upstreams = [
        upstream("a", "sticky: {cookie: c, max_age: 900ms}"),
        upstream(
            "b",
            "health: {active: {type: tcp, path: /, statuses: ['200']}}",
        ),
        upstream("c", "health: {active: {service: s}}"),
        upstream(
            "d",
            "health: {active: {type: grpc, service: s, host: h, path: /}}",
        ),
        upstream("e", "sticky: {cookie: c, max_age: 1s}"),
    ];
    check_more(
        &format!("dns: {{timeout: 31s}}\nupstreams:\n{}", upstreams.concat()),
        "
        3:16: dns.timeout: this is too long, for a start and every reload that brings a name may have to wait for it: found \"31s\"; make it 30s or shorter
        5:77: upstreams[0].sticky.max_age: this is shorter than a second, and clients would forget the cookie at once: found \"900ms\"; make it 1s or longer, or leave it out for a cookie of the session
        6:83: upstreams[1].health.active.path: a check of type tcp has no use for this: found \"/\"; leave the key out, or choose another type
        6:96: upstreams[1].health.active.statuses: a check of type tcp has no use for this: found a list; leave the key out, or choose another type
        7:75: upstreams[2].health.active.service: a check of type http has no use for this: found \"s\"; leave the key out, or choose another type
        8:105: upstreams[3].health.active.path: a check of type grpc has no use for this: found \"/\"; leave the key out, or choose another type");
    check_more("services: [{name: s, upstream: usres}]\nupstreams: [{name: users, targets: [{address: '1.2.3.4:5'}]}]", "
        3:32: services[0].upstream: there is no upstream of this name: found \"usres\", expected one of users; did you mean \"users\"?");
    check_more("plugins: [{name: p}, {name: q}, {name: p}]", "
        3:40: plugins[2].name: this plugin is attached here already by plugins[0].name in line 3: found \"p\"; keep one of the two");
}
