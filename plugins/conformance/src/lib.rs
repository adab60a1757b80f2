//! Calls every host function in every phase and writes down the answers, for the tests of the gateway.
//!
//! `sdk-c/examples/conformance.c` does the same, word for word. So the trace of a file must be the same through either
//! door, and both files must have the same trace; where they differ, gateway or SDK treats two languages differently.
//!
//! The trace is a list of words `PHASE.STEP=CODE` or `PHASE.STEP=CODE:VALUE`. It grows in the variable
//! `conformance.trace`, leaves in the header `x-trace` of the answer, and what `log` and `request_end` add goes to the log
//! in one line each.
#![forbid(unsafe_code)]

mod later;
mod metrics;
mod probe;
mod trace;
mod wait;

use metrics::Metrics;
use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::guest::handle::Exchange;
use swapgate_plugin::{
    AsyncAccess, AsyncAccessCall, BodyFilter, BodyFilterCall, BodyFlow, ConfigError, EndCall,
    Error, Flow, HeaderFilter, HeaderFilterCall, ImportError, Lane, Log, LogCall, Need, Plugin,
    RequestBody, RequestBodyCall, RequestEnd, Response, Rewrite, RewriteCall, State, Trailers,
    TrailersCall,
};
use trace::Trace;

/// The configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to answer instead of the upstream: `rewrite`, `access` or nowhere.
    #[serde(default)]
    respond: String,
    /// What `access` waits for: `sleep`, `wake`, `callout`, `blocking`, `never` or nothing.
    #[serde(default)]
    wait: String,
}

/// An instance.
#[derive(Debug)]
pub struct Conformance {
    respond: String,
    wait: String,
    /// What an earlier instance handed over, and in which format.
    imported: Option<(u32, Vec<u8>)>,
    metrics: Metrics,
}

impl Plugin for Conformance {
    const PRIORITY: i32 = 10;
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        match config.respond.as_str() {
            "" | "rewrite" | "access" => Ok(Self {
                respond: config.respond,
                wait: config.wait,
                imported: None,
                metrics: Metrics::declare(),
            }),
            _ => Err(ConfigError::at(
                "respond",
                "is neither rewrite nor access: leave it out or choose one",
            )),
        }
    }
}

impl Conformance {
    /// Everything there is, in this phase.
    fn probe(&self, trace: &mut Trace, exchange: &mut Exchange<'_>) {
        if trace.phase() == "R" {
            self.metrics.tell(trace);
            self.tell_import(trace);
        }
        probe::probe(trace, exchange);
        self.metrics.count(trace, exchange.raw());
        later::probe(trace, exchange.raw());
    }

    /// What an earlier instance handed over.
    fn tell_import(&self, trace: &mut Trace) {
        match &self.imported {
            None => trace.word("import", "none"),
            Some((format, state)) => {
                trace.bytes("import", Ok(state));
                trace.number("import.version", Ok(u64::from(*format)));
            }
        }
    }
}

/// What is done to either body: `$append` says how to add bytes without copying.
macro_rules! change_body {
    ($self:ident, $trace:ident, $body:ident) => {
        $self.probe(&mut $trace, $body);
        $trace.code("body_append", $body.append(b"+copy"));
        $trace.code("body_append_own", $body.append_owned(b"+own"));
        later::window(
            &mut $trace,
            $body.raw(),
            "body_len.more",
            "body_pieces.more",
        );
        $trace.code("body_drain", $body.raw().body_drain(1));
        $trace.code("body_hold", $body.raw().body_hold(1));
        later::window(
            &mut $trace,
            $body.raw(),
            "body_len.less",
            "body_pieces.less",
        );
        let whole = later::whole($body.raw()).unwrap_or_default();
        $trace.code("body_replace", $body.replace(whole));
    };
}

impl Rewrite for Conformance {
    fn rewrite(&self, request: &mut RewriteCall<'_>) -> Result<Flow, Error> {
        let mut trace = Trace::new("R");
        self.probe(&mut trace, request);
        trace.store(request.raw());
        if self.respond == "rewrite" {
            return Ok(request.respond(&answer())?);
        }
        Ok(Flow::Continue)
    }
}

impl AsyncAccess for Conformance {
    async fn access(&self, request: AsyncAccessCall) -> Result<Flow, Error> {
        request.with(|request| {
            let mut trace = Trace::new("A");
            self.probe(&mut trace, request);
            trace.store(request.raw());
        })?;
        if !self.wait.is_empty() {
            let mut trace = Trace::new("W");
            wait::wait(&mut trace, &self.wait).await?;
            request.with(|request| {
                self.probe(&mut trace, request);
                trace.store(request.raw());
            })?;
            return Ok(Flow::Continue);
        }
        if self.respond == "access" {
            return Ok(request.respond(&answer())?);
        }
        Ok(Flow::Continue)
    }
}

impl RequestBody for Conformance {
    const REQUEST_NEED: Need = Need::Buffer(0);

    /// Where pieces end differs from one run to the next, so it looks at whole bodies only.
    fn request_body(&self, body: &mut RequestBodyCall<'_>) -> Result<BodyFlow, Error> {
        if !body.is_end() {
            return Ok(BodyFlow::Buffer);
        }
        let mut trace = Trace::new("B");
        change_body!(self, trace, body);
        trace.store(body.raw());
        Ok(BodyFlow::Continue)
    }
}

impl HeaderFilter for Conformance {
    fn header_filter(&self, response: &mut HeaderFilterCall<'_>) -> Result<(), Error> {
        let mut trace = Trace::new("H");
        self.probe(&mut trace, response);
        let whole = trace.store(response.raw());
        response.set_response_header("x-trace", whole)?;
        Ok(())
    }
}

impl BodyFilter for Conformance {
    const RESPONSE_NEED: Need = Need::Buffer(0);

    fn body_filter(&self, body: &mut BodyFilterCall<'_>) -> Result<BodyFlow, Error> {
        if !body.is_end() {
            return Ok(BodyFlow::Buffer);
        }
        let mut trace = Trace::new("F");
        change_body!(self, trace, body);
        trace.write(body.raw());
        Ok(BodyFlow::Continue)
    }
}

impl Trailers for Conformance {
    fn trailers(&self, trailers: &mut TrailersCall<'_>) -> Result<(), Error> {
        let lane = trailers.lane();
        let mut trace = Trace::new(match lane {
            Lane::Request => "T",
            Lane::Response => "U",
        });
        later::trailers(&mut trace, trailers.raw(), lane);
        match lane {
            Lane::Request => drop(trace.store(trailers.raw())),
            Lane::Response => trace.write(trailers.raw()),
        }
        Ok(())
    }
}

impl Log for Conformance {
    fn log(&self, exchange: &mut LogCall<'_>) -> Result<(), Error> {
        let mut trace = Trace::new("L");
        self.probe(&mut trace, exchange);
        trace.write(exchange.raw());
        Ok(())
    }
}

impl RequestEnd for Conformance {
    fn request_end(&self, exchange: &mut EndCall<'_>) {
        let mut trace = Trace::new("E");
        self.probe(&mut trace, exchange);
        trace.write(exchange.raw());
    }
}

impl State for Conformance {
    const FORMAT: u32 = 3;

    fn export_state(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(Some(b"all it knows".to_vec()))
    }

    fn import_state(&mut self, format: u32, state: &[u8]) -> Result<(), ImportError> {
        if format != Self::FORMAT {
            return Err(ImportError::Format);
        }
        self.imported = Some((format, state.to_vec()));
        Ok(())
    }
}

swapgate_plugin::export!(Conformance, id = "conformance");

fn answer() -> Response {
    Response::new(299)
        .header("x-answer", "conformance")
        .body("conformance\n")
}

#[cfg(test)]
mod tests {
    use swapgate_plugin::testing::{Exchange, Host, Outcome};

    use super::Conformance;

    fn run(config: &str) -> (Outcome, Vec<String>) {
        let host = Host::of::<Conformance>();
        let instance = host.configure(config).unwrap();
        let exchange = Exchange::new()
            .path("/x/42?a=1")
            .param("id", "42")
            .header("x-probe", "first")
            .header("x-probe", "second")
            .body(["hel", "lo"])
            .trailer("x-trailer", "asked")
            .upstream_body(["world"])
            .upstream_trailer("x-trailer", "answered");
        let outcome = instance.run(exchange);
        let logs = host.logs().into_iter().map(|line| line.text).collect();
        (outcome, logs)
    }

    #[test]
    fn the_trace_holds_what_the_contract_says() {
        let (outcome, logs) = run("{}");
        assert_eq!(outcome.failures(), []);
        let trace = outcome.response_header("x-trace").unwrap();
        for word in [
            "R.attr_text.4=0:/x/42",
            "R.attr_text.9=-7",
            "R.attr_set.4=0",
            "A.attr_set.4=-7",
            "A.attr_text.9=0:test",
            "A.param_get.id=0:42",
            "A.param_get.none=-4",
            "A.header_nth.1=0:second",
            "A.header_get.response=-7",
            "A.header_set.bad_name=-3",
            "A.header_set.bad_value=-3",
            "A.header_set.connection=-11",
            "A.consumer_set.long=-8",
            "A.var_set.long=-8",
            "A.stale=-5",
            "A.state=R",
            "H.header_set.request=-7",
            "H.header_set.response=0",
            "H.attr_number.64=0:200",
            "H.respond.status=-7",
            "R.metric_declare.counter=0",
            "R.metric_declare.same=yes",
            "R.metric_declare.other_kind=-3",
            "R.metric_declare.long=-8",
            "A.metric_add.counter=0",
            "A.metric_add.negative=-3",
            "A.metric_set.counter=-3",
            "A.metric_observe.histogram=0",
            "A.metric_add.stale=-5",
            "A.metric_declare.hook=-7",
            "R.import=none",
            "A.sleep=0",
            "A.sleep.stale=-5",
            "A.op_cancel=0",
            "A.op_cancel.again=-4",
            "A.waker.same=yes",
            "A.wake.unknown=-5",
            "A.body_len=-7",
            "A.kv.get=0:one",
            "A.kv.compare_and_set.old=-14",
            "A.kv.add.text=-3",
            "A.kv.add.less=0:3",
            "A.kv.set.long=-8",
            "B.body_pieces=0:hello",
            "B.body_drain.many=-3",
            "B.body_pieces.more=0:hello+copy+own",
            "B.body_hold=-3",
            "B.body_pieces.less=0:ello+copy+own",
            "T.header_get.trailer=0:asked",
            "T.header_nth.trailer=0:2",
            "T.header_get.removed=-4",
            "A.upstream_set.kind=-3",
        ] {
            let found = trace.split(' ').any(|found| found == word);
            assert!(found, "{word} is not in {trace}");
        }
        let lines: Vec<_> = logs
            .iter()
            .filter(|line| line.starts_with("trace "))
            .collect();
        // Of the answer's body, its trailers, `log` and `request_end`.
        assert_eq!(lines.len(), 4, "{logs:?}");
        assert_eq!(outcome.request_body(), b"ello+copy+own");
        assert_eq!(outcome.body(), b"orld+copy+own");
    }

    #[test]
    fn what_it_counts_can_be_read_back() {
        let host = Host::of::<Conformance>();
        let instance = host.configure("{}").unwrap();
        assert_eq!(instance.run(Exchange::new()).failures(), []);
        let probes = host.metric("probes", &[("by", "probe")]).unwrap();
        let phases = 7;
        assert_eq!((probes.value, probes.count), (f64::from(phases), 0));
        assert_eq!(host.metric("level", &[]).unwrap().value, 5.0);
        let sizes = host.metric("size_bytes", &[]).unwrap();
        assert_eq!((sizes.value, sizes.count), (21.0, 7));
        assert_eq!(sizes.buckets, [(1.0, 0), (10.0, 7)]);
        assert_eq!(host.metrics().len(), 3);
    }

    #[test]
    fn it_answers_where_it_is_asked_to() {
        for phase in ["rewrite", "access"] {
            let (outcome, _) = run(&format!(r#"{{"respond": "{phase}"}}"#));
            assert_eq!(outcome.status(), 299);
            // Its own body_filter() has seen it.
            assert_eq!(outcome.body(), b"onformance\n+copy+own");
            assert!(outcome.response_header("x-trace").is_some());
        }
    }
}
