//! What a gRPC client reads when the gateway itself answers: a status of gRPC's own, in a form that every client takes.

use serde_json::Value;
use swapgate_tests::Python;
use swapgate_tests::unreachable::Refusing;

use crate::grpc::{client, configuration};
use crate::world::{HEADERS, KEY_AUTH, Way, World};

const WAYS: [Way; 2] = [Way::Http2, Way::Http2Tls];

/// Calls a method and demands a status that the gateway worded, rather than one the client made of a status of HTTP.
#[track_caller]
fn refused(world: &World, way: Way, method: &str, codes: &[&str]) -> Value {
    let told = client(world, way, &[method, "", "--metadata", "x-mark=here"])
        .run()
        .success()
        .json();
    let code = told["code"].as_str().expect("a status");
    assert!(codes.contains(&code), "{way:?}: {told}");
    let details = told["details"].as_str().unwrap_or_default();
    assert!(
        !details.is_empty() && !details.contains("http2 header"),
        "{way:?}: {told}"
    );
    told
}

#[test]
fn no_route_is_unimplemented() {
    let server = Python::script("grpc_server.py").serve();
    let text = configuration(&[]).replace("/swapgate.test.Echo]", "/swapgate.test.Echo/Seen]");
    let world = World::with(&text).set("up", server.address()).start();
    for way in WAYS {
        refused(&world, way, "Unary", &["UNIMPLEMENTED"]);
        let seen = client(&world, way, &["Seen"]).run().success().json();
        assert_eq!(seen["code"], "OK", "{seen}");
    }
}

#[test]
fn a_refusal_of_a_plugin_keeps_its_meaning_and_what_other_plugins_add() {
    let server = Python::script("grpc_server.py").serve();
    let world = World::with(&configuration(&[KEY_AUTH, HEADERS]))
        .set("up", server.address())
        .start();
    for way in WAYS {
        let told = refused(&world, way, "Unary", &["UNAUTHENTICATED"]);
        // The answer is one block of fields, which gRPC reads as trailers.
        let everywhere = format!("{}{}", told["initial"], told["trailing"]);
        assert!(everywhere.contains("\"x-signed\":\"here\""), "{told}");
    }
}

#[test]
fn a_limit_is_told_as_one() {
    const ONE_AN_HOUR: &str = "{name: rate-limit, config: {limit: 1, window: 1h, by: address}}";
    let server = Python::script("grpc_server.py").serve();
    for way in WAYS {
        let world = World::with(&configuration(&[ONE_AN_HOUR]))
            .set("up", server.address())
            .plugin("rate_limit")
            .start();
        let first = client(&world, way, &["Unary", "hi"]).run().success().json();
        assert_eq!(first["code"], "OK", "{first}");
        // The one is what gRPC's table makes of 429, the other what it means.
        refused(&world, way, "Unary", &["UNAVAILABLE", "RESOURCE_EXHAUSTED"]);
    }
}

#[test]
fn an_upstream_that_is_down_is_unavailable() {
    let nobody = Refusing::new();
    let world = World::with(&configuration(&[]))
        .set("up", nobody.address())
        .start();
    for way in WAYS {
        refused(&world, way, "Unary", &["UNAVAILABLE"]);
    }
}

#[test]
fn a_plugin_that_is_missing_is_unavailable() {
    let server = Python::script("grpc_server.py").serve();
    let world = World::with(&configuration(&["{name: nowhere}"]))
        .set("up", server.address())
        .start();
    for way in WAYS {
        refused(&world, way, "Unary", &["UNAVAILABLE"]);
    }
}

#[test]
fn an_upstream_that_is_slow_is_given_up_and_notices() {
    let server = Python::script("grpc_server.py").serve();
    let text =
        configuration(&[]).replace("upstream: up}", "upstream: up, timeouts: {response: 1s}}");
    let world = World::with(&text).set("up", server.address()).start();
    for way in WAYS {
        refused(&world, way, "Hang", &["DEADLINE_EXCEEDED", "UNAVAILABLE"]);
        assert_eq!(server.line(), "waiting");
        assert_eq!(server.line(), "cancelled", "{way:?}");
    }
}

#[test]
fn the_answer_is_a_head_alone_with_status_200() {
    let server = Python::script("grpc_server.py").serve();
    let world = World::with(&configuration(&[KEY_AUTH]))
        .set("up", server.address())
        .start();
    let grpc = [
        "--header",
        "content-type: application/grpc+proto",
        "--header",
        "te: trailers",
        "--data-binary",
        "",
    ];
    for way in WAYS {
        let answer = world
            .curl(way, "/swapgate.test.Echo/Unary", &grpc)
            .success();
        assert_eq!((answer.status(), answer.body.len()), (200, 0), "{answer:?}");
        assert_eq!(answer.values("grpc-status"), ["16"], "{answer:?}");
        let kind = answer.values("content-type");
        assert!(kind[0].starts_with("application/grpc"), "{answer:?}");
        // Who does not speak gRPC reads of it what everybody reads.
        let answer = world.curl(way, "/swapgate.test.Echo/Unary", &[]).success();
        assert_eq!(answer.status(), 401, "{answer:?}");
        assert_eq!(answer.values("content-type"), ["application/problem+json"]);
    }
}
