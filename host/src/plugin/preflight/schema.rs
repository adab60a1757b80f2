//! Checks a configuration against the schema a plugin ships.

use serde_json::Value;

use crate::config::plugin_schema;
use crate::plugin::refusal::Reason;

/// Whether a schema can be used at all: if not, the file is unfit, whatever is configured.
///
/// # Errors
/// Why it cannot be used.
pub fn usable(schema: Option<&str>) -> Result<(), Reason> {
    match schema.map(plugin_schema) {
        None | Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(Reason::BadSchema { error }),
    }
}

/// Everything in `config` that does not fit `schema`. No schema: anything goes.
///
/// # Errors
/// Why it does not fit, or why the schema cannot be used.
pub fn check(schema: Option<&str>, config: &str) -> Result<(), Reason> {
    let config: Value = serde_json::from_str(config).map_err(|error| Reason::AgainstSchema {
        text: format!("it is not JSON: {error}"),
    })?;
    let Some(schema) = schema else {
        return Ok(());
    };
    let validator = plugin_schema(schema).map_err(|error| Reason::BadSchema { error })?;
    // Masked: a value may be a secret, and the sentence goes to the log.
    let wrong: Vec<String> = validator
        .iter_errors(&config)
        .take(16)
        .map(|error| match error.instance_path().to_string() {
            at if at.is_empty() => error.masked().to_string(),
            at => format!("{at}: {}", error.masked()),
        })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Reason::AgainstSchema {
        text: wrong.join("; "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"object","properties":{"limit":{"type":"integer"},"key":{}},"required":["key"],
        "additionalProperties":false}"#;

    #[track_caller]
    fn refused(schema: &str, config: &str, expected: &str) {
        let reason = check(Some(schema), config).expect_err("is refused");
        assert_eq!(reason.to_string(), expected);
    }

    #[test]
    fn says_everything_and_no_secret() {
        assert_eq!(check(Some(SCHEMA), r#"{"key": 1}"#), Ok(()));
        assert_eq!(check(None, "{}"), Ok(()));
        let reason = check(Some(SCHEMA), r#"{"limit": "hunter2"}"#).expect_err("is refused");
        let text = reason.to_string();
        assert!(text.contains("/limit") && text.contains("key"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_broken_schema_is_the_plugins_fault() {
        refused(
            "{",
            "{}",
            "its configuration schema cannot be used (it is not JSON, EOF while parsing an object at line 1 column 1); mend the plugin",
        );
    }
}
