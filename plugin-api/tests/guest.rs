//! A plugin linked in and called through its table of hooks: what the SDK promises to plugin authors.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::testing::{Exchange, Host, LogLine, Phase};
use swapgate_plugin::{
    Access, AccessCall, ConfigError, Error, Flow, HeaderFilter, HeaderFilterCall, HostError,
    Plugin, Response,
};

/// How many states are alive in a test.
#[derive(Debug, Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct Visit {
    number: u32,
    alive: Alive,
}

impl Visit {
    fn new(number: u32, alive: &Alive) -> Self {
        alive.0.fetch_add(1, Ordering::SeqCst);
        let alive = alive.clone();
        Self { number, alive }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.alive.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What to do.
    mode: Mode,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Log,
    State,
    Error,
    BadHeader,
    Respond,
}

struct Guest {
    mode: Mode,
    alive: Alive,
}

impl Plugin for Guest {
    const PRIORITY: i32 = 7;
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let alive = Alive::default();
        let mode = config.mode;
        Ok(Self { mode, alive })
    }
}

impl Access for Guest {
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
        match self.mode {
            Mode::Log => {
                log::warn!("a record");
                tracing::info!(key = 7, "an event");
            }
            Mode::State => {
                request.set_state(Visit::new(1, &self.alive))?;
                request.set_state(Visit::new(2, &self.alive))?;
                assert!(request.state::<String>().is_none(), "another type");
                if let Some(visit) = request.state_mut::<Visit>() {
                    visit.number += 40;
                }
            }
            Mode::Error => return Err(Error::new("the guest does not like this request")),
            Mode::BadHeader => request.set_header("connection", "close")?,
            Mode::Respond => {
                let answer = Response::problem(403, "Forbidden", "not today");
                return Ok(request.respond(&answer)?);
            }
        }
        Ok(Flow::Continue)
    }
}

impl HeaderFilter for Guest {
    fn header_filter(&self, response: &mut HeaderFilterCall<'_>) -> Result<(), Error> {
        if let Some(visit) = response.state::<Visit>() {
            let text = format!(
                "{} of {}",
                visit.number,
                self.alive.0.load(Ordering::SeqCst)
            );
            response.set_response_header("x-visit", text)?;
        }
        Ok(())
    }
}

swapgate_plugin::export!(Guest, id = "guest", version = "1.2.3");

#[test]
fn only_the_hooks_that_exist_are_in_the_table() {
    let host = Host::of::<Guest>();
    assert_eq!(host.phases(), [Phase::Access, Phase::HeaderFilter]);
}

#[test]
fn the_schema_is_shipped() {
    let schema = Host::of::<Guest>().schema();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["mode"]["description"], "What to do.");
}

#[test]
fn records_and_events_reach_the_log_of_the_gateway() {
    let host = Host::of::<Guest>();
    let instance = host.configure(r#"{"mode": "log"}"#).unwrap();
    assert_eq!(instance.run(Exchange::new()).status(), 200);
    let logs = host.logs();
    let says = |level, text: &str| {
        let says = |line: &LogLine| line.level == level && line.text.contains(text);
        logs.iter().any(says)
    };
    assert!(says(log::Level::Warn, "a record"), "{logs:?}");
    assert!(says(log::Level::Info, "an event key=7"), "{logs:?}");
}

#[test]
fn state_is_typed_replaced_and_dropped() {
    let host = Host::of::<Guest>();
    let instance = host.configure(r#"{"mode": "state"}"#).unwrap();
    for _ in 0..3 {
        let outcome = instance.run(Exchange::new());
        assert_eq!(outcome.failures(), []);
        // The second state, changed. The first one is gone, and so is that of an exchange before.
        assert_eq!(outcome.response_header("x-visit").unwrap(), "42 of 1");
    }
}

#[test]
fn errors_carry_text_and_code() {
    let host = Host::of::<Guest>();
    let run = |mode: &str| {
        let config = format!(r#"{{"mode": "{mode}"}}"#);
        let outcome = host.configure(&config).unwrap().run(Exchange::new());
        assert_eq!(outcome.status(), 500);
        outcome.failures()[0].clone()
    };
    let failure = run("error");
    assert_eq!(failure.error, HostError::Failed);
    assert_eq!(failure.text, "the guest does not like this request");
    let failure = run("bad_header");
    assert_eq!(failure.error, HostError::Forbidden);
    assert_eq!(
        failure.text,
        "framing and hop-by-hop headers belong to the gateway (SG_E_FORBIDDEN)"
    );
}

#[test]
fn answers_arrive_whole() {
    let host = Host::of::<Guest>();
    let instance = host.configure(r#"{"mode": "respond"}"#).unwrap();
    let outcome = instance.run(Exchange::new());
    assert_eq!(outcome.status(), 403);
    assert_eq!(
        outcome.response_header("content-type").unwrap(),
        "application/problem+json"
    );
    let body: serde_json::Value = serde_json::from_slice(outcome.body()).unwrap();
    assert_eq!(body["detail"], "not today");
}

#[test]
fn a_configuration_that_does_not_fit_names_the_place() {
    let host = Host::of::<Guest>();
    let error = host.configure(r#"{"mode": "loud"}"#).map(drop).unwrap_err();
    assert!(error.starts_with("mode: unknown variant"), "{error}");
}
