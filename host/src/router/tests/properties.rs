//! Properties of the router over random tables and requests.

use std::sync::atomic::{AtomicU64, Ordering};

use super::random::{Ask, Random, Spec};
use super::reference::reference;
use super::{Asked, answered, explained};
use crate::router::table::{RouteRule, Table};

/// 10,000 tables of up to 14 routes, each asked 100 times: a million cases. Every tenth is explained as well.
const TABLES: u64 = 10_000;
const REQUESTS: usize = 100;

/// Does something for each table, on as many threads as there are cores.
fn for_each_table(work: impl Fn(Random) + Sync) {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= TABLES {
                        return;
                    }
                    work(Random(seed << 32));
                }
            });
        }
    });
}

fn rules(specs: &[Spec]) -> Vec<RouteRule> {
    specs.iter().map(Spec::rule).collect()
}

#[test]
fn the_table_agrees_with_trying_every_route_a_million_times() {
    for_each_table(|mut random| {
        let specs = random.table(14);
        let rules = rules(&specs);
        let table = Table::build(&rules).unwrap();
        for turn in 0..REQUESTS {
            let ask = random.ask();
            let asked = ask.asked(&mut random);
            let found = answered(&rules, &table, &asked);
            if found != reference(&specs, &ask) {
                disagree(specs.clone(), &ask, &asked);
            }
            if turn % 10 == 0 {
                assert_eq!(explained(&rules, &asked), found, "{ask:?}\n{specs:#?}");
            }
        }
    });
}

/// Takes away every route that does not matter, then panics.
fn disagree(mut specs: Vec<Spec>, ask: &Ask, asked: &Asked) {
    let both = |specs: &[Spec]| {
        let rules = rules(specs);
        (
            answered(&rules, &Table::build(&rules).unwrap(), asked),
            reference(specs, ask),
        )
    };
    for at in (0..specs.len()).rev() {
        let mut fewer = specs.clone();
        fewer.remove(at);
        let (found, expected) = both(&fewer);
        if found != expected {
            specs = fewer;
        }
    }
    let (found, expected) = both(&specs);
    panic!("{ask:?}\nfound {found}, expected {expected}, with {specs:#?}");
}

/// A route that does not fit a request changes nothing about it; one that fits takes it, or changes nothing.
#[test]
fn a_new_route_takes_only_requests_it_fits() {
    for_each_table(|mut random| {
        let mut specs = random.table(10);
        let before = rules(&specs);
        let added = random.route();
        let alone = rules(std::slice::from_ref(&added));
        let name = added.name.clone();
        specs.insert(specs.len() / 2, added);
        let after = rules(&specs);
        let tables = [&before, &alone, &after].map(|rules| Table::build(rules).unwrap());
        for _ in 0..20 {
            let ask = random.ask();
            let asked = ask.asked(&mut random);
            let before = answered(&before, &tables[0], &asked);
            let alone = answered(&alone, &tables[1], &asked);
            let after = answered(&after, &tables[2], &asked);
            let took = after.starts_with(&name);
            // A route that differs in its method alone turns 404 into 405, or adds to what is allowed.
            let allowed = alone.starts_with("405") && after.starts_with("405");
            let fits = alone.starts_with(&name);
            assert!(
                after == before || (took && fits) || allowed,
                "{ask:?}\n{specs:#?}"
            );
        }
    });
}
