//! Consistent hashing: by every key there is, the same at every worker and every gateway, and with few keys that move.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;

use swapgate_tests::{Client, Gateway};

use super::{ask, die, entries, target_of, targets, text};

/// One upstream for each kind of key, one route for each.
const KINDS: &str = "\
workers: 2
trusted_addresses: [\"127.0.0.1\"]
upstreams:
  - {name: header, algorithm: consistent-hash, hash: [\"header:x-user\"], targets: [@targets@]}
  - {name: cookie, algorithm: consistent-hash, hash: [\"cookie:session\"], targets: [@targets@]}
  - {name: param, algorithm: consistent-hash, hash: [\"param:id\"], targets: [@targets@]}
  - {name: address, algorithm: consistent-hash, hash: [address], targets: [@targets@]}
  - {name: consumer, algorithm: consistent-hash, hash: [consumer], targets: [@targets@]}
  - {name: several, algorithm: consistent-hash, hash: [\"header:x-user\", address], targets: [@targets@]}
services:
  - {name: header, upstream: header}
  - {name: cookie, upstream: cookie}
  - {name: param, upstream: param}
  - {name: address, upstream: address}
  - {name: consumer, upstream: consumer}
  - {name: several, upstream: several}
routes:
  - {name: header, service: header, paths: [/header]}
  - {name: cookie, service: cookie, paths: [/cookie]}
  - {name: param, service: param, paths: [\"/param/{id}\"]}
  - {name: address, service: address, paths: [/address]}
  - {name: consumer, service: consumer, paths: [/consumer], plugins: [{name: key-auth, config: {header: x-key, keys: [@keys@]}}]}
  - {name: several, service: several, paths: [/several]}
";
/// How many keys each kind is tried with: so many miss one of four targets less than once in a thousand million times,
/// wherever chance puts the targets.
const KEYS: usize = 100;

fn kinds(entries: &str) -> Gateway {
    let mut keys = String::new();
    for key in 0..KEYS {
        let _ = write!(
            keys,
            "{{consumer: consumer-{key}, key: secret-secret-{key}}}, "
        );
    }
    Gateway::with(KINDS)
        .plugin("key_auth")
        .set("targets", entries)
        .set("keys", keys.trim_end_matches(", "))
        .start()
}

/// Path and fields of a request with a key of a kind.
fn request(kind: &str, key: usize) -> (String, String) {
    let path = format!("/{kind}");
    match kind {
        "header" => (path, format!("X-User: user-{key}\r\n")),
        "cookie" => (path, format!("Cookie: a=b; session=s{key}; c=d\r\n")),
        "param" => (format!("/param/{key}/rest"), String::new()),
        "consumer" => (path, format!("X-Key: secret-secret-{key}\r\n")),
        _ => (path, format!("X-Forwarded-For: 10.1.2.{key}\r\n")),
    }
}

/// The target of each key, asked on a connection of its own each time.
fn owners(address: SocketAddr, kind: &str) -> Vec<usize> {
    let owner = |key| {
        let (path, fields) = request(kind, key);
        target_of(&ask(&mut Client::connect(address), &path, &fields))
    };
    (0..KEYS).map(owner).collect()
}

#[test]
fn every_kind_of_key_leads_to_the_same_target_everywhere() {
    let targets = targets(4);
    let one = kinds(&entries(&targets));
    // The order in the file says nothing.
    let other = kinds(&entries(targets.iter().rev()));
    for kind in [
        "header", "cookie", "param", "address", "consumer", "several",
    ] {
        let owners_there = owners(one.address(), kind);
        assert_eq!(owners_there, owners(one.address(), kind), "{kind}");
        assert_eq!(owners_there, owners(other.address(), kind), "{kind}");
        let all: BTreeSet<_> = owners_there.iter().collect();
        assert_eq!(all.len(), 4, "{kind} reaches every target");
    }
    // The first key that a request has counts, whatever others it has.
    let mut client = one.client();
    let [mut by_user, mut by_address] = [BTreeSet::new(), BTreeSet::new()];
    for key in 0..KEYS {
        let user = format!("X-User: same\r\nX-Forwarded-For: 10.1.2.{key}\r\n");
        by_user.insert(target_of(&ask(&mut client, "/several", &user)));
        let empty = format!("X-User:\r\nX-Forwarded-For: 10.1.2.{key}\r\n");
        by_address.insert(target_of(&ask(&mut client, "/several", &empty)));
    }
    assert_eq!((by_user.len(), by_address.len()), (1, 4));
    // Without any key it goes by lot.
    let lots: BTreeSet<_> = (0..100)
        .map(|_| target_of(&client.get("/header")))
        .collect();
    assert_eq!(lots.len(), 4);
}

#[test]
fn a_target_that_goes_takes_only_its_own_keys_with_it() {
    const ALL: usize = 1000;
    let mut targets = targets(10);
    let keys = "algorithm: consistent-hash, hash: [\"header:x-user\"]";
    let gateway = Gateway::with(&text(keys, &entries(&targets))).start();
    let owners = |connection: &mut Client| -> Vec<usize> {
        let owner = |key| target_of(&ask(connection, "/", &format!("X-User: {key}\r\n")));
        (0..ALL).map(owner).collect()
    };
    let mut client = gateway.client();
    let before = owners(&mut client);
    let moved = |after: &[usize], gone: usize| {
        let pairs = before.iter().zip(after);
        let moved = pairs.filter(|(before, after)| before != after);
        let moved: Vec<_> = moved.map(|(before, _)| *before).collect();
        assert!(
            moved.iter().all(|before| *before == gone),
            "only keys of the one that is gone"
        );
        assert!(
            !moved.is_empty() && moved.len() <= ALL * 15 / 100,
            "{} moved",
            moved.len()
        );
    };
    // One takes no connections any more: the next one clockwise does, always the same.
    let gone = 3;
    die(targets.remove(gone));
    let unreachable = owners(&mut client);
    moved(&unreachable, gone);
    // It leaves the configuration: the same ones have its keys.
    gateway.reload_published(&text(keys, &entries(&targets)));
    let without = owners(&mut client);
    moved(&without, gone);
    assert_eq!(unreachable, without);
}
