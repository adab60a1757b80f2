//! A plugin linked in that changes bodies: the same for every way in which they are cut to pieces.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::testing::{Exchange, Host, Lane, Phase};
use swapgate_plugin::{
    Access, AccessCall, AsyncRequestBody, AsyncRequestBodyCall, BodyFilter, BodyFilterCall,
    BodyFlow, ConfigError, Error, Flow, HeaderFilter, HeaderFilterCall, HostError, Need, Plugin,
    Response, Trailers, TrailersCall, ops,
};

#[derive(Deserialize, JsonSchema)]
struct Config {}

static RELEASED: AtomicUsize = AtomicUsize::new(0);

/// Bytes that say when they are dropped.
struct Owned(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
        RELEASED.fetch_add(1, Ordering::SeqCst);
        log::info!("released");
    }
}

struct Bodies;

impl Plugin for Bodies {
    type Config = Config;

    fn configure(_: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Access for Bodies {
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
        if request.path() == "/ignore" {
            request.ignore_request_body()?;
            request.ignore_response_body()?;
        }
        Ok(Flow::Continue)
    }
}

impl HeaderFilter for Bodies {
    fn header_filter(&self, response: &mut HeaderFilterCall<'_>) -> Result<(), Error> {
        if response.path() == "/ignore-late" {
            response.ignore_body()?;
        }
        Ok(())
    }
}

/// Waits for all of it, asks somebody, and passes it on.
impl AsyncRequestBody for Bodies {
    const REQUEST_NEED: Need = Need::Buffer(1000);

    async fn request_body(&self, body: AsyncRequestBodyCall) -> Result<BodyFlow, Error> {
        if !body.is_end() {
            return Ok(BodyFlow::Buffer);
        }
        let whole = body.to_vec()?;
        if whole.starts_with(b"{") {
            ops::sleep(std::time::Duration::from_millis(3)).await?;
            return Ok(body.respond(&Response::new(415))?);
        }
        let upper = ops::blocking(move || whole.to_ascii_uppercase()).await?;
        body.replace(upper)?;
        Ok(BodyFlow::Continue)
    }
}

const FIND: &[u8] = b"cat";
const PUT: &[u8] = b"mouse";

/// Replaces a word, also where it is cut in two.
impl BodyFilter for Bodies {
    const RESPONSE_NEED: Need = Need::Transform;

    fn body_filter(&self, body: &mut BodyFilterCall<'_>) -> Result<BodyFlow, Error> {
        let mut text = body.to_vec()?;
        match body.path() {
            "/owned" => {
                body.drain(body.len())?;
                let owner = Owned(text, Arc::default());
                body.append_owned(owner)?;
                return Ok(BodyFlow::Continue);
            }
            "/wrong" => return Ok(BodyFlow::Buffer),
            "/hold-at-end" => {
                assert_eq!(body.hold(0), Err(HostError::Invalid));
                assert_eq!(body.drain(1000), Err(HostError::Invalid));
            }
            _ => {}
        }
        let keep = if body.is_end() { 0 } else { kept(&text) };
        let tail = text.split_off(text.len() - keep);
        let mut out = Vec::new();
        let mut rest = &text[..];
        while let Some(at) = rest.windows(FIND.len()).position(|part| part == FIND) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(PUT);
            rest = &rest[at + FIND.len()..];
        }
        out.extend_from_slice(rest);
        body.replace(&out)?;
        body.append(&tail)?;
        if keep > 0 {
            body.hold(keep)?;
        }
        Ok(BodyFlow::Continue)
    }
}

/// How much of the end may be the beginning of the word.
fn kept(text: &[u8]) -> usize {
    let most = text.len().min(FIND.len() - 1);
    (1..=most)
        .rev()
        .find(|len| text.ends_with(&FIND[..*len]))
        .unwrap_or(0)
}

impl Trailers for Bodies {
    fn trailers(&self, trailers: &mut TrailersCall<'_>) -> Result<(), Error> {
        let lane = format!("{:?}", trailers.lane());
        let sum = trailers.trailer("x-sum").map(|sum| sum.to_string());
        trailers.set_trailer("x-seen", format!("{lane} {}", sum.unwrap_or_default()))?;
        Ok(())
    }
}

swapgate_plugin::export!(Bodies, id = "bodies");

#[test]
fn the_hooks_of_bodies_are_there() {
    let host = Host::of::<Bodies>();
    assert_eq!(
        host.phases(),
        [
            Phase::Access,
            Phase::RequestBody,
            Phase::HeaderFilter,
            Phase::BodyFilter,
            Phase::Trailers,
            // What still waits is dropped there.
            Phase::RequestEnd,
        ]
    );
}

#[test]
fn the_result_is_the_same_for_every_way_to_cut() {
    let host = Host::of::<Bodies>();
    let instance = host.configure("{}").unwrap();
    let text = b"a cat, a ca, acat catcat c";
    for one in 0..=text.len() {
        for two in one..=text.len() {
            let pieces = [&text[..one], &text[one..two], &text[two..]];
            let outcome = instance.run(Exchange::new().upstream_body(pieces));
            assert_eq!(outcome.failures(), []);
            assert_eq!(outcome.body(), b"a mouse, a ca, amouse mousemouse c");
        }
    }
}

#[test]
fn a_body_is_buffered_and_waits_for_an_operation() {
    let host = Host::of::<Bodies>();
    let instance = host.configure("{}").unwrap();
    let outcome = instance.run(Exchange::new().method("POST").body(["one ", "two ", ""]));
    assert_eq!(outcome.failures(), []);
    assert_eq!(outcome.request_body(), b"ONE TWO ");
    let outcome = instance.run(Exchange::new().method("POST").body(["{", "}"]));
    assert_eq!((outcome.status(), outcome.request_body()), (415, &b""[..]));
    assert!(!outcome.reached_upstream());
    let long = vec![b'x'; 600];
    let outcome = instance.run(Exchange::new().method("POST").body([&long, &long, &long]));
    assert_eq!(outcome.status(), 413);
}

#[test]
fn both_lanes_flow_at_once() {
    let host = Host::of::<Bodies>();
    let instance = host.configure("{}").unwrap();
    host.hold_work(true);
    let exchange = Exchange::new().method("POST").open_body().early_answer();
    let flight = instance.begin(exchange.open_upstream_body());
    flight.send("abc");
    flight.receive("my c");
    assert_eq!(flight.passed(Lane::Request), b"");
    assert_eq!(flight.passed(Lane::Response), b"my ");
    flight.end_request();
    assert_eq!(flight.waiting(Lane::Request), Some(Phase::RequestBody));
    flight.receive("at");
    assert_eq!(flight.passed(Lane::Response), b"my mouse");
    flight.end_answer();
    assert!(!flight.is_over());
    assert!(host.work());
    assert!(flight.is_over());
    let outcome = flight.finish();
    assert_eq!(outcome.failures(), []);
    assert_eq!(outcome.request_body(), b"ABC");
}

#[test]
fn bytes_with_an_owner_are_released_once() {
    let host = Host::of::<Bodies>();
    let instance = host.configure("{}").unwrap();
    let before = RELEASED.load(Ordering::SeqCst);
    let outcome = instance.run(Exchange::new().path("/owned").upstream_body(["one", "two"]));
    assert_eq!(outcome.failures(), []);
    assert_eq!(outcome.body(), b"onetwo");
    assert_eq!(RELEASED.load(Ordering::SeqCst), before + 2);
}

#[test]
fn what_is_ignored_passes_unseen() {
    let host = Host::of::<Bodies>();
    let instance = host.configure("{}").unwrap();
    let exchange = |path| {
        Exchange::new()
            .path(path)
            .body(["one"])
            .upstream_body(["a cat"])
    };
    let outcome = instance.run(exchange("/ignore"));
    assert_eq!(outcome.failures(), []);
    assert_eq!(
        (outcome.request_body(), outcome.body()),
        (&b"one"[..], &b"a cat"[..])
    );
    let outcome = instance.run(exchange("/ignore-late"));
    assert_eq!(
        (outcome.request_body(), outcome.body()),
        (&b"ONE"[..], &b"a cat"[..])
    );
    for none in [
        Exchange::new().method("HEAD"),
        Exchange::new().upstream(Response::new(304)),
    ] {
        assert_eq!(instance.run(none.upstream_body(["cat"])).body(), b"");
    }
}

#[test]
fn answers_out_of_place_are_faults() {
    let host = Host::of::<Bodies>();
    let instance = host.configure("{}").unwrap();
    let outcome = instance.run(Exchange::new().path("/wrong").upstream_body(["one"]));
    assert_eq!(outcome.failures()[0].error, HostError::Unknown(3));
    assert!(outcome.was_reset());
    let outcome = instance.run(Exchange::new().path("/hold-at-end").upstream_body(["one"]));
    assert_eq!(outcome.failures(), []);
}

#[test]
fn trailers_are_seen_and_changed() {
    let host = Host::of::<Bodies>();
    let instance = host.configure("{}").unwrap();
    let exchange = Exchange::new()
        .method("POST")
        .body(["x"])
        .trailer("x-sum", "1");
    let outcome = instance.run(exchange.upstream_trailer("x-sum", "2"));
    assert_eq!(outcome.failures(), []);
    assert_eq!(outcome.request_trailer("x-seen").unwrap(), "Request 1");
    assert_eq!(outcome.response_trailer("x-seen").unwrap(), "Response 2");
}
