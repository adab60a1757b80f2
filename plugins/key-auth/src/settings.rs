//! From the configuration as it is written to one that cannot be wrong.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::{ConfigError, header};

const MAX_CONSUMER: usize = 256;

/// The configuration as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The header that carries the key. Header, query or both must be there.
    #[serde(default)]
    header: Option<String>,
    /// The query parameter that carries the key.
    #[serde(default)]
    query: Option<String>,
    /// The keys and whose they are.
    #[serde(default)]
    keys: Vec<Key>,
    /// A file with one key and one consumer in a line, and comments after #. Read when the instance is made.
    #[serde(default)]
    keys_file: Option<PathBuf>,
    /// Whether the key is taken out of the request before it goes on.
    #[serde(default = "yes")]
    strip: bool,
    /// What the challenge in a 401 calls the protected space.
    #[serde(default = "api")]
    realm: String,
}

/// A key and whose it is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Key {
    /// The key.
    key: String,
    /// The consumer it stands for.
    consumer: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

fn yes() -> bool {
    true
}

fn api() -> String {
    "api".to_owned()
}

/// What the hooks need besides the keys.
#[derive(Debug)]
pub struct Settings {
    pub(crate) header: Option<String>,
    pub(crate) query: Option<String>,
    pub(crate) strip: bool,
    pub(crate) realm: String,
}

/// One key, checked, and where it stands.
pub struct Credential {
    pub(crate) key: Vec<u8>,
    pub(crate) consumer: String,
    pub(crate) place: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({} at {})", self.consumer, self.place)
    }
}

/// Checks a configuration and reads the file it names.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn validate(config: Config) -> Result<(Settings, Vec<Credential>), ConfigError> {
    if config.header.is_none() && config.query.is_none() {
        return Err(ConfigError::new(
            "neither header nor query: name at least one place where the key stands",
        ));
    }
    if let Some(name) = &config.header {
        header::check_request_name(name).map_err(|_| {
            ConfigError::at(
                "header",
                "is no header a request can carry a key in: choose another name",
            )
        })?;
    }
    if config.query.as_ref().is_some_and(String::is_empty) {
        return Err(ConfigError::at("query", "is empty: name a query parameter"));
    }
    let plain = |c: char| (' '..='~').contains(&c) && c != '"' && c != '\\';
    if !config.realm.chars().all(plain) {
        return Err(ConfigError::at(
            "realm",
            "has quotes, backslashes or characters outside of ASCII: choose a plain text",
        ));
    }
    let mut credentials = inline(config.keys)?;
    if let Some(path) = &config.keys_file {
        credentials.extend(read(path)?);
    }
    if credentials.is_empty() {
        return Err(ConfigError::new(
            "there is no key: add some to keys, or to a file and name it in keys_file",
        ));
    }
    let settings = Settings {
        header: config.header.map(|name| name.to_ascii_lowercase()),
        query: config.query,
        strip: config.strip,
        realm: config.realm,
    };
    Ok((settings, credentials))
}

fn inline(keys: Vec<Key>) -> Result<Vec<Credential>, ConfigError> {
    let keys = keys.into_iter().enumerate();
    keys.map(|(index, Key { key, consumer })| credential(key, consumer, format!("keys[{index}]")))
        .collect()
}

fn read(path: &Path) -> Result<Vec<Credential>, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| {
        let text = format!("cannot read {}: {error}", path.display());
        ConfigError::at("keys_file", text)
    })?;
    let mut credentials = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("keys_file: {}: line {}", path.display(), index + 1);
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (None, ..) => {}
            (Some(key), Some(consumer), None) => {
                credentials.push(credential(key.to_owned(), consumer.to_owned(), place)?);
            }
            _ => {
                let text = "expected a key, a space and a consumer (a comment begins with #)";
                return Err(ConfigError::at(place, text));
            }
        }
    }
    Ok(credentials)
}

fn credential(key: String, consumer: String, place: String) -> Result<Credential, ConfigError> {
    let wrong = if key.is_empty() {
        Some("the key is empty")
    } else if consumer.is_empty() {
        Some("the consumer is empty")
    } else if consumer.len() > MAX_CONSUMER {
        Some("the consumer is longer than 256 bytes")
    } else {
        None
    };
    match wrong {
        Some(text) => Err(ConfigError::at(place, text)),
        None => Ok(Credential {
            key: key.into_bytes(),
            consumer,
            place,
        }),
    }
}

#[cfg(test)]
mod tests {
    use swapgate_plugin::testing::Host;

    use crate::KeyAuth;

    #[track_caller]
    fn check(config: &str, expected: &str) {
        let host = Host::of::<KeyAuth>();
        let found = host.configure(config).map(drop);
        assert_eq!(found.unwrap_err(), expected);
    }

    #[test]
    fn bad_configurations_name_the_place() {
        let table = [
            (
                r#"{"keys": []}"#,
                "neither header nor query: name at least one place where the key stands",
            ),
            (
                r#"{"header": "x-key"}"#,
                "there is no key: add some to keys, or to a file and name it in keys_file",
            ),
            (
                r#"{"header": "connection", "keys": []}"#,
                "header: is no header a request can carry a key in: choose another name",
            ),
            (
                r#"{"header": "x", "keys": ["sesame"]}"#,
                "keys[0]: invalid type: string, expected struct Key",
            ),
            (
                r#"{"header": "x", "keys": [{"key": "", "consumer": "a"}]}"#,
                "keys[0]: the key is empty",
            ),
            (
                r#"{"header": "x", "keys": [{"key": "k", "consumer": "a"}, {"key": "k", "consumer": "b"}]}"#,
                "keys[1]: this key stood before: give every key once",
            ),
            (
                r#"{"header": "x", "realm": "a\"b", "keys": []}"#,
                "realm: has quotes, backslashes or characters outside of ASCII: choose a plain text",
            ),
        ];
        for (config, expected) in table {
            check(config, expected);
        }
    }

    #[test]
    fn a_file_is_read_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let config = format!(r#"{{"header": "x", "keys_file": "{}"}}"#, path.display());
        std::fs::write(&path, "# ours\nalpha alice # the first\n\n  beta\tbob\n").unwrap();
        let host = Host::of::<KeyAuth>();
        assert!(host.configure(&config).is_ok());

        std::fs::write(&path, "alpha alice\nsesame\n").unwrap();
        let expected = format!(
            "keys_file: {}: line 2: expected a key, a space and a consumer (a comment begins with #)",
            path.display()
        );
        check(&config, &expected);
    }

    #[test]
    fn a_missing_file_is_said() {
        let host = Host::of::<KeyAuth>();
        let config = r#"{"header": "x", "keys_file": "/nowhere/keys"}"#;
        let error = host.configure(config).map(drop).unwrap_err();
        assert!(
            error.starts_with("keys_file: cannot read /nowhere/keys: "),
            "{error}"
        );
    }
}
