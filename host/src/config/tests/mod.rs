//! The room from outside: a text goes in, a configuration or every error comes out.

mod diff;
mod plugin;
mod route;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::ready::{Algorithm, Config, OnError, Underscores};
use super::*;

const REFERENCE: &str = include_str!("../../../../config/swapgate.yaml");

/// An environment of a few values.
struct Fake;

impl Environment for Fake {
    fn variable(&self, name: &str) -> Result<String, String> {
        let known = HashMap::from([
            ("KEY", "hunter2-hunter2"),
            ("PORT", "80x80"),
            ("TOKEN", "s3cr3t-t0ken"),
        ]);
        known
            .get(name)
            .map(|v| (*v).to_owned())
            .ok_or_else(|| "it is not set".to_owned())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("/etc/gate/keys/one") => Ok("of-a-file\n".to_owned()),
            _ => Err("no such file".to_owned()),
        }
    }

    fn cores(&self) -> usize {
        3
    }
}

fn read(text: &str) -> Result<Config, Vec<ConfigError>> {
    let source = Source {
        file: "gate.yaml".into(),
        text: text.to_owned(),
        base: PathBuf::from("/etc/gate"),
    };
    load(&source, &Fake)
}

fn listing(errors: &[ConfigError]) -> String {
    let mut out = String::new();
    for error in errors {
        let _ = writeln!(out, "{error}");
    }
    out
}

/// `expected` lists every error, one a line; nothing means that the text is good.
#[track_caller]
fn check(text: &str, expected: &str) {
    let found = match read(text) {
        Ok(_) => String::new(),
        Err(errors) => listing(&errors),
    };
    let expected: String = expected.trim().lines().fold(String::new(), |out, line| {
        out + "gate.yaml:" + line.trim_start() + "\n"
    });
    assert_eq!(found, expected, "for the text\n{text}");
}

/// Checks lines that are put behind a smallest good file of two lines.
#[track_caller]
fn check_more(more: &str, expected: &str) {
    check(&format!("{MINIMAL}{more}"), expected);
}

#[track_caller]
fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|errors| panic!("{}", listing(&errors)))
}

const MINIMAL: &str = "format: 1\nlisteners: [{name: a, address: '127.0.0.1:0'}]\n";

#[test]
fn the_smallest_file_gets_every_default() {
    let config = good(MINIMAL);
    assert_eq!(config.workers, 3);
    assert_eq!(config.admin.address, "127.0.0.1:8001".parse().unwrap());
    assert_eq!(config.plugins_dir, Path::new("/etc/gate/plugins.d"));
    assert_eq!(config.state_dir, Path::new("/etc/gate/state"));
    assert_eq!(config.limits.header_bytes, 65536);
    assert_eq!(config.limits.uri_bytes, 16384);
    assert_eq!(config.client_headers.underscores, Underscores::Drop);
    assert_eq!(config.limits.body_bytes, 100 << 20);
    assert_eq!(config.client_timeouts.header, Duration::from_secs(10));
    assert!(config.routes.is_empty() && config.plugins.is_empty() && config.via.is_none());
}

#[test]
fn the_reference_shows_the_defaults() {
    let reference = good(REFERENCE);
    let defaults = good(MINIMAL);
    assert_eq!(reference.admin, defaults.admin);
    assert_eq!(reference.loader, defaults.loader);
    assert_eq!(reference.limits, defaults.limits);
    assert_eq!(reference.client_timeouts, defaults.client_timeouts);
    assert_eq!(reference.drain, defaults.drain);
    assert_eq!(reference.plugins_dir, defaults.plugins_dir);
    assert_eq!(reference.state_dir, defaults.state_dir);
    assert_eq!(reference.overload, defaults.overload);
    assert_eq!(reference.dns, defaults.dns);
    assert_eq!(
        reference.upstreams[0].balance.algorithm,
        Algorithm::RoundRobin
    );
    assert_eq!(reference.upstreams[0].targets[0].weight, 2);
    let service = "services: [{name: s, upstream: u}]";
    let upstream = "upstreams: [{name: u, targets: [{address: '127.0.0.1:1'}]}]";
    let smallest = good(&format!("{MINIMAL}{service}\n{upstream}\n"));
    assert_eq!(
        reference.services[0].timeouts,
        smallest.services[0].timeouts
    );
}

#[test]
fn the_reference_names_every_key_of_the_schema() {
    let schema = schema();
    let mut objects = vec![&schema];
    objects.extend(schema["$defs"].as_object().unwrap().values());
    for object in objects {
        for key in object["properties"]
            .as_object()
            .into_iter()
            .flat_map(|p| p.keys())
        {
            assert!(
                REFERENCE.contains(&format!("{key}:")),
                "the reference lacks {key}"
            );
        }
    }
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let committed = include_str!("../../../../config/swapgate.schema.json");
    let generated = format!("{:#}\n", schema());
    assert!(
        committed == generated,
        "write it again with: swapgate schema > config/swapgate.schema.json"
    );
}

#[test]
fn every_file_in_config_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            good(&Source::read(&path).unwrap().text);
            files += 1;
        }
    }
    assert!(files >= 2);
}

#[test]
fn json_is_read_with_its_places() {
    let text =
        "{\n  \"format\": 1,\n  \"listeners\": [\n    {\"name\": \"a\", \"address\": 5}\n  ]\n}";
    check(
        text,
        "4:30: listeners[0].address: this value does not fit: found the number 5, expected a text",
    );
    good("{\"format\":1,\"listeners\":[{\"name\":\"a\",\"address\":\"[::1]:80\"}]}");
}

#[test]
fn text_that_is_no_tree_is_one_error() {
    check(
        "",
        "1:1: the file is empty: expected a map that begins with \"format: 1\"",
    );
    check(
        "# nothing\n",
        "1:1: the file is empty: expected a map that begins with \"format: 1\"",
    );
    check(
        "hello",
        "1:1: this value does not fit: found \"hello\", expected a map",
    );
    check(
        "a: 1\n---\nb: 2\n",
        "2:1: a second document begins here; keep one document in a file",
    );
    check(
        "format: !!binary 1",
        "1:9: format: tags are not supported: found \"!!binary\"; remove the tag",
    );
    check("? [a]\n: 1", "1:3: a list or map cannot be a key");
    assert!(listing(&read("a: [1, 2").unwrap_err()).contains("not YAML or JSON"));
    let deep = "[".repeat(100) + &"]".repeat(100);
    assert!(listing(&read(&deep).unwrap_err()).contains("nested deeper than 64 levels"));
    assert_eq!(read(&"[".repeat(100_000)).unwrap_err().len(), 1);
    let long = format!("format: 1 #{}", "x".repeat(9 << 20));
    assert!(listing(&read(&long).unwrap_err()).contains("too large"));
}

#[test]
fn aliases_are_copied_within_bounds() {
    good(
        "format: 1\nlisteners: [&x {name: a, address: &y '127.0.0.1:80'}]\nadmin: {address: '127.0.0.1:81'}",
    );
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let below = format!("*a{}, ", i - 1).repeat(10);
        let _ = writeln!(bomb, "a{i}: &a{i} [{below}]");
    }
    let told = listing(&read(&bomb).unwrap_err());
    assert!(
        told.contains("the values of the file grow too large; use fewer aliases"),
        "{told}"
    );
    let told = listing(&read("a: &a [*a]").unwrap_err());
    assert!(told.contains("gate.yaml:1:8"), "{told}");
}

#[test]
fn what_clients_may_say_and_as_whom_the_process_runs() {
    check_more("client_headers: {identity: [\"x-*-id\", \"ho*\", Host, x-user-id]}", "
        3:29: client_headers.identity[0]: this value does not fit: found \"x-*-id\", expected the name of a header such as x-user-id, or its beginning such as x-user-*
        3:39: client_headers.identity[1]: this value does not fit: found \"ho*\", expected a header that a request can be without
        3:46: client_headers.identity[2]: this value does not fit: found \"Host\", expected a header that a request can be without");
    check_more(
        "process: {group: staff}",
        "
        3:18: process.group: a group without a user; write process.user as well",
    );
    check_more("limits: {uri_bytes: 1}", "
        3:21: limits.uri_bytes: this value does not fit: found the number 1, expected a size from 1KiB to 64KiB");
}

#[test]
fn unknown_and_repeated_keys_are_told_where_they_stand() {
    check_more("routs: []\nvia: x\nvia: y\n", "
        3:1: routs: this key is not known: found \"routs\", expected one of format, listeners, admin, workers, plugins_dir, state_dir, loader, faults, limits, overload, client_timeouts, client_headers, trusted_addresses, upstream_allow, via, merge_slashes, readiness, drain, process, metrics, kv, callouts, blocking, dns, upstreams, services, routes, plugins; did you mean \"routes\"?
        5:1: via: the key stands here twice; remove one of the two");
    check_more("drain: {shutdwn: 5s, \"a b\": 1}", "
        3:9: drain.shutdwn: this key is not known: found \"shutdwn\", expected one of delay, shutdown, upgrade, max; did you mean \"shutdown\"?
        3:22: drain[\"a b\"]: this key is not known: found \"a b\", expected one of delay, shutdown, upgrade, max; remove it");
    check_more(
        "limits: {<<: {headers: 5}}",
        "3:10: limits[\"<<\"]: this key is not known: found \"<<\", expected one of header_bytes, uri_bytes, headers, body_bytes, connections, connections_per_address, streams, plugin_wait; merge keys are not supported, write the keys out",
    );
}

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

#[test]
fn a_token_is_needed_where_others_can_connect() {
    check_more(
        "admin: {address: '0.0.0.0:1'}",
        "3:8: admin.token: an admin address that is not loopback needs a token; write token: \"${env:NAME}\", or bind to 127.0.0.1",
    );
    let config = good(&format!(
        "{MINIMAL}admin: {{address: '0.0.0.0:1', token: '${{env:TOKEN}}'}}"
    ));
    assert_eq!(
        config.admin.token.as_ref().unwrap().reveal(),
        "s3cr3t-t0ken"
    );
    assert!(!format!("{config:?}").contains("s3cr3t"));
}

#[test]
fn values_from_outside_are_filled_in_and_never_shown() {
    check_more("via: '${env:NOPE} ${file:nope} ${env:} ${x} ${env:KEY'", "
        3:6: via: a \"${\" without its \"}\": found \"${env:KEY\"; close it with \"}\"
        3:6: via: the environment variable NOPE cannot be used, it is not set: found \"${env:NOPE}\"; set it for the gateway
        3:6: via: the file /etc/gate/nope cannot be used, no such file: found \"${file:nope}\"; relative paths start at the folder of gate.yaml
        3:6: via: this form is not known here: found \"${x}\"; use ${env:NAME} or ${file:PATH}
        3:6: via: this is not a name of an environment variable: found \"${env:}\"; use letters, digits and \"_\"");
    check_more("admin: {address: '127.0.0.1:${env:PORT}'}\nroutes: [{name: r, service: '${env:KEY}', paths: ['/${env:PORT}/{']}]", "
        3:18: admin.address: this value does not fit: found \"127.0.0.1:${env:PORT}\", expected an IP address and a port such as 127.0.0.1:8000 or [::1]:8000
        4:29: routes[0].service: there is no service of this name: found \"${env:KEY}\", expected the name of an entry of services, which is empty
        4:51: routes[0].paths[0]: this value does not fit: found \"/${env:PORT}/{\"");
    check_more(
        "workers: '${env:KEY}'",
        "3:10: workers: this value does not fit: found \"${env:KEY}\", expected a whole number; what ${env:...} and ${file:...} give is always a text",
    );
}

#[test]
fn other_forms_belong_to_the_plugin() {
    let config = good(&format!(
        "{MINIMAL}plugins:\n- name: p\n  on_error: open\n  config: {{z: '${{consumer}} ${{env:KEY}} ${{open', a: '${{file:keys/one}}', n: 1.0}}\n"
    ));
    let plugin = &config.plugins[0];
    assert_eq!(
        plugin.config.reveal(),
        r#"{"a":"of-a-file","n":1,"z":"${consumer} hunter2-hunter2 ${open"}"#
    );
    assert_eq!(plugin.on_error, OnError::Open);
    assert_eq!(plugin.place.to_string(), "gate.yaml:4:3: plugins[0]");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_thousand_errors_are_enough() {
    let many = "1, ".repeat(5000);
    let errors = read(&format!("{MINIMAL}routes: [{many}]")).unwrap_err();
    assert_eq!(errors.len(), 1000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..6, any::<prop::sample::Index>()), 1..8)) {
        const PIECES: [&str; 24] = ["{", "}", "[", "]", ":", ": ", "- ", "\n", "\n  ", "&a ", "*a", "!!str ", "${env:", "${", "'", "\"", "|\n", "\u{0}", "é", "~", "-9223372036854775809", "1e999", "? ", "<<: *a\n"];
        let mut text: Vec<char> = REFERENCE.chars().collect();
        for (at, kind, other) in edits {
            if text.is_empty() {
                break;
            }
            let (i, j) = (at.index(text.len()), other.index(text.len()));
            match kind {
                0 => { text.remove(i); }
                1 => { text.truncate(i); }
                2 => { text.drain(i.min(j)..i.max(j)); }
                3 => { text.swap(i, j); }
                4 => { let copy: Vec<char> = text[i.min(j)..i.max(j)].to_vec(); text.splice(i..i, copy); }
                _ => { text.splice(i..i, PIECES[other.index(PIECES.len())].chars()); }
            }
        }
        let text: String = text.into_iter().collect();
        if let Err(errors) = read(&text) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                let line = error.to_string();
                prop_assert!(!line.contains('\n') && error.place.line >= 1 && error.place.column >= 1, "{line}");
            }
        }
    }

    #[test]
    fn no_noise_panics(text in "[\\PC\\n\\t]{0,200}") {
        let _ = read(&text);
    }
}
