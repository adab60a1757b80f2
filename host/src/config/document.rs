//! Other documents that people write, read with the same care: a schema says what fits, and every error has its place.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{ConfigError, sort};
use super::node::Node;
use super::ready::Place;
use super::structure::{MAX_ERRORS, place};
use super::tell::{Show, tell};
use super::{Source, yaml};

/// A document as it was written, for the places of what it says.
pub struct Document {
    file: Arc<str>,
    tree: Node,
}

impl Document {
    /// Reads a text that this schema describes.
    ///
    /// # Errors
    /// Everything that is wrong with it, sorted by place.
    pub fn read<T: DeserializeOwned>(
        source: &Source,
        schema: &Value,
    ) -> Result<(T, Self), Vec<ConfigError>> {
        let (tree, mut errors) = yaml::read(&source.file, &source.text)?;
        let document = Self {
            file: Arc::clone(&source.file),
            tree,
        };
        let whole = |text: String| vec![ConfigError::new(document.place(""), text)];
        let validator = jsonschema::options()
            .offline()
            .build(schema)
            .map_err(|error| {
                whole(format!(
                    "the schema of this document does not compile, {error}"
                ))
            })?;
        let value = document.tree.to_json();
        for error in validator.iter_errors(&value).take(MAX_ERRORS) {
            for told in tell(&error, schema, &document.tree, Show::Values) {
                errors.push(place(told, &document.tree, &document.file, ""));
            }
        }
        if !errors.is_empty() {
            sort(&mut errors);
            return Err(errors);
        }
        let read = serde_json::from_value(value)
            .map_err(|error| whole(format!("the document cannot be read, {error}")))?;
        Ok((read, document))
    }

    /// Where a value stands, by its JSON pointer; where it would, if it is not there.
    #[must_use]
    pub fn place(&self, pointer: &str) -> Place {
        self.tree.place(&self.file, "", pointer)
    }
}
