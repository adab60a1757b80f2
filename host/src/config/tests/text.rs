//! Texts of every kind: a tree comes out or errors with their places, and nothing panics.

use proptest::prelude::*;

use super::*;

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
