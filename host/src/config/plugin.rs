//! Errors about the configuration of a plugin, told at their places inside the file.

use std::fmt;
use std::sync::Arc;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::error::{ConfigError, sort};
use super::node::{Data, Node};
use super::ready::{PluginUse, Secret};
use super::references;
use super::structure::{MAX_ERRORS, place};
use super::tell::{Show, tell};
use crate::panics::{self, caught};

/// The longest schema that is read.
const MAX_SCHEMA_BYTES: usize = 1 << 20;
/// Replacing a shorter value would garble every sentence and hide nothing.
const TELLING: usize = 4;
/// What one compiled pattern of a schema may take.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// The part of the file from which a use was made. It may hold secrets, so it never prints.
#[derive(Clone, Default)]
pub struct Origin(Option<Arc<Part>>);

struct Part {
    file: Arc<str>,
    /// The key of the configuration: `routes[0].plugins[1].config`.
    key: String,
    node: Node,
    /// What `${env:...}` and `${file:...}` gave.
    hidden: Vec<Secret>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin(..)")
    }
}

impl Origin {
    pub(super) fn new(file: Arc<str>, use_key: &str, node: Option<&Node>) -> Self {
        let Some(node) = node else {
            return Self(None);
        };
        let mut hidden = Vec::new();
        collect_hidden(node, &mut hidden);
        Self(Some(Arc::new(Part {
            file,
            key: format!("{use_key}.config"),
            node: node.clone(),
            hidden,
        })))
    }
}

/// Checks the configuration of a use against the JSON Schema that its plugin ships.
///
/// Every error has its place in the file. A schema that cannot be used is an error that names the plugin; nothing is
/// fetched, patterns run in linear time, and their size is bounded. Values are not shown: any of them may be a secret.
#[must_use]
pub fn plugin_config_errors(plugin: &PluginUse, schema_text: &str) -> Vec<ConfigError> {
    let checked = caught(panics::Part::Control, || check(plugin, schema_text));
    let mut errors = match checked {
        Ok(Ok(errors)) => errors,
        Ok(Err(why)) => vec![unusable(plugin, &why)],
        Err(panicked) => {
            panicked.say();
            vec![unusable(plugin, "the validator gave up on it")]
        }
    };
    sort(&mut errors);
    errors
}

/// Makes a validator of a schema that a plugin ships, whatever is configured for it.
///
/// # Errors
/// Why the schema cannot be used.
pub fn plugin_schema(schema_text: &str) -> Result<Validator, String> {
    let compiled = caught(panics::Part::Control, || compile(schema_text));
    let compiled = compiled.unwrap_or_else(|panicked| {
        panicked.say();
        Err("the validator gave up on it".to_owned())
    });
    compiled.map(|(_, validator)| validator)
}

/// Takes out of a text that a plugin had a hand in what `${env:...}` and `${file:...}` gave to some uses, as it is and
/// as JSON and Rust would quote it.
#[must_use]
pub fn without_secrets(uses: &[&PluginUse], text: &str) -> String {
    let parts = uses.iter().filter_map(|one| one.origin.0.as_ref());
    let mut forms: Vec<String> = Vec::new();
    for secret in parts.flat_map(|part| &part.hidden).map(Secret::reveal) {
        let json = Value::from(secret).to_string();
        forms.push(json.trim_matches('"').to_owned());
        forms.push(secret.escape_debug().to_string());
        forms.push(secret.split_whitespace().collect::<Vec<_>>().join(" "));
        forms.push(secret.to_owned());
    }
    // A short one may be a part of a long one, of which the rest would stay.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.dedup();
    forms
        .iter()
        .filter(|form| form.len() >= TELLING)
        .fold(text.to_owned(), |text, form| text.replace(form, "(secret)"))
}

/// The error for a use whose plugin refused it, with the text of the plugin.
#[must_use]
pub fn refused_by_plugin(plugin: &PluginUse, text: &str) -> ConfigError {
    let text = text.trim().trim_end_matches('.');
    let text = without_secrets(&[plugin], text);
    let text = if text.is_empty() {
        "it gave no reason".to_owned()
    } else {
        text
    };
    let problem = format!(
        "the plugin {} refused this configuration, {text}",
        plugin.name
    );
    ConfigError::new(plugin.place.clone(), problem)
}

fn compile(schema_text: &str) -> Result<(Value, Validator), String> {
    if schema_text.len() > MAX_SCHEMA_BYTES {
        return Err(format!("it is larger than {MAX_SCHEMA_BYTES} bytes"));
    }
    let schema: Value =
        serde_json::from_str(schema_text).map_err(|e| format!("it is not JSON, {e}"))?;
    references::bounded(&schema)?;
    let patterns = PatternOptions::regex()
        .size_limit(MAX_PATTERN_BYTES)
        .dfa_size_limit(MAX_PATTERN_BYTES);
    let validator = jsonschema::options()
        .offline()
        .with_pattern_options(patterns)
        .build(&schema)
        .map_err(|e| e.to_string())?;
    Ok((schema, validator))
}

fn check(plugin: &PluginUse, schema_text: &str) -> Result<Vec<ConfigError>, String> {
    let (schema, validator) = compile(schema_text)?;
    let absent;
    let (file, key, node) = match &plugin.origin.0 {
        Some(part) => (&part.file, part.key.clone(), &part.node),
        None => {
            absent = configless(plugin)?;
            let key = format!("{}.config", plugin.place.key);
            (&plugin.place.file, key, &absent)
        }
    };
    let value = node.to_json();
    let found = validator.iter_errors(&value).take(MAX_ERRORS);
    Ok(found
        .flat_map(|error| tell(&error, &schema, node, Show::Kinds))
        .map(|told| name_plugin(place(told, node, file, &key), plugin))
        .collect())
}

/// The configuration of a use that has no `config` in the file: all errors then stand at the use.
fn configless(plugin: &PluginUse) -> Result<Node, String> {
    let at = super::node::Spot {
        line: plugin.place.line,
        column: plugin.place.column,
    };
    let value: Value = serde_json::from_str(plugin.config.reveal())
        .map_err(|_| "the configuration is not JSON".to_owned())?;
    Ok(Node::from_json(&value, at))
}

fn name_plugin(mut error: ConfigError, plugin: &PluginUse) -> ConfigError {
    let by = format!(
        "{} (by the schema of plugin {})",
        error.problem, plugin.name
    );
    error.problem = by.into();
    error
}

fn unusable(plugin: &PluginUse, why: &str) -> ConfigError {
    let problem = format!(
        "the configuration schema that plugin {} ships cannot be used, {why}",
        plugin.name
    );
    ConfigError::new(plugin.place.clone(), problem)
        .advice("ask the author of the plugin for a corrected file")
}

fn collect_hidden(node: &Node, hidden: &mut Vec<Secret>) {
    match &node.data {
        Data::Text(_) => {
            let values = node.written.iter().flat_map(|written| &written.values);
            let telling = values.filter(|value| value.len() >= TELLING);
            hidden.extend(telling.map(|value| Secret::new(value.clone())));
        }
        Data::List(items) => items.iter().for_each(|item| collect_hidden(item, hidden)),
        Data::Map(entries) => entries
            .iter()
            .for_each(|entry| collect_hidden(&entry.value, hidden)),
        _ => {}
    }
}
