//! Names with an underscore, and names that only the gateway and its plugins may set: in heads and behind bodies.

use swapgate_tests::h2::Connection;

use crate::{Stage, put};

const FIELDS: [(&str, &str); 4] = [
    ("x-plain", "1"),
    ("x_under", "2"),
    ("x-user-id", "evil"),
    ("x-consumer-name", "evil"),
];

/// A GET in HTTP/1.1 with these fields.
fn one(fields: &[(&str, &str)]) -> String {
    let fields: String = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("GET / HTTP/1.1\r\nHost: test\r\n{fields}\r\n")
}

/// Which of the fields reach the upstream, over both protocols.
#[track_caller]
fn reach(stage: &Stage, fields: &[(&str, &str)], expected: &[(&str, &str)]) {
    for protocol in [1, 2] {
        let status = match protocol {
            1 => stage.one(one(fields)),
            _ => stage.two("/", fields),
        };
        assert_eq!(status, 200, "HTTP/{protocol}");
        let received = stage.only();
        for (name, _) in fields {
            let expected: Vec<&str> = expected
                .iter()
                .filter(|(known, _)| known == name)
                .map(|(_, value)| *value)
                .collect();
            assert_eq!(
                received.headers.all(name),
                expected,
                "HTTP/{protocol}: {name}"
            );
        }
    }
}

#[test]
fn names_with_an_underscore_are_taken_out_unless_it_says_otherwise() {
    let kept = [
        ("x-plain", "1"),
        ("x-user-id", "evil"),
        ("x-consumer-name", "evil"),
    ];
    reach(&Stage::with("", ""), &FIELDS, &kept);
    let allowing = Stage::with("client_headers: {underscores: allow}", "");
    reach(&allowing, &FIELDS, &FIELDS);
    let rejecting = Stage::with("client_headers: {underscores: reject}", "");
    reach(&rejecting, &kept, &kept);
    assert_eq!(rejecting.one(one(&FIELDS)), 400);
    assert_eq!(rejecting.two("/", &FIELDS), 400);
    assert_eq!(rejecting.upstream.take_requests().len(), 0);
}

#[test]
fn only_plugins_say_who_a_client_is() {
    let rules = "client_headers: {underscores: allow, identity: [x-user-id, \"x-consumer-*\"]}";
    let stage = Stage::with(rules, "");
    let more = [
        &FIELDS[..],
        &[("X_User_Id", "evil"), ("x_consumer_x", "evil")],
    ]
    .concat();
    let lower: Vec<(String, &str)> = more
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), *value))
        .collect();
    let lower: Vec<(&str, &str)> = lower
        .iter()
        .map(|(name, value)| (&**name, *value))
        .collect();
    reach(&stage, &lower, &[("x-plain", "1"), ("x_under", "2")]);
    // A plugin sets them, and does not see what the client said.
    let plugin = ", plugins: [{name: headers, config: {request: {set: {x-user-id: \"<${header.x-user-id}>\"}}}}]";
    let stage = Stage::with(rules, plugin);
    reach(
        &stage,
        &FIELDS[..3],
        &[("x-plain", "1"), ("x_under", "2"), ("x-user-id", "<>")],
    );
}

#[test]
fn conditions_of_routes_do_not_see_them() {
    let rules = "client_headers: {identity: [x-user-id]}";
    let stage = Stage::with(rules, ", headers: {x-user-id: [evil]}");
    assert_eq!(stage.one(one(&FIELDS)), 404);
    assert_eq!(stage.two("/", &FIELDS), 404);
}

/// A chunked POST with these fields behind its body.
fn chunked(trailers: &[(&str, &str)]) -> String {
    let names: Vec<&str> = trailers.iter().map(|(name, _)| *name).collect();
    let fields: String = trailers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!(
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: {}\r\n\r\n3\r\nabc\r\n0\r\n{fields}\r\n",
        names.join(", ")
    )
}

#[test]
fn nor_do_they_pass_behind_a_body() {
    let stage = Stage::with("client_headers: {identity: [x-user-id]}", "");
    let trailers = [("x-sum", "42"), ("x_under", "2"), ("x-user-id", "evil")];
    for protocol in [1, 2] {
        if protocol == 1 {
            assert_eq!(stage.one(chunked(&trailers)), 200);
        } else {
            let mut connection = Connection::open(stage.gateway.address());
            let stream = put(&mut connection, "/", b"abc", &trailers);
            assert_eq!(connection.answer(stream).expect("an answer").status, 200);
        }
        let received = stage.only();
        assert_eq!(received.body, b"abc");
        let raw = String::from_utf8_lossy(&received.raw_body).to_ascii_lowercase();
        assert!(
            raw.ends_with("0\r\nx-sum: 42\r\n\r\n"),
            "HTTP/{protocol}: {raw}"
        );
    }
}

#[test]
fn explain_says_the_same() {
    let rules = "client_headers: {underscores: reject, identity: [x-user-id]}";
    let stage = Stage::with(rules, ", headers: {x-user-id: [evil]}");
    let explain = |name: &str| {
        let question = format!(
            "{{\"method\": \"GET\", \"url\": \"http://test/\", \"headers\": [[\"{name}\", \"evil\"]]}}"
        );
        let mut client = swapgate_tests::Client::connect(stage.gateway.admin_address());
        client.send(format!(
            "POST /explain HTTP/1.1\r\nHost: admin\r\nContent-Length: {}\r\n\r\n{question}",
            question.len()
        ));
        let answer = client.expect_response().json();
        answer["outcome"].as_str().unwrap_or_default().to_owned()
    };
    assert!(
        explain("x-user-id").contains("404"),
        "{}",
        explain("x-user-id")
    );
    assert!(explain("x_a").contains("underscore"), "{}", explain("x_a"));
}
