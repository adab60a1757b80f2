//! Lines of a gateway's log, for people who write a plugin.

use std::collections::HashMap;

use serde_json::Value;

use crate::cli::plugin::script::outcome;

/// How many exchanges may be on their way; one that never ends must not be kept for ever.
const EXCHANGES: usize = 1000;

/// What is known of exchanges that are not over.
#[derive(Default)]
pub(super) struct Show {
    hooks: HashMap<u64, Vec<String>>,
}

impl Show {
    /// What is to be shown of a line; nothing for one that is a part of something.
    pub(super) fn line(&mut self, line: &Value) -> Option<String> {
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        match (text("target"), text("message")) {
            ("hook", "hook") => {
                self.hook(line);
                None
            }
            ("hook", _) => self.over(line),
            ("plugin", said) => Some(format!("  {} {}: {said}", text("level"), text("plugin"))),
            ("control", "published") => Some(format!("gateway: {}", text("changes"))),
            (_, said) => {
                matches!(text("level"), "WARN" | "ERROR" | "").then(|| format!("gateway: {said}"))
            }
        }
    }

    fn hook(&mut self, line: &Value) {
        let number = |key: &str| line.get(key).and_then(Value::as_u64).unwrap_or_default();
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let code = line.get("code").and_then(Value::as_i64).unwrap_or_default();
        let mut told = format!("{} {} {}", text("phase"), time(number("ns")), outcome(code));
        if !text("error").is_empty() {
            told = format!("{told} ({})", text("error"));
        }
        if self.hooks.len() >= EXCHANGES {
            self.hooks.clear();
        }
        let plugin = format!("{}@{}", text("plugin"), text("version"));
        let hooks = self.hooks.entry(number("exchange")).or_default();
        hooks.push(format!("{plugin} {told}"));
    }

    /// The line of a request, once, when its first plugin hears of its end.
    fn over(&mut self, line: &Value) -> Option<String> {
        let exchange = line.get("exchange").and_then(Value::as_u64)?;
        let hooks = self.hooks.remove(&exchange)?;
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let status = line
            .get("status")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        let mut shown = format!("{} {} -> {status}", text("method"), text("path"));
        if !text("consumer").is_empty() {
            shown = format!("{shown} for {}", text("consumer"));
        }
        Some(format!("{shown}  [{}]", hooks.join("; ")))
    }
}

#[allow(clippy::cast_precision_loss, reason = "shown with one digit")]
fn time(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        _ => format!("{:.1} ms", ns as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Show;

    #[test]
    fn a_request_is_one_line_with_what_its_hooks_did() {
        let mut show = Show::default();
        let hook = json!({"target": "hook", "message": "hook", "exchange": 7, "plugin": "a", "version": "1.0.0",
            "phase": "access", "ns": 1500, "code": 2, "error": ""});
        assert_eq!(show.line(&hook), None);
        let over = json!({"target": "hook", "message": "over", "exchange": 7, "method": "GET", "path": "/x",
            "status": 403, "vars": "{}"});
        assert_eq!(
            show.line(&over).as_deref(),
            Some("GET /x -> 403  [a@1.0.0 access 1.5 us respond]")
        );
        assert_eq!(show.line(&over), None, "once");
    }
}
