//! What a lookup costs, and that it does not grow with the table: the same ten routes asked alone and among 10,000; the
//! same for regular expressions, and for routes that ask for a header as well.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use swapgate::router::condition::{Conditions, FieldCondition, ValuePattern};
use swapgate::router::path::normalize;
use swapgate::router::pattern::{HostPattern, PathPattern};
use swapgate::router::table::{Lookup, Params, Request, RouteRule, Table};

/// Routes in a large table.
const MANY: usize = 10_000;

/// Host, path of the route, path of the request.
const TEN: [(&str, &str, &str); 10] = [
    ("", "/users/{id}", "/users/4711"),
    ("", "/users/{id}/orders/{order}", "/users/4711/orders/12"),
    ("", "=/users", "/users"),
    ("", "/static", "/static/css/site.css"),
    ("api.example.com", "/v1/search", "/v1/search"),
    ("api.example.com", "/v1/{kind}/list", "/v1/cars/list"),
    ("*.example.org", "/", "/deep/below/the/root"),
    ("*.example.org", "/shop/{shop}/cart", "/shop/17/cart"),
    ("", "/{tenant}/settings", "/acme/settings"),
    ("", "/a/b/c/d/e", "/a/b/c/d/e/f"),
];

/// The same with regular expressions.
const TEN_REGEXES: [(&str, &str, &str); 10] = [
    ("", "~/users/(?<id>[0-9]+)$", "/users/4711"),
    (
        "",
        "~/users/(?<id>[0-9]+)/orders/(?<order>[0-9]+)$",
        "/users/4711/orders/12",
    ),
    ("", "~/users/?$", "/users"),
    ("", r"~/static/.*\.css$", "/static/css/site.css"),
    ("api.example.com", "~/v[0-9]+/search", "/v1/search"),
    (
        "api.example.com",
        "~/v1/(?<kind>cars|bikes)/list",
        "/v1/cars/list",
    ),
    ("*.example.org", "~/.*/root$", "/deep/below/the/root"),
    (
        "*.example.org",
        "~/shop/(?<shop>[^/]+)/cart",
        "/shop/17/cart",
    ),
    ("", "~/(?<tenant>[a-z]+)/settings$", "/acme/settings"),
    ("", "~/a/b/c/d/[ef]", "/a/b/c/d/e/f"),
];

fn lookup(criterion: &mut Criterion) {
    let none = HeaderMap::new();
    compare(criterion, "lookup", &none, &TEN, table(&TEN), other);
    let ten = table(&TEN_REGEXES);
    compare(criterion, "regex", &none, &TEN_REGEXES, ten, other_regex);

    let mut headers = HeaderMap::new();
    headers.insert("accept", HeaderValue::from_static("*/*"));
    headers.insert("x-version", HeaderValue::from_static("2"));
    let versions = |index| with_header(other(index));
    let ten = table(&TEN).into_iter().map(with_header).collect();
    compare(criterion, "header", &headers, &TEN, ten, versions);

    criterion.bench_function("normalize, already normal", |bench| {
        bench.iter(|| normalize(black_box("/users/4711/orders/12"), true));
    });
}

/// The ten alone, the ten among many, and the many.
fn compare(
    criterion: &mut Criterion,
    name: &str,
    headers: &HeaderMap,
    ten: &[(&'static str, &str, &str)],
    rules: Vec<RouteRule>,
    other: impl Fn(usize) -> RouteRule,
) {
    let few = Table::build(&rules).unwrap();
    let mut rules = rules;
    rules.extend((rules.len()..MANY).map(other));
    let many = Table::build(&rules).unwrap();
    let asked: Vec<_> = ten
        .iter()
        .map(|&(host, _, path)| (request_host(host), path.to_owned()))
        .collect();
    let mut group = criterion.benchmark_group(name);
    group.bench_function("ten routes, alone", |bench| {
        ask(bench, &few, headers, &asked);
    });
    group.bench_function("ten routes, among 10000", |bench| {
        ask(bench, &many, headers, &asked);
    });
    let random = shuffled();
    group.bench_function("10000 routes, at random", |bench| {
        ask(bench, &many, headers, &random);
    });
    group.finish();
}

/// One iteration is one lookup.
fn ask(
    bench: &mut criterion::Bencher<'_>,
    table: &Table,
    headers: &HeaderMap,
    requests: &[(&'static str, String)],
) {
    let mut params = Params::default();
    let mut requests = requests.iter().cycle();
    bench.iter(|| {
        let (host, path) = requests.next().expect("never ends");
        let request = Request {
            host: black_box(host),
            path: black_box(path),
            method: &Method::GET,
            headers,
            query: "",
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            sni: None,
        };
        let found = table.find(&request, &mut params);
        assert!(matches!(found, Lookup::Found(_)), "{host} {path}");
        found
    });
}

fn table(ten: &[(&str, &str, &str)]) -> Vec<RouteRule> {
    let named = ten.iter().enumerate();
    named
        .map(|(index, (host, path, _))| rule(&format!("ten{index}"), host, path))
        .collect()
}

/// The rest of a large table: many routes below common beginnings, many beginnings, many hosts.
fn other(index: usize) -> RouteRule {
    let name = format!("other{index}");
    match index % 5 {
        0 => rule(&name, "", &format!("/users/{{id}}/x{index}")),
        1 => rule(&name, "", &format!("/service{index}/{{id}}/items")),
        2 => rule(&name, "api.example.com", &format!("=/v1/{{kind}}/r{index}")),
        3 => rule(&name, &format!("h{index}.example.net"), "/"),
        _ => rule(&name, "", &format!("/{{tenant}}/t{index}")),
    }
}

/// The same with regular expressions: thousands at one place, thousands of places.
fn other_regex(index: usize) -> RouteRule {
    let name = format!("other{index}");
    match index % 5 {
        0 => rule(&name, "", &format!("~/users/(?<id>[0-9]+)/x{index}$")),
        1 => rule(&name, "", &format!("~/service{index}/(?<id>[^/]+)/items")),
        2 => rule(
            &name,
            "api.example.com",
            &format!("~/v1/(?<kind>[a-z]+)/r{index}$"),
        ),
        3 => rule(&name, &format!("h{index}.example.net"), "~/[a-z]$"),
        _ => rule(&name, "", &format!("~/(?<tenant>[a-z]+)/t{index}$")),
    }
}

/// The same route for a header.
fn with_header(rule: RouteRule) -> RouteRule {
    let value = ValuePattern::parse("2").expect("a value");
    let header = FieldCondition::header("x-version", vec![value]).expect("a header");
    RouteRule {
        conditions: Conditions {
            headers: vec![header],
            ..Conditions::default()
        },
        ..rule
    }
}

/// A request for each of the other routes, in an order that caches cannot guess.
fn shuffled() -> Vec<(&'static str, String)> {
    // 7919 is prime and does not divide their number, so each comes once.
    let count = MANY - TEN.len();
    let order = (0..count).map(|step| 10 + step * 7919 % count);
    let request = |index: usize| match index % 5 {
        0 => ("www.example.com", format!("/users/7/x{index}")),
        1 => ("www.example.com", format!("/service{index}/7/items")),
        2 => ("api.example.com", format!("/v1/cars/r{index}")),
        3 => (
            &*Box::leak(format!("h{index}.example.net").into_boxed_str()),
            "/x".to_owned(),
        ),
        _ => ("www.example.com", format!("/acme/t{index}")),
    };
    order.map(request).collect()
}

fn request_host(host: &'static str) -> &'static str {
    match host {
        "" => "www.example.com",
        "*.example.org" => "shop.example.org",
        exact => exact,
    }
}

fn rule(name: &str, host: &str, path: &str) -> RouteRule {
    let host = (!host.is_empty()).then(|| HostPattern::parse(host).expect("a host"));
    RouteRule {
        name: name.into(),
        hosts: host.into_iter().collect(),
        paths: vec![PathPattern::parse(path).expect("a path")],
        methods: Vec::new(),
        conditions: Conditions::default(),
        priority: 0,
        regex_priority: 0,
    }
}

criterion_group!(benches, lookup);
criterion_main!(benches);
