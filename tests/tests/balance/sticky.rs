//! The cookie that keeps a client at its target.

use std::collections::BTreeSet;

use swapgate_tests::{Certificates, Client, Gateway, Response, SecureConfig};

use super::{ask, die, entries, target_of, targets, text};

const STICKY: &str = "sticky: {cookie: at}";
/// So many keys miss a target less than once in a thousand million times, wherever chance puts the targets.
const USERS: usize = 100;

/// The field that sets the cookie, and the value in it.
#[track_caller]
fn given(response: &Response) -> Option<(String, String)> {
    let field = response.header("set-cookie")?;
    let value = field.strip_prefix("at=").expect("the cookie's name");
    let value = value.split(';').next().expect("a value").to_owned();
    Some((field, value))
}

/// Asks with the cookie, on a connection of its own.
#[track_caller]
fn with(gateway: &Gateway, value: &str) -> Response {
    let fields = format!("Cookie: other=1; at={value}\r\n");
    ask(&mut gateway.client(), "/", &fields)
}

#[test]
fn a_client_stays_at_its_target_through_reloads_and_until_that_dies() {
    let mut all = targets(4);
    let gateway = Gateway::with(&text(STICKY, &entries(&all[..3]))).start();
    let first = gateway.get("/");
    let (at, (field, value)) = (target_of(&first), given(&first).expect("a cookie"));
    assert_eq!(field, format!("at={value}; Path=/; HttpOnly; SameSite=Lax"));
    assert!(value.len() == 16 && value.bytes().all(|byte| byte.is_ascii_hexdigit()));

    let stays = |gateway: &Gateway| {
        for _ in 0..20 {
            let answer = with(gateway, &value);
            assert_eq!((target_of(&answer), given(&answer)), (at, None));
        }
    };
    stays(&gateway);
    // Others are spread, and a value that means nothing is as good as none.
    let others: BTreeSet<_> = (0..USERS).map(|_| target_of(&gateway.get("/"))).collect();
    assert_eq!(others.len(), 3);
    let wrong = with(&gateway, "ffffffffffffffff");
    assert!(given(&wrong).is_some());

    let keys = format!("{STICKY}, algorithm: least-requests");
    gateway.reload_published(&text(&keys, &entries(&all)));
    stays(&gateway);
    // Another gateway reads the same cookie, whatever the order of its targets.
    let other = Gateway::with(&text(STICKY, &entries(all.iter().rev()))).start();
    stays(&other);

    // It dies without leaving the configuration: whoever answers in its place keeps the client.
    die(all.remove(at));
    let moved = with(&gateway, &value);
    let (now, (_, new)) = (target_of(&moved), given(&moved).expect("a new cookie"));
    assert_ne!((now, &new), (at, &value));
    let again = with(&gateway, &new);
    assert_eq!((target_of(&again), given(&again)), (now, None));
    // It leaves the configuration: its cookie means nothing any more.
    gateway.reload_published(&text(&keys, &entries(&all)));
    assert!(given(&with(&gateway, &value)).is_some());
    let again = with(&gateway, &new);
    assert_eq!((target_of(&again), given(&again)), (now, None));
}

#[test]
fn a_cookie_wins_over_a_hash() {
    let targets = targets(4);
    let keys = format!("{STICKY}, algorithm: consistent-hash, hash: [\"header:x-user\"]");
    let gateway = Gateway::with(&text(&keys, &entries(&targets))).start();
    let mut client = gateway.client();
    let first = ask(&mut client, "/", "X-User: alice\r\n");
    let (at, (_, value)) = (target_of(&first), given(&first).expect("a cookie"));
    for user in 0..30 {
        let fields = format!("X-User: {user}\r\nCookie: at={value}\r\n");
        let answer = ask(&mut client, "/", &fields);
        assert_eq!((target_of(&answer), given(&answer)), (at, None));
    }
    // Without it the hash decides, and is found again in the cookie.
    let users = (0..USERS).map(|user| {
        let answer = ask(&mut client, "/", &format!("X-User: {user}\r\n"));
        (target_of(&answer), given(&answer).expect("a cookie").1)
    });
    assert_eq!(users.collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn shares_of_a_split_keep_their_clients_and_their_keys() {
    let targets = targets(3);
    let keys = format!("{STICKY}, algorithm: consistent-hash, hash: [\"header:x-user\"]");
    let whole = text(&keys, &entries(&targets));
    let split = "{name: all, service: up, split: [{upstream: up, weight: 1}]}";
    let gateway = Gateway::with(&whole.replace("{name: all, service: up}", split)).start();
    let mut client = gateway.client();
    for user in 0..20 {
        let first = ask(&mut client, "/", &format!("X-User: {user}\r\n"));
        let again = ask(&mut client, "/", &format!("X-User: {user}\r\n"));
        assert_eq!(target_of(&first), target_of(&again));
        let (_, value) = given(&first).expect("a cookie");
        let kept = with(&gateway, &value);
        assert_eq!((target_of(&kept), given(&kept)), (target_of(&first), None));
    }
}

#[test]
fn over_tls_it_is_only_for_tls_and_it_lives_as_long_as_it_should() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.test"]);
    let targets = targets(2);
    let listeners = format!(
        "format: 1\nadmin: {{address: \"127.0.0.1:0\"}}\nplugins_dir: plugins.d\nstate_dir: state\nlisteners:\n  \
         - {{name: plain, address: \"127.0.0.1:0\"}}\n  - name: secure\n    address: \"127.0.0.2:0\"\n    \
         tls: {{certificates: [{}]}}\n",
        pair.entry()
    );
    let keys = "sticky: {cookie: at, max_age: 1h}";
    let whole = format!("{listeners}{}", text(keys, &entries(&targets)));
    let gateway = Gateway::with_whole(&whole).start();
    let plain = Client::connect(gateway.address_of("plain")).get("/");
    let (field, value) = given(&plain).expect("a cookie");
    assert_eq!(
        field,
        format!("at={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600")
    );
    let config = SecureConfig::new(&certificates.ca(), None);
    let secure = config.connect(gateway.address_of("secure"), "a.test");
    let answer = secure.and_then(|mut secure| secure.get("a.test", "/"));
    let answer = answer.expect("an answer");
    let line = answer
        .head
        .lines()
        .find(|line| line.starts_with("set-cookie: "));
    let line = line.unwrap_or_else(|| panic!("no cookie in {answer:?}"));
    assert!(
        line.ends_with("; SameSite=Lax; Max-Age=3600; Secure"),
        "{line}"
    );
}
