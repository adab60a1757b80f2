//! The router as a whole: tables and requests. The properties are in a file of their own.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::condition::{Conditions, FieldCondition, ValuePattern};
use super::explain::{Verdict, explain};
use super::pattern::{HostPattern, PathPattern};
use super::table::{Lookup, Params, Request, RouteRule, Table};

mod choice;
mod properties;
mod random;
mod reference;
mod told;

/// `name host,host METHOD,METHOD priority path path ... condition ...`; `-` for no hosts, no methods, priority 0.
/// Conditions: `h:name=value|value`, `q:name=...`, `c:name=...`, without `=` for "is there"; `ip:network`; `rp:number`
/// for `regex_priority`.
fn rule(line: &str) -> RouteRule {
    let words: Vec<&str> = line.split_whitespace().collect();
    let list = |word: &str| -> Vec<String> {
        word.split(',')
            .filter(|entry| *entry != "-")
            .map(str::to_owned)
            .collect()
    };
    let mut rule = RouteRule {
        name: words[0].into(),
        hosts: list(words[1])
            .iter()
            .map(|host| HostPattern::parse(host).unwrap())
            .collect(),
        methods: list(words[2])
            .iter()
            .map(|method| method.parse().unwrap())
            .collect(),
        priority: words[3].parse().unwrap_or(0),
        paths: Vec::new(),
        conditions: Conditions::default(),
        regex_priority: 0,
    };
    for word in &words[4..] {
        let conditions = &mut rule.conditions;
        match word.split_once(':') {
            Some(("h", text)) => {
                let (name, values) = field(text);
                let field = FieldCondition::header(name, values).unwrap();
                conditions.headers.push(field);
            }
            Some((kind @ ("q" | "c"), text)) => {
                let (name, values) = field(text);
                let fields = match kind {
                    "q" => &mut conditions.query,
                    _ => &mut conditions.cookies,
                };
                fields.push(FieldCondition::new(name, values));
            }
            Some(("ip", text)) => conditions.addresses.push(text.parse().unwrap()),
            Some(("rp", text)) => rule.regex_priority = text.parse().unwrap(),
            _ => rule.paths.push(PathPattern::parse(word).unwrap()),
        }
    }
    rule
}

fn field(text: &str) -> (&str, Vec<ValuePattern>) {
    let Some((name, values)) = text.split_once('=') else {
        return (text, Vec::new());
    };
    let parse = |value| ValuePattern::parse(value).unwrap();
    (name, values.split('|').map(parse).collect())
}

/// A request in a form that can be borrowed from.
#[derive(Debug)]
struct Asked {
    method: Method,
    host: String,
    path: String,
    query: String,
    headers: HeaderMap,
    client: std::net::IpAddr,
}

impl Asked {
    /// `METHOD host path[?query] name:value ...`, with `ip:address` for the client.
    fn new(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (path, query) = words[2].split_once('?').unwrap_or((words[2], ""));
        let mut asked = Self {
            method: words[0].parse().unwrap(),
            host: words[1].to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            client: [127, 0, 0, 1].into(),
        };
        for word in &words[3..] {
            match word.split_once(':').unwrap() {
                ("ip", address) => asked.client = address.parse().unwrap(),
                (name, value) => {
                    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                    let value = HeaderValue::from_str(value).unwrap();
                    asked.headers.append(name, value);
                }
            }
        }
        asked
    }

    fn request(&self) -> Request<'_> {
        Request {
            host: &self.host,
            path: &self.path,
            method: &self.method,
            headers: &self.headers,
            query: &self.query,
            client: self.client,
            sni: None,
        }
    }
}

fn answer(rules: &[RouteRule], table: &Table, line: &str) -> String {
    answered(rules, table, &Asked::new(line))
}

/// Looks a request up; says the route's name, the parameters and the rest of the path, or what else happened.
fn answered(rules: &[RouteRule], table: &Table, asked: &Asked) -> String {
    let path = &*asked.path;
    let mut params = Params::default();
    match table.find(&asked.request(), &mut params) {
        Lookup::NotFound => "404".to_owned(),
        Lookup::MethodNotAllowed { allow } => {
            let allow: Vec<&str> = allow.iter().map(Method::as_str).collect();
            format!("405 {}", allow.join(","))
        }
        Lookup::Found(found) => {
            let mut text = rules[found.route].name.to_string();
            for index in 0..params.len() {
                let (name, value) = params.nth(table, index, path).unwrap();
                assert_eq!(params.get(table, path, name), Some(value));
                text.push_str(&format!(" {name}={value}"));
            }
            assert_eq!(params.nth(table, params.len(), path), None);
            format!("{text} +{}", &path[found.prefix_len..])
        }
    }
}

/// The same, by way of the explanation.
fn explained(rules: &[RouteRule], asked: &Asked) -> String {
    let explanation = explain(rules, &asked.request());
    let Some(chosen) = explanation.chosen else {
        let allow: Vec<&str> = explanation.allow.iter().map(Method::as_str).collect();
        return match allow.is_empty() {
            true => "404".to_owned(),
            false => format!("405 {}", allow.join(",")),
        };
    };
    let chosen = &explanation.candidates[chosen];
    let Verdict::Won { params, prefix_len } = &chosen.verdict else {
        panic!("chosen, but {:?}", chosen.verdict);
    };
    let params = params
        .iter()
        .map(|(name, value)| format!(" {name}={value}"));
    let (name, params) = (&rules[chosen.route].name, params.collect::<String>());
    format!("{name}{params} +{}", &asked.path[*prefix_len..])
}

/// The order in the file plays no part, so each table is asked forwards and backwards.
#[track_caller]
fn check(table: &[&str], request: &str, expected: &str) {
    let mut rules: Vec<RouteRule> = table.iter().map(|line| rule(line)).collect();
    for order in ["as written", "reversed"] {
        let found = answer(&rules, &Table::build(&rules).unwrap(), request);
        assert_eq!(found, expected, "{request}, table {order}");
        rules.reverse();
    }
}

#[test]
fn prefixes_match_whole_segments() {
    let table = [
        "users - - - /users",
        "slash - - - /slash/",
        "exact - - - =/exact =/exact2/",
    ];
    for (path, expected) in [
        ("/users", "users +"),
        ("/users/", "users +/"),
        ("/users/7", "users +/7"),
        ("/users//7", "users +//7"),
        ("/usersx", "404"),
        ("/", "404"),
        ("/slash", "404"),
        ("/slash/", "slash +/"),
        ("/slash/x", "slash +/x"),
        ("/exact", "exact +"),
        ("/exact/", "404"),
        ("/exact2", "404"),
        ("/exact2/", "exact +"),
        ("/exact2/x", "404"),
    ] {
        check(&table, &format!("GET h {path}"), expected);
    }
}

#[test]
fn the_root_is_a_prefix_of_everything() {
    let table = ["root - - - /", "exact - - - =/"];
    check(&table, "GET h /", "exact +");
    check(&table, "GET h //", "root +//");
    check(&table, "GET h /a/b", "root +/a/b");
    check(&[], "GET h /", "404");
}

#[test]
fn parameters_take_one_segment() {
    let table = ["one - - - /users/{id}", "two - - - /{a}/x/{b}/"];
    check(&table, "GET h /users/7", "one id=7 +");
    check(&table, "GET h /users/7/x", "one id=7 +/x");
    check(&table, "GET h /users/", "404");
    check(&table, "GET h /users//x", "404");
    check(&table, "GET h /t/x/y/", "two a=t b=y +/");
    check(&table, "GET h /t/x/y", "404");
    check(&table, "GET h /{p}/x/{*p}/z", "two a={p} b={*p} +/z");
}

#[test]
fn many_parameters_go_through_all_stages() {
    let table = [
        "seven - - - =/{a}/{b}/x/{c}/{d}/y/{e}/{f}/z/{g}",
        "other - - - /{a}/{b}/x/{c}/{d}/Y/{e}/{f}/z/{g}",
        "third - - - /{a}/{b}/X/{c}/{d}/Y/{e}/{f}/z/{g}",
    ];
    check(
        &table,
        "GET h /1/2/x/3/4/y/5/6/z/7",
        "seven a=1 b=2 c=3 d=4 e=5 f=6 g=7 +",
    );
    check(
        &table,
        "GET h /1/2/x/3/4/Y/5/6/z/7/8",
        "other a=1 b=2 c=3 d=4 e=5 f=6 g=7 +/8",
    );
    check(
        &table,
        "GET h /1/2/X/3/4/Y/5/6/z/7",
        "third a=1 b=2 c=3 d=4 e=5 f=6 g=7 +",
    );
    check(&table, "GET h /1/2/X/3/4/y/5/6/z/7", "404");
}

#[test]
fn what_conflicts_in_matchit_does_not_here() {
    let table = [
        "rest - - - /a",
        "one - - - /a/{x}",
        "b - - - /a/{x}/b",
        "deep - - - /a/{y}/c/d",
        "lit - - - /a/b",
    ];
    check(&table, "GET h /a", "rest +");
    check(&table, "GET h /a/", "rest +/");
    check(&table, "GET h /a/1", "one x=1 +");
    check(&table, "GET h /a/1/b/2", "b x=1 +/2");
    check(&table, "GET h /a/b", "lit +");
    check(&table, "GET h /a/b/c/d", "lit +/c/d");
    check(&table, "GET h /a/1/c/d", "deep y=1 +");
    check(&table, "GET h /a/1/c/e", "one x=1 +/c/e");
}

#[test]
fn params_are_emptied() {
    let rules = [rule("a - - - /{x}")];
    let table = Table::build(&rules).unwrap();
    let mut params = Params::default();
    let found = table.find(&Asked::new("GET h /1").request(), &mut params);
    assert!(matches!(found, Lookup::Found(_)));
    assert_eq!(params.get(&table, "/1", "x"), Some("1"));
    assert_eq!(params.get(&table, "/1", "y"), None);
    let found = table.find(&Asked::new("GET h /").request(), &mut params);
    assert_eq!(found, Lookup::NotFound);
    assert!(params.is_empty());
    assert_eq!(params.get(&table, "/", "x"), None);
}

#[test]
fn ten_thousand_routes() {
    let mut rules = Vec::new();
    for index in 0..2_000 {
        rules.push(rule(&format!("user{index} - - - /users/{{id}}/x{index}")));
        rules.push(rule(&format!(
            "tenant{index} - - - /{{tenant}}/y{index}/{{id}}"
        )));
        rules.push(rule(&format!("plain{index} - GET - =/plain/{index}/z")));
        rules.push(rule(&format!(
            "host{index} h{index}.example.org - - /a/{{x}}"
        )));
        rules.push(rule(&format!("same{index} - POST - /same")));
    }
    let table = Table::build(&rules).unwrap();
    for index in (0..2_000).step_by(37) {
        for (request, expected) in [
            (
                format!("GET h /users/7/x{index}/"),
                format!("user{index} id=7 +/"),
            ),
            (
                format!("GET h /users/y{index}/9"),
                format!("tenant{index} tenant=users id=9 +"),
            ),
            (
                format!("POST h /plain/{index}/z"),
                "405 GET,HEAD".to_owned(),
            ),
            (
                format!("GET h{index}.example.org /a/b"),
                format!("host{index} x=b +"),
            ),
            (format!("GET h /same/{index}"), "405 POST".to_owned()),
        ] {
            assert_eq!(answer(&rules, &table, &request), expected, "{request}");
        }
    }
}
