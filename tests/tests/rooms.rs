//! The house of the gateway has one direction: no room of `host/src` knows one that knows it, by whatever way round.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use swapgate_tests::artifacts;

/// Which rooms each room names.
type Known = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_room_knows_one_that_knows_it() {
    let known = known(&artifacts::root().join("host/src"));
    assert!(known.len() > 30, "these are not the rooms: {known:?}");
    for (room, names) in &known {
        for name in names {
            let back = way(&known, name, room);
            assert_eq!(
                back, None,
                "{room} names {name}; put what both need below both"
            );
        }
    }
}

/// A way from one room to another.
fn way(known: &Known, from: &str, to: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![vec![from.to_owned()]];
    while let Some(way) = ways.pop() {
        let last = way.last()?;
        if last == to {
            return Some(way);
        }
        if seen.insert(last.clone()) {
            let names = known.get(last).into_iter().flatten();
            ways.extend(names.map(|name| [way.clone(), vec![name.clone()]].concat()));
        }
    }
    None
}

fn known(top: &Path) -> Known {
    let mut known = Known::new();
    for file in sources(top) {
        let place = file.strip_prefix(top).expect("it lies there");
        let first = place.iter().next().and_then(|name| name.to_str());
        let room = first.expect("names are texts").trim_end_matches(".rs");
        // The map, the binary, and the door for what tests with random bytes stand outside.
        if ["lib", "main", "door"].contains(&room) || is_tests(place) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("it can be read");
        let names = known.entry(room.to_owned()).or_default();
        names.extend(rooms(&text).filter(|name| name != room));
    }
    known
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it is a folder");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    paths
        .flat_map(|path| match path.extension() {
            // Templates are sources of other programs.
            None if path.is_dir() && !path.ends_with("templates") => sources(&path),
            Some(end) if end == "rs" => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

fn is_tests(place: &Path) -> bool {
    place
        .iter()
        .any(|name| name == "tests" || name == "tests.rs")
}

/// The rooms that a source names, but for its comments and its unit tests, which may know everybody.
fn rooms(text: &str) -> impl Iterator<Item = String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next();
    let lines = code.unwrap_or_default().lines().map(str::trim_start);
    let code = lines.filter(|line| !line.starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1).map(first_name))
}

fn first_name(path: &str) -> String {
    assert!(!path.starts_with('{'), "one `use` for each room: {path}");
    path.chars()
        .take_while(|char| char.is_alphanumeric() || *char == '_')
        .collect()
}
