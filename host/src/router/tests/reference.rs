//! A matcher that tries every route. Written from docs/routing.md and not from the code of the table, and it shares
//! nothing with that: routes and requests are the texts they were written as, expressions are those of the `regex` crate.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

use regex::Regex;

use super::random::{Ask, Field, Spec};

/// What should become of a request, in the words of `answer`.
pub(super) fn reference(specs: &[Spec], ask: &Ask) -> String {
    let mut allow: Vec<&str> = Vec::new();
    let mut best: Option<(Order<'_>, String)> = None;
    for spec in specs {
        let Some(level) = host_level(spec, ask.host) else {
            continue;
        };
        let mut conditions = None;
        for path in &spec.paths {
            let Some((params, rest)) = fit(path, &ask.path) else {
                continue;
            };
            if !*conditions.get_or_insert_with(|| conditions_hold(spec, ask)) {
                break;
            }
            if !admits(spec, ask.method) {
                allow.extend(&spec.methods);
                allow.extend(spec.methods.contains(&"GET").then_some("HEAD"));
                continue;
            }
            let order = order(spec, level, path);
            if best.as_ref().is_none_or(|(other, _)| order < *other) {
                best = Some((order, format!("{}{params} +{rest}", spec.name)));
            }
        }
    }
    allow.sort_unstable();
    allow.dedup();
    match best {
        Some((_, answer)) => answer,
        None if allow.is_empty() => "404".to_owned(),
        None => format!("405 {}", allow.join(",")),
    }
}

/// The rows of the table in docs/routing.md, top to bottom; the smallest wins.
type Order<'a> = (
    Reverse<usize>,
    Reverse<i32>,
    u8,
    (Reverse<i32>, Reverse<usize>),
    (Reverse<Vec<bool>>, Reverse<usize>),
    Reverse<usize>,
    &'a str,
    &'a str,
);

fn order<'a>(spec: &'a Spec, level: usize, path: &'a str) -> Order<'a> {
    let kind = match path.as_bytes()[0] {
        b'=' => 1,
        b'~' => 2,
        _ => 3,
    };
    let regex = if kind == 2 {
        (Reverse(spec.regex_priority), Reverse(path.len()))
    } else {
        (Reverse(0), Reverse(0))
    };
    let place = if kind == 2 {
        (Reverse(Vec::new()), Reverse(0))
    } else {
        place(path)
    };
    let further = usize::from(!spec.methods.is_empty())
        + spec.headers.len()
        + spec.query.len()
        + spec.cookies.len()
        + usize::from(!spec.addresses.is_empty());
    (
        Reverse(level),
        Reverse(spec.priority),
        kind,
        regex,
        place,
        Reverse(further),
        &spec.name,
        path,
    )
}

/// Where literals are; then length, where a final slash counts less than a segment.
fn place(pattern: &str) -> (Reverse<Vec<bool>>, Reverse<usize>) {
    let text = pattern.trim_start_matches('=');
    let segments: Vec<&str> = text.split('/').skip(1).collect();
    let mut literals: Vec<bool> = segments
        .iter()
        .map(|segment| !segment.is_empty() && !segment.starts_with('{'))
        .collect();
    while literals.last() == Some(&false) {
        literals.pop();
    }
    let full = segments
        .iter()
        .filter(|segment| !segment.is_empty())
        .count();
    let length = 2 * full + usize::from(full > 0 && text.ends_with('/'));
    (Reverse(literals), Reverse(length))
}

/// How well the best host of a rule fits: any 0, a wildcard its length, the host itself most.
fn host_level(spec: &Spec, host: &str) -> Option<usize> {
    if spec.hosts.is_empty() {
        return Some(0);
    }
    let fits = |pattern: &&str| match pattern.strip_prefix('*') {
        Some(suffix) => {
            (host.ends_with(suffix) && host.len() > suffix.len()).then_some(suffix.len())
        }
        None => (host == *pattern).then_some(usize::MAX),
    };
    spec.hosts.iter().filter_map(fits).max()
}

fn admits(spec: &Spec, method: &str) -> bool {
    let named = spec.methods.contains(&method);
    spec.methods.is_empty() || named || (method == "HEAD" && spec.methods.contains(&"GET"))
}

fn conditions_hold(spec: &Spec, ask: &Ask) -> bool {
    let all = |wanted: &[Field], sent: &[(&str, &str)]| {
        wanted.iter().all(|(name, patterns)| {
            sent.iter().any(|(other, value)| {
                other == name && (patterns.is_empty() || patterns.iter().any(|p| takes(p, value)))
            })
        })
    };
    all(&spec.headers, &ask.headers)
        && all(&spec.query, &ask.query)
        && all(&spec.cookies, &ask.cookies)
        && (spec.addresses.is_empty() || spec.addresses.iter().any(|net| inside(net, ask.client)))
}

fn takes(pattern: &str, value: &str) -> bool {
    match pattern.strip_prefix('~') {
        Some(text) => with_regex(text, |regex| regex.is_match(value)),
        None => pattern == value,
    }
}

/// Bit by bit, both as it is written and, where an IPv6 address holds an IPv4 one, as that.
fn inside(net: &str, client: &str) -> bool {
    let bits = |address: IpAddr| -> Vec<bool> {
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let bit = |byte: u8, at: u32| byte & (0x80 >> at) != 0;
        bytes
            .iter()
            .flat_map(|&byte| (0..8).map(move |at| bit(byte, at)))
            .collect()
    };
    let (address, length) = net.split_once('/').unwrap();
    let (address, length) = (bits(address.parse().unwrap()), length.parse().unwrap());
    let mapped = client.strip_prefix("::ffff:");
    [Some(client), mapped].into_iter().flatten().any(|client| {
        let client = bits(client.parse().unwrap());
        client.len() == address.len() && client[..length] == address[..length]
    })
}

/// Parameters and rest, when the path fits.
fn fit<'p>(pattern: &str, path: &'p str) -> Option<(String, &'p str)> {
    if let Some(text) = pattern.strip_prefix('~') {
        return fit_regex(text, path);
    }
    let (text, exact) = pattern
        .strip_prefix('=')
        .map_or((pattern, false), |text| (text, true));
    let (segments, slash) = text
        .strip_suffix('/')
        .map_or((text, false), |segments| (segments, true));
    let mut params = String::new();
    let mut rest = path;
    for segment in segments.split('/').skip(1) {
        let inner = rest.strip_prefix('/')?;
        let (value, _) = inner.split_once('/').unwrap_or((inner, ""));
        match segment
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(name) if !value.is_empty() => params.push_str(&format!(" {name}={value}")),
            None if value == segment => {}
            _ => return None,
        }
        rest = &inner[value.len()..];
    }
    let fits = match (exact, slash) {
        (false, false) => true,
        // The prefix `/` has no segments and fits whatever begins with a slash, which every path does.
        (false, true) => rest.starts_with('/'),
        (true, false) => rest.is_empty(),
        (true, true) => rest == "/",
    };
    fits.then_some((params, if exact { "" } else { rest }))
}

fn fit_regex<'p>(text: &str, path: &'p str) -> Option<(String, &'p str)> {
    with_regex(&format!("^(?:{text})"), |regex| {
        let found = regex.captures(path)?;
        let mut params = String::new();
        for name in regex.capture_names().flatten() {
            if let Some(value) = found.name(name) {
                params.push_str(&format!(" {name}={}", value.as_str()));
            }
        }
        Some((params, &path[found.get(0)?.end()..]))
    })
}

fn with_regex<T>(text: &str, ask: impl FnOnce(&Regex) -> T) -> T {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, Regex>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if !known.contains_key(text) {
            known.insert(text.to_owned(), Regex::new(text).unwrap());
        }
        ask(&known[text])
    })
}
