//! What a plugin may be called.

use std::fmt;

/// The id of a plugin: 1 to 63 characters of `a-z`, `0-9` and `-`, as the contract says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// Why a name is none. Displays what to use instead.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} cannot be the id of a plugin; use 1 to 63 characters of a-z, 0-9 and -{}",
    suggested(suggestion)
)]
pub struct BadName {
    found: String,
    suggestion: String,
}

/// Words a crate cannot be called by: of the language, and of crates that come with the compiler or that the project uses.
const TAKEN: &str = "abstract alloc as async await become box break const continue core crate do dyn else enum extern \
    false final fn for gen if impl in let log loop macro match mod move mut override priv proc-macro pub \
    ref return schemars self serde static std struct super swapgate-abi swapgate-plugin test trait true \
    try type typeof union unsafe unsized use virtual where while yield build deps examples incremental";

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`BadName`], with what it could be instead.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if (1..=63).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(BadName {
            found: text.to_owned(),
            suggestion: nearest(text),
        })
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What cargo calls the package: the id, or something close where cargo cannot take that.
    #[must_use]
    pub fn package(&self) -> String {
        let begins_well = self.0.starts_with(|first: char| first.is_ascii_lowercase());
        if begins_well && !TAKEN.split(' ').any(|word| word == self.0) {
            self.0.clone()
        } else {
            format!("plugin-{}", self.0)
        }
    }

    /// What the compiler calls the library.
    #[must_use]
    pub fn library(&self) -> String {
        self.package().replace('-', "_")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id somebody may have meant; empty where there is no telling.
fn nearest(text: &str) -> String {
    let mut id = String::new();
    for found in text.chars() {
        let lower = found.to_ascii_lowercase();
        if lower.is_ascii_alphanumeric() {
            id.push(lower);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    id.truncate(63);
    id.truncate(id.trim_end_matches('-').len());
    id
}

fn suggested(suggestion: &str) -> String {
    match suggestion {
        "" => String::new(),
        id => format!(", such as {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str), &str>) {
        let found = Name::parse(text).map(|name| (name.package(), name.library()));
        let expected = expected.map(|(package, library)| (package.to_owned(), library.to_owned()));
        assert_eq!(
            found.map_err(|error| error.to_string()),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn ids_become_packages_and_libraries() {
        check("hello", Ok(("hello", "hello")));
        check("rate-limit-2", Ok(("rate-limit-2", "rate_limit_2")));
    }

    #[test]
    fn what_cargo_cannot_take_gets_a_word_before_it() {
        check("3scale", Ok(("plugin-3scale", "plugin_3scale")));
        check("-", Ok(("plugin--", "plugin__")));
        check("async", Ok(("plugin-async", "plugin_async")));
        check("serde", Ok(("plugin-serde", "plugin_serde")));
    }

    #[test]
    fn other_names_are_refused_with_one_that_fits() {
        check(
            "Hello World!",
            Err(
                "\"Hello World!\" cannot be the id of a plugin; use 1 to 63 characters of a-z, 0-9 and -, such as hello-world",
            ),
        );
        check(
            "my_plugin",
            Err(
                "\"my_plugin\" cannot be the id of a plugin; use 1 to 63 characters of a-z, 0-9 and -, such as my-plugin",
            ),
        );
        check(
            "",
            Err("\"\" cannot be the id of a plugin; use 1 to 63 characters of a-z, 0-9 and -"),
        );
        let long = "a".repeat(64);
        let error = Name::parse(&long).unwrap_err().to_string();
        assert!(error.ends_with(&format!("such as {}", "a".repeat(63))));
    }
}
