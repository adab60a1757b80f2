//! Why a hook or a configuration failed.

use std::error::Error as StdError;
use std::fmt;

use swapgate_abi::code;

use crate::status::HostError;

/// A hook failed. Any error converts into it with `?`; the text, with its chain of causes, goes to the gateway's log.
///
/// Like the error types of other crates that convert from every error, it is no [`std::error::Error`] itself.
pub struct Error {
    text: String,
    code: i32,
}

impl Error {
    /// An error with this text: what is wrong and what to do about it.
    pub fn new(text: impl fmt::Display) -> Self {
        Self {
            text: text.to_string(),
            code: code::SG_E_FAILED,
        }
    }

    /// An error that crosses the line with another code. A code that the gateway does not know makes it refuse the
    /// exchange whatever `on_error` says; plugins have no use for that, tests of the gateway have.
    #[doc(hidden)]
    #[must_use]
    pub fn with_code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn code(&self) -> i32 {
        self.code
    }
}

impl<E: StdError + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let host: Option<&HostError> = (&error as &dyn StdError).downcast_ref();
        let code = host.map_or(code::SG_E_FAILED, |error| error.code());
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self { text, code }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.text, self.code)
    }
}

/// A configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    place: Option<String>,
    text: String,
}

impl ConfigError {
    /// Something is wrong with the configuration as a whole.
    pub fn new(text: impl fmt::Display) -> Self {
        Self {
            place: None,
            text: text.to_string(),
        }
    }

    /// Something is wrong at one place, named as a path like `keys[2].consumer`.
    pub fn at(place: impl Into<String>, text: impl fmt::Display) -> Self {
        Self {
            place: Some(place.into()),
            text: text.to_string(),
        }
    }

    /// Reads a configuration and names the place of the first thing that does not fit.
    pub(crate) fn parse<C: serde::de::DeserializeOwned>(json: &[u8]) -> Result<C, Self> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let config = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let place = error.path().to_string();
            let text = without_values(&error.into_inner().to_string());
            if place == "." {
                Self::new(text)
            } else {
                Self::at(place, text)
            }
        })?;
        reader.end().map_err(Self::new)?;
        Ok(config)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl StdError for ConfigError {}

impl From<String> for ConfigError {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for ConfigError {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Takes the text that was found out of a serde message: it may be a key or a password, and messages reach logs. The
/// place in the JSON text goes too, for the text is the gateway's rendering and not the file the user wrote.
fn without_values(message: &str) -> String {
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(text, _)| text);
    let before = message.split_once("string \"").map(|(before, _)| before);
    let after = message.rsplit_once("\", expected").map(|(_, after)| after);
    match before.zip(after) {
        // What is left out lies between the two, which an odd text may have the other way round.
        Some((before, after)) if before.len() + after.len() < message.len() => {
            format!("{before}string, expected{after}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{ConfigError, Error};
    use crate::status::HostError;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[expect(dead_code, reason = "only read by serde")]
        limits: Vec<u8>,
    }

    #[track_caller]
    fn check(json: &str, expected: &str) {
        let found = ConfigError::parse::<Config>(json.as_bytes()).unwrap_err();
        assert_eq!(found.to_string(), expected);
    }

    #[test]
    fn configuration_errors_name_the_place_and_keep_values_back() {
        check(
            r#"{"limits": [1, "hunter\"2"]}"#,
            "limits[1]: invalid type: string, expected u8",
        );
        check(
            r#"{"limits": [], "limit": 1}"#,
            "limit: unknown field `limit`, expected `limits`",
        );
        check("{}", "missing field `limits`");
        check(
            r#"{"limits": []} x"#,
            "trailing characters at line 1 column 16",
        );
    }

    #[test]
    fn an_error_keeps_its_causes_and_the_code_of_the_gateway() {
        let error = Error::from(HostError::Stale);
        assert_eq!(error.code(), -5);
        let cause = std::str::from_utf8(b"\xff".as_slice()).unwrap_err();
        let error = Error::from(cause);
        assert_eq!(error.code(), -1);
        assert!(error.to_string().contains("invalid utf-8"));
    }
}
