//! The router as a whole: tables and requests. The properties are in a file of their own.

use http::Method;

use super::pattern::{HostPattern, PathPattern};
use super::table::{Lookup, Params, RouteRule, Table};

mod properties;

/// `name [host,host] METHOD,METHOD priority path path ...`; `-` for no hosts, no methods, priority 0.
fn rule(line: &str) -> RouteRule {
    let words: Vec<&str> = line.split_whitespace().collect();
    let list = |word: &str| -> Vec<String> {
        word.split(',')
            .filter(|entry| *entry != "-")
            .map(str::to_owned)
            .collect()
    };
    RouteRule {
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
        paths: words[4..]
            .iter()
            .map(|path| PathPattern::parse(path).unwrap())
            .collect(),
    }
}

/// Looks `METHOD host path` up; says `name`, the parameters and the rest of the path, or what else happened.
fn answer(rules: &[RouteRule], table: &Table, request: &str) -> String {
    let words: Vec<&str> = request.split_whitespace().collect();
    let (method, host, path) = (words[0].parse().unwrap(), words[1], words[2]);
    let mut params = Params::default();
    match table.find(host, path, &method, &mut params) {
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

/// The order in the file plays no part, so each table is asked forwards and backwards.
#[track_caller]
fn check(table: &[&str], request: &str, expected: &str) {
    let mut rules: Vec<RouteRule> = table.iter().map(|line| rule(line)).collect();
    for order in ["as written", "reversed"] {
        let found = answer(&rules, &Table::build(&rules), request);
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
fn the_order_of_choice_within_a_host() {
    check(&["a - - 1 /", "b - - - =/x"], "GET h /x", "a +/x");
    check(
        &["a - - - /x/y/z", "b - - - =/{p}/y/z"],
        "GET h /x/y/z",
        "b p=x +",
    );
    check(
        &["a - - - /x/{p}/{q}", "b - - - /{p}/y/z"],
        "GET h /x/y/z",
        "a p=y q=z +",
    );
    check(
        &["a - - - /x", "b - - - /{p}/y/z"],
        "GET h /x/y/z",
        "a +/y/z",
    );
    check(
        &["a - - - /{p}", "b - - - /{p}/{q}"],
        "GET h /x/y",
        "b p=x q=y +",
    );
    check(&["a - - - /x", "b - - - /x/"], "GET h /x/", "b +/");
    check(&["a - - - /x", "b - GET - /x"], "GET h /x", "b +");
    check(&["b - - - /x", "a - - - /x"], "GET h /x", "a +");
    check(&["a - - -1 /x/y", "b - - - /"], "GET h /x/y", "b +/x/y");
}

#[test]
fn host_levels_come_first() {
    let table = [
        "exact a.example.org - - /one",
        "long *.b.example.org - - /two",
        "short *.example.org - - /two /three",
        "any - - 9 /one /two /four",
        "six [::1],192.0.2.1 - - /one",
    ];
    check(&table, "GET a.example.org /one", "exact +");
    check(&table, "GET a.example.org. /one", "exact +");
    check(&table, "GET a.example.org /two", "short +");
    check(&table, "GET a.example.org /four", "any +");
    check(&table, "GET x.y.b.example.org /two", "long +");
    check(&table, "GET x.b.example.org /three", "short +");
    check(&table, "GET b.example.org /two", "short +");
    check(&table, "GET example.org /two", "any +");
    check(&table, "GET example.org /three", "404");
    check(&table, "GET [0:0::0:1] /one", "six +");
    check(&table, "GET 192.0.2.1 /one", "six +");
    check(&table, "GET 192.0.2.2 /one", "any +");
    check(&table, "GET [::ffff:192.0.2.1] /one", "any +");
}

#[test]
fn methods_fall_through() {
    let table = [
        "get - GET - /a/b",
        "post - POST,PUT - /a",
        "host h.org PATCH - /a/{x}",
        "all - - - /c",
        "odd - ODD - /c",
    ];
    check(&table, "GET h.org /a/b", "get +");
    check(&table, "HEAD h.org /a/b", "get +");
    check(&table, "POST h.org /a/b", "post +/b");
    check(&table, "PATCH h.org /a/b", "host x=b +");
    check(&table, "DELETE h.org /a/b", "405 GET,HEAD,PATCH,POST,PUT");
    check(&table, "DELETE other /a/b", "405 GET,HEAD,POST,PUT");
    check(&table, "HEAD other /a", "405 POST,PUT");
    check(&table, "ODD other /c", "odd +");
    check(&table, "DELETE other /c", "all +");
    check(&table, "DELETE other /d", "404");
    check(&["head - HEAD - /a", "x - GET - /a"], "HEAD h /a", "head +");
}

/// The examples of docs/routing.md, word for word.
#[test]
fn the_examples_of_the_docs() {
    let table = [
        "site - - - /",
        "users api.example.com - - /users/{id}",
        "me api.example.com GET - /users/me",
        "tenant *.example.com - - /",
    ];
    check(&table, "GET api.example.com /users/7", "users id=7 +");
    check(&table, "GET api.example.com /users/me", "me +");
    check(&table, "POST api.example.com /users/me", "users id=me +");
    check(&table, "GET api.example.com /about", "tenant +/about");
    check(&table, "GET example.com /about", "site +/about");
    for (winner, loser) in [
        ("b - - 1 /", "a - - - /shop/{id}/cart"),
        ("b - - - =/{any}/7/cart", "a - - - /shop/{id}/cart"),
        ("b - - - /shop/{id}/{page}", "a - - - /{any}/7/cart"),
        ("b - - - /shop/{id}", "a - - - /shop"),
        ("b - GET - /shop", "a - - - /shop"),
        ("b - - - /shop", "c - - - /shop"),
    ] {
        let mut rules = vec![rule(winner), rule(loser)];
        for _ in 0..2 {
            let found = answer(&rules, &Table::build(&rules), "GET h /shop/7/cart");
            assert!(found.starts_with('b'), "{winner} against {loser}: {found}");
            rules.reverse();
        }
    }
}

#[test]
fn params_are_emptied() {
    let rules = [rule("a - - - /{x}")];
    let table = Table::build(&rules);
    let mut params = Params::default();
    let found = table.find("h", "/1", &Method::GET, &mut params);
    assert!(matches!(found, Lookup::Found(_)));
    assert_eq!(params.get(&table, "/1", "x"), Some("1"));
    assert_eq!(params.get(&table, "/1", "y"), None);
    assert_eq!(
        table.find("h", "/", &Method::GET, &mut params),
        Lookup::NotFound
    );
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
    let table = Table::build(&rules);
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
