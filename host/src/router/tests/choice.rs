//! Which of the routes that fit wins, and what happens to those that do not.

use super::{answer, check, rule};
use crate::router::table::Table;

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
        ("b - - - =/{any}/7/cart", "a - - - ~/shop/.*/cart$"),
        ("b - - - ~/shop/.*/cart$", "a - - - /shop/{id}/cart"),
        ("b - - - ~/shop/.*/cart$", "a - - - ~/shop/"),
        ("b - - - /shop/{id}/{page}", "a - - - /{any}/7/cart"),
        ("b - - - /shop/{id}", "a - - - /shop"),
        ("b - GET - /shop", "a - - - /shop"),
        ("b - - - /shop", "c - - - /shop"),
    ] {
        let mut rules = vec![rule(winner), rule(loser)];
        for _ in 0..2 {
            let found = answer(&rules, &Table::build(&rules).unwrap(), "GET h /shop/7/cart");
            assert!(found.starts_with('b'), "{winner} against {loser}: {found}");
            rules.reverse();
        }
    }
}

#[test]
fn regular_expressions() {
    let table = [
        r"id - - - ~/users/(?<id>\d+)",
        r"end - - - ~/items/(?<kind>[a-z]+)(?:-(?<size>\d+))?$",
        "same - POST - ~/items/[a-z]+",
        "any - - - /users",
    ];
    check(&table, "GET h /users/12/x", "id id=12 +/x");
    check(&table, "GET h /users/12x", "id id=12 +x");
    check(&table, "GET h /users/x12", "any +/x12");
    check(&table, "GET h /a/users/12", "404");
    check(&table, "GET h /items/cup", "end kind=cup +");
    check(&table, "GET h /items/cup-3", "end kind=cup size=3 +");
    check(&table, "POST h /items/cup-3", "end kind=cup size=3 +");
    check(&table, "POST h /items/cup/3", "same +/3");
    check(&table, "GET h /items/cup/3", "405 POST");
    check(&["a - - - ~/x/(?<a>.*)$"], "GET h /x/", "a a= +");
    check(&["a - - - ~.*"], "GET h /x//y", "a +");
    check(&["a - - - ~/A/(?i)x"], "GET h /A/X", "a +");
}

#[test]
fn the_order_of_regular_expressions() {
    check(&["b - - - =/x/y", "a - - - ~/x/y$"], "GET h /x/y", "b +");
    check(&["b - - - ~/x/y$", "a - - - /x/y"], "GET h /x/y", "b +");
    check(&["b - - 1 /", "a - - - ~/x/y$"], "GET h /x/y", "b +/x/y");
    check(
        &["b - - - ~/x/. rp:1", "a - - - ~/x/[^/]$"],
        "GET h /x/y",
        "b +",
    );
    check(&["b - - - ~/x/y$", "a - - - ~/x/."], "GET h /x/y", "b +");
    check(&["b - - - ~/x/y", "a - - - ~/x/."], "GET h /x/y", "a +");
    check(
        &["b - - - ~/x/y h:v", "a - - - ~/x/."],
        "GET h /x/y v:1",
        "b +",
    );
}

#[test]
fn more_conditions_come_first() {
    let table = [
        "d - - - /x h:a q:b c:c ip:127.0.0.0/8",
        "c - GET - /x h:a q:b",
        "b - - - /x h:a|b=1 q:b",
        "a - GET - /x",
        "none - - - /x",
    ];
    check(&table, "GET h /x?b a:1 cookie:c=1", "d +");
    check(&table, "GET h /x?b a:1 cookie:c=1 ip:10.0.0.1", "c +");
    check(&table, "GET h /x a:1", "a +");
    check(&table, "POST h /x?b a:1", "none +");
    check(
        &["b - - - /x ip:10.0.0.0/8", "a - GET - /x"],
        "GET h /x ip:10.1.1.1",
        "a +",
    );
}

#[test]
fn conditions_fall_through_all_levels() {
    let table = [
        "v2 h.org - - =/x h:x-v=2",
        "beta *.org - - ~/x c:beta=1|~^on$",
        "office - - 5 / ip:10.0.0.0/8 ip:2001:db8::/32",
        "search - - - /x q:q=~.",
        "post - POST - /x q:q=",
    ];
    check(&table, "GET h.org /x x-v:1 x-v:2", "v2 +");
    check(&table, "GET h.org /x x-v:1 cookie:a=1;beta=on", "beta +");
    check(&table, "GET h.org /x ip:10.1.2.3", "office +/x");
    check(&table, "GET h.org /x ip:2001:db8::9", "office +/x");
    check(&table, "GET h.org /x?q=%20", "search +");
    check(&table, "GET h.org /x", "404");
    check(&table, "GET h.org /x?q", "405 POST");
    check(&table, "POST h.org /x?q", "post +");
}

#[test]
fn only_a_method_that_differs_alone_is_a_405() {
    let table = [
        "a - POST - /x h:v=1",
        "b - PUT - /x h:v=2",
        "c - GET - /y h:v",
    ];
    check(&table, "GET h /x v:1", "405 POST");
    check(&table, "GET h /x v:1 v:2", "405 POST,PUT");
    check(&table, "GET h /x v:3", "404");
    check(&table, "POST h /x v:2", "405 PUT");
    check(&table, "HEAD h /y v:2", "c +");
    check(&table, "PUT h /y v:2", "405 GET,HEAD");
    check(&table, "PUT h /y", "404");
}

/// What a wider route covers is left out of the table, and must be missed by nobody.
#[test]
fn covered_routes_are_not_missed() {
    let table = [
        "a - GET,POST - /x",
        "b - GET - /x h:v",
        "c - POST,PUT - /x h:v",
        "d - GET - /x h:v",
        "e - - -1 /x h:v",
    ];
    check(&table, "GET h /x v:1", "b +");
    check(&table, "POST h /x v:1", "c +");
    check(&table, "DELETE h /x v:1", "e +");
    check(&table, "DELETE h /x", "405 GET,HEAD,POST");
}
