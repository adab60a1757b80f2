//! Misbehaves on request, so that the tests of the gateway can show that it lives through that. Never for production.
//!
//! What a configuration can ask for happens in the calls that know one. What happens earlier (in a constructor, at
//! `load`, at `unload`) is asked for in the file itself: see [`patch`].
#![deny(unsafe_code)]

#[allow(
    unsafe_code,
    reason = "a crash needs an instruction that crashes, a constructor its section"
)]
mod crash;
pub mod patch;
mod state;

use std::sync::atomic::{AtomicBool, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::{
    Access, AccessCall, ConfigError, EndCall, Error, Flow, HeaderFilter, HeaderFilterCall, Log,
    LogCall, Plugin, RequestEnd, Response, Rewrite, RewriteCall,
};

/// Counts what this plugin allocates, so that tests see it shown.
#[global_allocator]
static MEMORY: swapgate_plugin::alloc::Counting = swapgate_plugin::alloc::Counting;

/// How to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Says no, with a text.
    Refuse,
    /// Panics.
    Panic,
    /// Panics with a payload that panics once more when it is dropped.
    PanicTwice,
    /// Never returns.
    Hang,
    /// Ends the process with SIGABRT.
    Abort,
    /// Ends the process with SIGSEGV.
    Segv,
    /// Calls itself until the stack is full.
    Overflow,
    /// Ends the process with this exit code.
    Exit(i32),
    /// Answers this code, whatever it means.
    Code(i32),
    /// Answers the request with this status.
    Respond(u16),
    /// Sleeps for so many milliseconds, then goes on.
    Sleep(u64),
}

/// Where to misbehave; nowhere unless said.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// In `configure`.
    configure: Option<Fault>,
    /// In `start`.
    start: Option<Fault>,
    /// When the instance is dropped.
    destroy: Option<Fault>,
    /// Before routing.
    rewrite: Option<Fault>,
    /// After routing.
    access: Option<Fault>,
    /// At the head of the answer.
    header_filter: Option<Fault>,
    /// At the end.
    log: Option<Fault>,
    /// At the very end.
    request_end: Option<Fault>,
    /// When the state left in an exchange is dropped.
    state: Option<Fault>,
    /// When it hands its state over, once it serves.
    export_state: Option<Fault>,
    /// When it takes over a state.
    import_state: Option<Fault>,
    /// How large its state is; it has none unless said.
    state_bytes: Option<usize>,
    /// Only for requests that carry this header; all of them unless said.
    when: Option<String>,
}

/// An instance.
#[derive(Debug)]
pub struct Faulty {
    config: Config,
    started: AtomicBool,
}

impl Plugin for Faulty {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        if let Some(fault) = config.configure {
            happen(fault).map_err(|error| ConfigError::new(error.to_string()))?;
        }
        Ok(Self {
            config,
            started: AtomicBool::new(false),
        })
    }

    fn load() -> Result<(), Error> {
        patch::fault("load").map_or(Ok(()), happen)
    }

    fn unload() -> Result<(), Error> {
        patch::fault("unload").map_or(Ok(()), happen)
    }

    fn start(&self) -> Result<(), Error> {
        self.started.store(true, Ordering::Release);
        self.config.start.map_or(Ok(()), happen)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if let Some(fault) = self.config.destroy {
            // A destructor has nobody to tell.
            let _ = happen(fault);
        }
    }
}

/// Left in an exchange; misbehaves when it is dropped.
struct Left(Fault);

impl Drop for Left {
    fn drop(&mut self) {
        // A destructor has nobody to tell.
        let _ = happen(self.0);
    }
}

impl Faulty {
    fn meant(&self, request: &swapgate_plugin::guest::handle::Exchange<'_>) -> bool {
        let when = self.config.when.as_deref();
        when.is_none_or(|name| request.header(name).is_some())
    }
}

impl Rewrite for Faulty {
    fn rewrite(&self, request: &mut RewriteCall<'_>) -> Result<Flow, Error> {
        match self.config.rewrite.filter(|_| self.meant(request)) {
            Some(Fault::Respond(status)) => Ok(request.respond(&Response::new(status))?),
            Some(fault) => happen(fault).map(|()| Flow::Continue),
            None => Ok(Flow::Continue),
        }
    }
}

impl Access for Faulty {
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
        if !self.meant(request) {
            return Ok(Flow::Continue);
        }
        if let Some(fault) = self.config.state {
            request.set_state(Left(fault))?;
        }
        match self.config.access.or_else(|| patch::fault("access")) {
            Some(Fault::Respond(status)) => Ok(request.respond(&Response::new(status))?),
            Some(fault) => happen(fault).map(|()| Flow::Continue),
            None => Ok(Flow::Continue),
        }
    }
}

impl HeaderFilter for Faulty {
    fn header_filter(&self, response: &mut HeaderFilterCall<'_>) -> Result<(), Error> {
        let fault = self.config.header_filter.filter(|_| self.meant(response));
        fault.map_or(Ok(()), happen)
    }
}

impl Log for Faulty {
    fn log(&self, exchange: &mut LogCall<'_>) -> Result<(), Error> {
        let fault = self.config.log.filter(|_| self.meant(exchange));
        fault.map_or(Ok(()), happen)
    }
}

impl RequestEnd for Faulty {
    fn request_end(&self, exchange: &mut EndCall<'_>) {
        if let Some(fault) = self.config.request_end.filter(|_| self.meant(exchange)) {
            // This hook has no result.
            let _ = happen(fault);
        }
    }
}

swapgate_plugin::export!(Faulty, id = "faulty");

/// Never returns, and needs more of the stack each time.
fn overflow(depth: u64) -> Result<(), Error> {
    let room = std::hint::black_box([depth; 64]);
    if room.contains(&u64::MAX) {
        return Ok(());
    }
    overflow(depth.wrapping_add(1))?;
    std::hint::black_box(room);
    Ok(())
}

/// Lets it happen.
fn happen(fault: Fault) -> Result<(), Error> {
    match fault {
        Fault::Refuse => Err(Error::new("refused, as the test asked for")),
        Fault::Panic => panic!("the test asked for a panic"),
        Fault::PanicTwice => std::panic::panic_any(crash::PanicsAgain),
        Fault::Hang => crash::hang(),
        Fault::Abort => std::process::abort(),
        Fault::Segv => crash::segv(),
        Fault::Overflow => overflow(0),
        Fault::Exit(code) => std::process::exit(code),
        Fault::Code(code) => Err(Error::new(format!("code {code}")).with_code(code)),
        Fault::Respond(_) => Err(Error::new("there is nothing to respond to in this phase")),
        Fault::Sleep(milliseconds) => {
            std::thread::sleep(std::time::Duration::from_millis(milliseconds));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use swapgate_plugin::HostError;
    use swapgate_plugin::testing::{Exchange, Host, Outcome, Phase};

    use super::Faulty;

    fn run(config: &str) -> Outcome {
        let host = Host::of::<Faulty>();
        host.configure(config).unwrap().run(Exchange::new())
    }

    #[track_caller]
    fn check(config: &str, status: u16, phase: Phase, error: HostError, text: &str) {
        let outcome = run(config);
        assert_eq!(outcome.status(), status, "{config}");
        let [failure] = outcome.failures() else {
            panic!("{:?}", outcome.failures());
        };
        assert_eq!((failure.phase, failure.error), (phase, error), "{config}");
        assert!(failure.text.contains(text), "{}", failure.text);
    }

    #[test]
    fn panics_become_errors_with_text_and_place() {
        let text = "panicked: the test asked for a panic (at plugins/faulty/src/lib.rs:";
        for (config, status, phase) in [
            (r#"{"rewrite": "panic"}"#, 500, Phase::Rewrite),
            (r#"{"access": "panic"}"#, 500, Phase::Access),
            (r#"{"header_filter": "panic"}"#, 500, Phase::HeaderFilter),
            (r#"{"log": "panic"}"#, 200, Phase::Log),
        ] {
            check(config, status, phase, HostError::Panic, text);
        }
        check(
            r#"{"access": "panic_twice"}"#,
            500,
            Phase::Access,
            HostError::Panic,
            "panicked",
        );
    }

    #[test]
    fn codes_arrive_as_they_are() {
        check(
            r#"{"access": {"code": 77}}"#,
            500,
            Phase::Access,
            HostError::Unknown(77),
            "code 77",
        );
        check(
            r#"{"access": {"code": -4}}"#,
            500,
            Phase::Access,
            HostError::NotFound,
            "",
        );
        check(
            r#"{"access": "refuse"}"#,
            500,
            Phase::Access,
            HostError::Failed,
            "refused",
        );
    }

    #[test]
    fn drops_are_behind_the_barrier_too() {
        let host = Host::of::<Faulty>();
        let config = r#"{"destroy": "panic", "state": "panic", "request_end": "panic"}"#;
        let instance = host.configure(config).unwrap();
        assert_eq!(instance.run(Exchange::new()).status(), 200);
        drop(instance);
        let logs = host.logs();
        let panics = logs.iter().filter(|line| line.text.contains("panicked"));
        // request_end, the state with its note, and the instance.
        assert_eq!(panics.count(), 4, "{logs:?}");
    }

    #[test]
    fn configure_and_start_say_why() {
        let host = Host::of::<Faulty>();
        let panicked = host.configure(r#"{"configure": "panic"}"#).map(drop);
        assert_eq!(
            panicked.unwrap_err(),
            "panicked: the test asked for a panic"
        );
        let refused = host.configure(r#"{"configure": "refuse"}"#).map(drop);
        assert_eq!(refused.unwrap_err(), "refused, as the test asked for");
        let instance = host.configure(r#"{"start": "refuse"}"#).unwrap();
        assert_eq!(
            instance.start().unwrap_err(),
            "refused, as the test asked for"
        );
    }

    #[test]
    fn only_when_asked() {
        let host = Host::of::<Faulty>();
        let config = r#"{"access": {"respond": 418}, "when": "x-fault"}"#;
        let instance = host.configure(config).unwrap();
        assert_eq!(instance.run(Exchange::new()).status(), 200);
        let asked = Exchange::new().header("x-fault", "");
        assert_eq!(instance.run(asked).status(), 418);
    }
}
