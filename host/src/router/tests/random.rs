//! Random tables and requests, small enough worlds that they meet often. The same seed gives the same world.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Asked;
use crate::router::condition::{Conditions, FieldCondition, ValuePattern};
use crate::router::pattern::{HostPattern, PathPattern};
use crate::router::table::RouteRule;

const HOSTS: [&str; 6] = ["a.b.org", "b.org", "*.b.org", "*.org", "*.a.b.org", "c"];
const ASKED_HOSTS: [&str; 5] = ["a.b.org", "b.org", "x.a.b.org", "c", "other"];
const METHODS: [&str; 3] = ["GET", "POST", "HEAD"];
const ASKED_METHODS: [&str; 4] = ["GET", "POST", "HEAD", "PUT"];
const REGEXES: [&str; 24] = [
    "/a",
    "/a/",
    "/a/b$",
    "/a/[ab]+",
    "/a/(?<x>[^/]+)",
    "/a/(?<x>[^/]+)/(?<y>.*)$",
    "/a/(?<x>b)?",
    "/(?<x>a|b)/(?<y>a|b)?",
    "/b/(?<x>b+?)",
    "/b/(?<x>b+)",
    "/(a|ab)(/b)?",
    "/[^/]*$",
    ".*",
    ".*/c",
    "/?",
    r"/\w+\b",
    r"/a/\w\w/b",
    "/a/b/(?<z>[abc])",
    "/a/b/(?<z>[abc]{1,2})",
    "^/b",
    "(?i)/A/b",
    "/(?:(?<x>a)|(?<y>b))+",
    "/a{2}/",
    "/c|/b/a",
];
const VALUES: [&str; 8] = ["1", "2", "a b", "~^1$", "~[12]", "~^$", "~b", "~."];
const NETS: [&str; 4] = ["10.0.0.0/8", "10.1.0.0/16", "::/0", "2001:db8::/32"];
const CLIENTS: [&str; 5] = [
    "10.1.2.3",
    "10.2.3.4",
    "::ffff:10.1.0.1",
    "2001:db8::1",
    "192.0.2.1",
];
const FIELDS: [&str; 3] = ["u", "v", "w"];

/// A field that must be there, and the values it may have.
pub(super) type Field = (&'static str, Vec<&'static str>);

/// A route as a user would write it.
#[derive(Clone, Debug, Default)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) hosts: Vec<&'static str>,
    pub(super) paths: Vec<String>,
    pub(super) methods: Vec<&'static str>,
    pub(super) headers: Vec<Field>,
    pub(super) query: Vec<Field>,
    pub(super) cookies: Vec<Field>,
    pub(super) addresses: Vec<&'static str>,
    pub(super) priority: i32,
    pub(super) regex_priority: i32,
}

/// A request as a client would write it.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) host: &'static str,
    pub(super) path: String,
    /// Names and values, in plain text.
    pub(super) query: Vec<(&'static str, &'static str)>,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) cookies: Vec<(&'static str, &'static str)>,
    pub(super) client: &'static str,
}

/// `SplitMix64`.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    /// True `percent` times of a hundred.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn some<T: Clone>(&mut self, from: &[T], percent: usize) -> Vec<T> {
        let mut list = from.to_vec();
        list.retain(|_| self.chance(percent));
        list
    }

    fn path(&mut self, segments: &[&str], most: usize) -> String {
        let mut text = String::new();
        for index in 0..self.below(most) {
            // Names in a pattern must differ.
            let segment = self.pick(segments).replace('N', &index.to_string());
            text.push_str(&format!("/{segment}"));
        }
        if text.is_empty() || self.chance(20) {
            text.push('/');
        }
        text
    }

    fn fields(&mut self, percent: usize) -> Vec<Field> {
        let mut fields = Vec::new();
        while fields.len() < 3 && self.chance(percent) {
            fields.push((self.pick(&FIELDS), self.some(&VALUES, 25)));
        }
        fields
    }

    pub(super) fn route(&mut self) -> Spec {
        let mut paths = Vec::new();
        for _ in 0..=self.below(2) {
            let path = match self.below(10) {
                0..4 => format!("~{}", self.pick(&REGEXES)),
                4..6 => format!("={}", self.path(&["a", "b", "{pN}"], 6)),
                _ => self.path(&["a", "b", "{pN}"], 6),
            };
            paths.push(path);
        }
        let conditions = if self.chance(50) { 30 } else { 0 };
        Spec {
            name: format!("{:08x}", self.next() >> 32),
            hosts: if self.chance(50) {
                Vec::new()
            } else {
                self.some(&HOSTS, 30)
            },
            paths,
            methods: if self.chance(50) {
                Vec::new()
            } else {
                self.some(&METHODS, 40)
            },
            headers: self.fields(conditions),
            query: self.fields(conditions),
            cookies: self.fields(conditions),
            addresses: if self.chance(conditions) {
                self.some(&NETS, 40)
            } else {
                Vec::new()
            },
            priority: if self.chance(20) {
                self.pick(&[-1, 1])
            } else {
                0
            },
            regex_priority: if self.chance(20) {
                self.pick(&[-1, 1])
            } else {
                0
            },
        }
    }

    pub(super) fn table(&mut self, most: usize) -> Vec<Spec> {
        (0..self.below(most)).map(|_| self.route()).collect()
    }

    pub(super) fn ask(&mut self) -> Ask {
        let mut sent = |percent| {
            let mut fields = Vec::new();
            while self.chance(percent) {
                fields.push((
                    self.pick(&FIELDS),
                    self.pick(&["1", "2", "a b", "b", "", "12"]),
                ));
            }
            fields
        };
        let (query, headers, cookies) = (sent(45), sent(45), sent(45));
        Ask {
            method: self.pick(&ASKED_METHODS),
            host: self.pick(&ASKED_HOSTS),
            path: self.path(&["a", "b", "c", "ab", "bb", "", "aa"], 6),
            query,
            headers,
            cookies,
            client: self.pick(&CLIENTS),
        }
    }

    /// A query says the same thing in several ways.
    fn escaped(&mut self, text: &str) -> String {
        let mut escaped = String::new();
        for byte in text.bytes() {
            match byte {
                b' ' => escaped.push_str(self.pick(&["+", "%20"])),
                _ if self.chance(20) => escaped.push_str(&format!("%{byte:02x}")),
                _ => escaped.push(char::from(byte)),
            }
        }
        escaped
    }
}

impl Ask {
    /// As the router gets it.
    pub(super) fn asked(&self, random: &mut Random) -> Asked {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        for pair in self.cookies.chunks(2) {
            let pairs: Vec<String> = pair
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            headers.append("cookie", pairs.join("; ").parse().unwrap());
        }
        let pairs = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", random.escaped(name), random.escaped(value)));
        Asked {
            method: self.method.parse().unwrap(),
            host: self.host.to_owned(),
            path: self.path.clone(),
            query: pairs.collect::<Vec<_>>().join("&"),
            headers,
            client: self.client.parse().unwrap(),
        }
    }
}

thread_local! {
    /// Compiling the same few expressions over and over would take most of the time.
    static PATHS: RefCell<HashMap<String, PathPattern>> = RefCell::default();
    static PATTERNS: RefCell<HashMap<&'static str, ValuePattern>> = RefCell::default();
}

fn path(text: &str) -> PathPattern {
    PATHS.with_borrow_mut(|known| {
        let parse = || PathPattern::parse(text).unwrap();
        known.entry(text.to_owned()).or_insert_with(parse).clone()
    })
}

fn values(texts: &[&'static str]) -> Vec<ValuePattern> {
    PATTERNS.with_borrow_mut(|known| {
        let mut value = |text| {
            let parse = || ValuePattern::parse(text).unwrap();
            known.entry(text).or_insert_with(parse).clone()
        };
        texts.iter().map(|text| value(text)).collect()
    })
}

impl Spec {
    /// As the table gets it.
    pub(super) fn rule(&self) -> RouteRule {
        let fields = |fields: &[Field]| {
            let field = |(name, texts): &Field| FieldCondition::new(name, values(texts));
            fields.iter().map(field).collect()
        };
        let header = |(name, texts): &Field| FieldCondition::header(name, values(texts)).unwrap();
        RouteRule {
            name: self.name.as_str().into(),
            hosts: self
                .hosts
                .iter()
                .map(|host| HostPattern::parse(host).unwrap())
                .collect(),
            paths: self.paths.iter().map(|text| path(text)).collect(),
            methods: self
                .methods
                .iter()
                .map(|method| method.parse().unwrap())
                .collect(),
            conditions: Conditions {
                headers: self.headers.iter().map(header).collect(),
                query: fields(&self.query),
                cookies: fields(&self.cookies),
                addresses: self
                    .addresses
                    .iter()
                    .map(|net| net.parse().unwrap())
                    .collect(),
                snis: Vec::new(),
            },
            priority: self.priority,
            regex_priority: self.regex_priority,
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
