//! Calls every host function in every phase and writes down the answers, for the tests of the gateway.
//!
//! `sdk-c/examples/conformance.c` does the same, word for word. So the trace of a file must be the same through either
//! door, and both files must have the same trace; where they differ, gateway or SDK treats two languages differently.
//!
//! The trace is a list of words `PHASE.STEP=CODE` or `PHASE.STEP=CODE:VALUE`. It grows in the variable
//! `conformance.trace`, leaves in the header `x-trace` of the answer, and what `log` and `request_end` add goes to the log
//! in one line each.
#![forbid(unsafe_code)]

mod metrics;
mod probe;
mod trace;

use metrics::Metrics;
use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::{
    Access, AccessCall, ConfigError, EndCall, Error, Flow, HeaderFilter, HeaderFilterCall, Log,
    LogCall, Plugin, RequestEnd, Response, Rewrite, RewriteCall,
};
use trace::Trace;

/// The configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to answer instead of the upstream: `rewrite`, `access` or nowhere.
    #[serde(default)]
    respond: String,
}

/// An instance.
#[derive(Debug)]
pub struct Conformance {
    respond: String,
    metrics: Metrics,
}

impl Plugin for Conformance {
    const PRIORITY: i32 = 10;
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        match config.respond.as_str() {
            "" | "rewrite" | "access" => Ok(Self {
                respond: config.respond,
                metrics: Metrics::declare(),
            }),
            _ => Err(ConfigError::at(
                "respond",
                "is neither rewrite nor access: leave it out or choose one",
            )),
        }
    }
}

impl Rewrite for Conformance {
    fn rewrite(&self, request: &mut RewriteCall<'_>) -> Result<Flow, Error> {
        let mut trace = Trace::new("R");
        self.metrics.tell(&mut trace);
        probe::probe(&mut trace, request);
        self.metrics.count(&mut trace, request.raw());
        trace.store(request.raw());
        if self.respond == "rewrite" {
            return Ok(request.respond(&answer())?);
        }
        Ok(Flow::Continue)
    }
}

impl Access for Conformance {
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
        let mut trace = Trace::new("A");
        probe::probe(&mut trace, request);
        self.metrics.count(&mut trace, request.raw());
        trace.store(request.raw());
        if self.respond == "access" {
            return Ok(request.respond(&answer())?);
        }
        Ok(Flow::Continue)
    }
}

impl HeaderFilter for Conformance {
    fn header_filter(&self, response: &mut HeaderFilterCall<'_>) -> Result<(), Error> {
        let mut trace = Trace::new("H");
        probe::probe(&mut trace, response);
        self.metrics.count(&mut trace, response.raw());
        let whole = trace.store(response.raw());
        response.set_response_header("x-trace", whole)?;
        Ok(())
    }
}

impl Log for Conformance {
    fn log(&self, exchange: &mut LogCall<'_>) -> Result<(), Error> {
        let mut trace = Trace::new("L");
        probe::probe(&mut trace, exchange);
        self.metrics.count(&mut trace, exchange.raw());
        trace.write(exchange.raw());
        Ok(())
    }
}

impl RequestEnd for Conformance {
    fn request_end(&self, exchange: &mut EndCall<'_>) {
        let mut trace = Trace::new("E");
        probe::probe(&mut trace, exchange);
        self.metrics.count(&mut trace, exchange.raw());
        trace.write(exchange.raw());
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
            .header("x-probe", "second");
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
        ] {
            let found = trace.split(' ').any(|found| found == word);
            assert!(found, "{word} is not in {trace}");
        }
        let lines: Vec<_> = logs
            .iter()
            .filter(|line| line.starts_with("trace "))
            .collect();
        assert_eq!(lines.len(), 2, "{logs:?}");
    }

    #[test]
    fn what_it_counts_can_be_read_back() {
        let host = Host::of::<Conformance>();
        let instance = host.configure("{}").unwrap();
        assert_eq!(instance.run(Exchange::new()).failures(), []);
        let probes = host.metric("probes", &[("by", "probe")]).unwrap();
        assert_eq!((probes.value, probes.count), (5.0, 0));
        assert_eq!(host.metric("level", &[]).unwrap().value, 5.0);
        let sizes = host.metric("size_bytes", &[]).unwrap();
        assert_eq!((sizes.value, sizes.count), (15.0, 5));
        assert_eq!(sizes.buckets, [(1.0, 0), (10.0, 5)]);
        assert_eq!(host.metrics().len(), 3);
    }

    #[test]
    fn it_answers_where_it_is_asked_to() {
        for phase in ["rewrite", "access"] {
            let (outcome, _) = run(&format!(r#"{{"respond": "{phase}"}}"#));
            assert_eq!(outcome.status(), 299);
            assert_eq!(outcome.body(), b"conformance\n");
            assert!(outcome.response_header("x-trace").is_some());
        }
    }
}
