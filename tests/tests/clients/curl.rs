//! curl: the same answers, the same plugins, in every way in which it can come.

use swapgate_tests::Upstream;

use crate::world::{HEADERS, KEY_AUTH, NAME, WITH_KEY, Way, World, only};

#[test]
fn plugins_mean_the_same_in_every_version() {
    let upstream = Upstream::echo();
    let world = World::route(upstream.address(), &[KEY_AUTH, HEADERS]);
    for way in Way::ALL {
        let mark = format!("x-mark: {way:?}");
        let refused = world.curl(way, "/a", &["--header", &mark]).success();
        assert_eq!((refused.status(), refused.version()), (401, way.version()));
        // The plugin that edits answers sees those of other plugins too.
        assert_eq!(refused.values("x-signed"), [format!("{way:?}")]);
        assert_eq!(refused.values("content-type"), ["application/problem+json"]);
        assert_eq!(refused.json()["status"], 401);
        assert!(upstream.take_requests().is_empty());

        let path = "/a/%41?q=%20b";
        let arguments = [
            "--header", &mark, "--header", WITH_KEY, "--cookie", "a=1; b=2",
        ];
        let answer = world.curl(way, path, &arguments).success();
        assert_eq!((answer.status(), answer.version()), (200, way.version()));
        assert_eq!(answer.values("x-signed"), [format!("{way:?}")]);
        let request = only(&upstream);
        assert_eq!(request.line(), "GET /a/A?q=%20b HTTP/1.1");
        let header = |name: &str| request.headers.get(name);
        assert_eq!(header("x-consumer").as_deref(), Some("alice"));
        assert_eq!(header("x-api-key"), None);
        assert_eq!(header("cookie").as_deref(), Some("a=1; b=2"));
        assert_eq!(header("x-forwarded-proto").as_deref(), Some(way.scheme()));
        let host = format!("{NAME}:{}", world.address(way).port());
        assert_eq!(header("x-forwarded-host").as_deref(), Some(&*host));
        assert!(header("user-agent").unwrap().starts_with("curl/"));
        assert_eq!(
            header("host").unwrap(),
            upstream.address().to_string(),
            "{way:?}"
        );
    }
}

#[test]
fn an_answer_to_head_is_its_head_alone() {
    let upstream = Upstream::echo();
    let world = World::route(upstream.address(), &[KEY_AUTH]);
    for way in Way::ALL {
        let answer = world
            .curl(way, "/", &["--head", "--header", WITH_KEY])
            .success();
        assert_eq!(answer.status(), 200, "{way:?}");
        let length: usize = answer.values("content-length")[0].parse().unwrap();
        assert!(length > 0, "{answer:?}");
        assert_eq!(only(&upstream).method, "HEAD");
        let refused = world.curl(way, "/", &["--head"]).success();
        assert_eq!(refused.status(), 401, "{way:?}");
    }
}

#[test]
fn answers_without_a_body_end_at_once() {
    let upstream = Upstream::answering(|request| {
        let status = request.target.trim_start_matches('/');
        format!("HTTP/1.1 {status} Fine\r\netag: \"1\"\r\n\r\n").into()
    });
    let world = World::route(upstream.address(), &[]);
    for way in Way::ALL {
        for status in [204, 304] {
            let answer = world.curl(way, &format!("/{status}"), &[]).success();
            assert_eq!((answer.status(), answer.body.len()), (status, 0), "{way:?}");
            assert_eq!(answer.values("etag"), ["\"1\""], "{way:?}");
        }
    }
}

#[test]
fn requests_share_a_connection() {
    let upstream = Upstream::echo();
    let world = World::with(
        "upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes:
  - {name: open, service: up}
  - {name: closed, service: up, paths: [/closed], plugins: [@key-auth@]}
",
    )
    .set("up", upstream.address())
    .set("key-auth", KEY_AUTH)
    .start();
    // Of HTTP/2 by prior knowledge, curl 7.88 sends no second request on a connection, whatever the server is.
    for way in [Way::Http11, Way::Http11Tls, Way::Http2Tls] {
        // A refusal of a plugin's does not end the connection.
        let (second, third) = (world.url(way, "/closed"), world.url(way, "/third"));
        let aside = [
            "--output",
            "/dev/null",
            &second,
            "--output",
            "/dev/null",
            &third,
        ];
        let answer = world.curl(way, "/first", &aside).success();
        let of_each = |key: &str| -> Vec<u64> {
            let transfers = answer.transfers.iter();
            transfers.filter_map(|told| told[key].as_u64()).collect()
        };
        assert_eq!(of_each("response_code"), [200, 401, 200], "{way:?}");
        assert_eq!(of_each("num_connects"), [1, 0, 0], "{way:?}");
        let requests = upstream.take_requests().into_iter();
        let targets: Vec<String> = requests.map(|request| request.target).collect();
        assert_eq!(targets, ["/first", "/third"], "{way:?}");
    }
}

/// The upgrade to HTTP/2 in plain text is one that RFC 9113 took out: the request is served as it came.
#[test]
fn an_upgrade_to_http2_in_plain_text_is_declined() {
    let upstream = Upstream::echo();
    let world = World::route(upstream.address(), &[]);
    let answer = world.curl(Way::Http11, "/", &["--http2"]).success();
    assert_eq!((answer.status(), answer.version()), (200, "1.1"));
    let request = only(&upstream);
    for name in ["upgrade", "http2-settings", "connection"] {
        assert_eq!(request.headers.get(name), None, "{request:?}");
    }
}
