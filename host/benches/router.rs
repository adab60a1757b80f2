//! What a lookup costs, and that it does not grow with the table: the same ten routes asked alone and among 10,000.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::Method;
use swapgate::router::path::normalize;
use swapgate::router::pattern::{HostPattern, PathPattern};
use swapgate::router::table::{Lookup, Params, RouteRule, Table};

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

fn lookup(criterion: &mut Criterion) {
    let few = Table::build(&ten());
    let mut rules = ten();
    rules.extend((rules.len()..10_000).map(other));
    let many = Table::build(&rules);
    let asked: Vec<_> = TEN
        .iter()
        .map(|&(host, _, path)| (request_host(host), path.to_owned()))
        .collect();
    let random = shuffled();

    let mut group = criterion.benchmark_group("lookup");
    group.bench_function("ten routes, alone", |bench| ask(bench, &few, &asked));
    group.bench_function("ten routes, among 10000", |bench| ask(bench, &many, &asked));
    group.bench_function("10000 routes, at random", |bench| {
        ask(bench, &many, &random);
    });
    group.finish();
    criterion.bench_function("normalize, already normal", |bench| {
        bench.iter(|| normalize(black_box("/users/4711/orders/12"), true));
    });
}

/// One iteration is one lookup.
fn ask(bench: &mut criterion::Bencher<'_>, table: &Table, requests: &[(&'static str, String)]) {
    let mut params = Params::default();
    let mut requests = requests.iter().cycle();
    bench.iter(|| {
        let (host, path) = requests.next().expect("never ends");
        let found = table.find(black_box(host), black_box(path), &Method::GET, &mut params);
        assert!(matches!(found, Lookup::Found(_)), "{path}");
        found
    });
}

fn ten() -> Vec<RouteRule> {
    let named = TEN.iter().enumerate();
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

/// A request for each of the other routes, in an order that caches cannot guess.
fn shuffled() -> Vec<(&'static str, String)> {
    // 7919 is prime and does not divide their number, so each comes once.
    let count = 9_990;
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
        priority: 0,
    }
}

criterion_group!(benches, lookup);
criterion_main!(benches);
