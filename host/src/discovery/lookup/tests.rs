//! What names and services lead to after some answers.

use std::net::IpAddr;

use super::*;

const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8001);

type Family = Result<Answer<BTreeSet<IpAddr>>, Miss>;

fn ips(list: &[&str]) -> Family {
    Ok(Answer {
        records: list.iter().map(|ip| ip.parse().unwrap()).collect(),
        ttl: Duration::from_secs(7),
    })
}

fn failed() -> Family {
    Err(Miss::Failed("no answer".to_owned()))
}

fn lookup(port: u16) -> Lookup {
    let host = Arc::from("a");
    let name = TargetAddress::Name { host, port };
    Lookup {
        has_route: |ip| ip != IpAddr::from([10, 0, 0, 99]),
        ..Lookup::new(name, ADMIN, Memory::default())
    }
}

/// What a name leads to after these answers, and whether the last one was taken.
#[track_caller]
fn check(answers: Vec<(Family, Family)>, expected: &[&str], taken: bool) {
    let mut lookup = lookup(80);
    let mut last = Outcome::default();
    for (v4, v6) in answers {
        last = lookup.name("a", 80, Addresses { v4, v6 });
    }
    let seen = lookup
        .memory()
        .places
        .iter()
        .map(|place| place.address.ip().to_string());
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    assert_eq!(last.ttl.is_some(), taken, "{last:?}");
}

#[test]
fn what_was_known_last_stays_where_nothing_is_known() {
    let first = || (ips(&["10.0.0.2", "10.0.0.1"]), ips(&["fd00::1"]));
    let all = ["10.0.0.1", "10.0.0.2", "fd00::1"];
    check(vec![first()], &all, true);
    check(vec![first(), (failed(), failed())], &all, false);
    check(
        vec![first(), (Err(Miss::NoName), Err(Miss::NoName))],
        &all,
        false,
    );
    check(
        vec![first(), (ips(&["0.0.0.0"]), Err(Miss::NoRecords))],
        &all,
        false,
    );
    // A family that cannot be looked up stays, one that is gone goes.
    check(
        vec![first(), (ips(&["10.0.0.3"]), failed())],
        &["10.0.0.3", "fd00::1"],
        true,
    );
    check(
        vec![first(), (ips(&["10.0.0.3"]), Err(Miss::NoRecords))],
        &["10.0.0.3"],
        true,
    );
    check(
        vec![first(), (failed(), ips(&["fd00::2"]))],
        &["10.0.0.1", "10.0.0.2", "fd00::2"],
        true,
    );
}

#[test]
fn addresses_without_a_way_to_them_are_not_used_unless_there_are_no_others() {
    let v6 = || Err(Miss::NoRecords);
    check(
        vec![(ips(&["10.0.0.99", "10.0.0.1"]), v6())],
        &["10.0.0.1"],
        true,
    );
    check(vec![(ips(&["10.0.0.99"]), v6())], &["10.0.0.99"], true);
}

#[test]
fn no_name_leads_to_the_admin_listener_or_to_too_many() {
    let mut admin = lookup(8001);
    let v4 = ips(&["127.0.0.1"]);
    let outcome = admin.name("a", 8001, Addresses { v4, v6: failed() });
    assert_eq!((outcome.ttl, admin.memory().places.len()), (None, 0));

    let mut many = lookup(80);
    let crowd: Vec<_> = (0..1000_u32)
        .map(|n| IpAddr::from(0x0a00_0000_u128.wrapping_add(n.into()).to_be_bytes()))
        .collect();
    let records = crowd.into_iter().collect();
    let v6 = Ok(Answer {
        records,
        ttl: Duration::ZERO,
    });
    let outcome = many.name("a", 80, Addresses { v4: failed(), v6 });
    assert_eq!(many.memory().places.len(), PLACES);
    assert!(outcome.ttl.is_some() && outcome.more);
    assert_eq!(outcome.miss, None, "what is too much is no failure");
}

#[tokio::test]
async fn a_server_that_cannot_be_looked_up_keeps_its_places_after_a_hand_over() {
    let service = TargetAddress::Service("_http._tcp.a.test".into());
    let first = Rc::new(BTreeMap::from([(
        "s.test.".to_owned(),
        Host {
            v4: BTreeSet::from([IpAddr::from([10, 0, 0, 7])]),
            v6: BTreeSet::new(),
        },
    )]));
    let memory = Memory {
        hosts: first,
        places: Arc::from([]),
    };
    let mut lookup = Lookup {
        has_route: |_| true,
        ..Lookup::new(service, ADMIN, memory)
    };
    // Nobody answers there.
    let resolver = Rc::new(Resolver::new(crate::config::ready::Dns {
        servers: vec![SocketAddr::from(([127, 0, 0, 1], 9))],
        min_ttl: Duration::from_secs(1),
        max_ttl: Duration::from_secs(1),
        timeout: Duration::from_millis(200),
    }));
    let records = vec![Record {
        priority: 1,
        weight: 1,
        port: 80,
        host: "s.test.".to_owned(),
    }];
    let ttl = Duration::from_secs(5);
    let local = tokio::task::LocalSet::new();
    let asked = lookup.service(Answer { records, ttl }, &resolver);
    let outcome = local.run_until(asked).await;
    assert!(outcome.miss.is_some());
    assert_eq!(lookup.memory().places.len(), 1, "{outcome:?}");
}
