//! What a gateway's log tells of one exchange.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use swapgate_abi as abi;

use crate::cli::child::{Ended, Gateway};

/// How long the end of an exchange may take after its answer. An answer of the gateway's own to a bad request has none.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks at the log.
const PAUSE: Duration = Duration::from_millis(1);

/// What a plugin did in one exchange.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// What each hook answered last.
    pub(super) hooks: BTreeMap<String, String>,
    /// What hooks said when they failed.
    pub(super) errors: Vec<String>,
    pub(super) vars: BTreeMap<String, String>,
    pub(super) consumer: String,
    /// Lines the plugin wrote.
    pub(super) log: Vec<String>,
    /// Whether its end was seen.
    pub(super) over: bool,
}

impl Trace {
    /// Reads the log up to the end of the exchange.
    pub(super) async fn read(gateway: &Gateway, plugin: &str) -> Self {
        let mut trace = Self::default();
        let deadline = Instant::now() + PATIENCE;
        while !trace.over && Instant::now() < deadline {
            match gateway.line(Duration::ZERO) {
                Ok(Some(line)) => trace.add(&line, plugin),
                // The servers behind the gateway live on this thread and may have something left to do.
                Ok(None) => tokio::time::sleep(PAUSE).await,
                Err(Ended) => return trace,
            }
        }
        trace
    }

    fn add(&mut self, line: &Value, plugin: &str) {
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("plugin") != plugin {
            return;
        }
        match (text("target"), text("message")) {
            ("hook", "hook") => {
                let code = line.get("code").and_then(Value::as_i64).unwrap_or_default();
                self.hooks.insert(text("phase").to_owned(), outcome(code));
                if !text("error").is_empty() {
                    self.errors.push(text("error").to_owned());
                }
            }
            ("hook", "over") => {
                self.over = true;
                self.consumer = text("consumer").to_owned();
                self.vars = serde_json::from_str(text("vars")).unwrap_or_default();
            }
            ("plugin", said) => self.log.push(said.to_owned()),
            _ => {}
        }
    }
}

/// What a hook answered, in a word.
pub(in crate::cli) fn outcome(code: i64) -> String {
    let code = i32::try_from(code).unwrap_or(i32::MAX);
    let word = match code {
        abi::SG_CONTINUE => "continue",
        abi::SG_PENDING => "pending",
        abi::SG_RESPOND => "respond",
        abi::SG_BUFFER => "buffer",
        abi::SG_E_PANIC => "panic",
        abi::SG_E_CONFLICT..=abi::SG_E_FAILED => "error",
        other => return other.to_string(),
    };
    word.to_owned()
}
