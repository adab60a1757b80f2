//! From the tree to raw types: every key known, every value of the right kind.
//!
//! The schema that editors use is the one that checks, so the two cannot differ. Where a value does not fit, a
//! harmless one takes its place, so that the later stage can look at all the rest; what it finds at such a place is
//! not told, being a consequence.

use std::collections::HashSet;
use std::sync::Arc;

use jsonschema::error::{ValidationError, ValidationErrorKind as Kind};
use serde_json::Value;

use super::error::ConfigError;
use super::node::{Node, child};
use super::raw::{self, RawConfig};
use super::tell::{Show, Told, resolve, subschema, tell};

/// So many errors are told at once; a file with more is not a configuration.
pub(super) const MAX_ERRORS: usize = 1000;
/// A replacement may itself lack keys; the types are nested less deeply than this.
const MAX_ROUNDS: usize = 6;

/// Values about which an error has been told already.
#[derive(Default)]
pub(super) struct Broken(HashSet<String>);

impl Broken {
    /// Notes a value.
    pub(super) fn add(&mut self, pointer: &str) {
        self.0.insert(pointer.to_owned());
    }

    /// Whether an error about this value, or about one that holds it, has been told.
    pub(super) fn covers(&self, pointer: &str) -> bool {
        let ends = pointer.match_indices('/').map(|(end, _)| end);
        let mut above = ends.filter_map(|end| pointer.get(..end));
        self.0.contains(pointer) || above.any(|above| self.0.contains(above))
    }
}

/// Checks the shape of a file. Raw types come back whenever the rest can still be looked at.
pub(super) fn check(
    tree: &Node,
    file: &Arc<str>,
    broken: &mut Broken,
) -> (Option<RawConfig>, Vec<ConfigError>) {
    let schema = raw::schema();
    let root = || tree.place(file, "", "");
    let validator = match jsonschema::options().offline().build(&schema) {
        Ok(validator) => validator,
        Err(e) => {
            let text = format!("the gateway's own schema does not compile, {e}");
            return (None, vec![ConfigError::new(root(), text)]);
        }
    };
    let mut value = tree.to_json();
    let mut errors = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let found: Vec<ValidationError<'static>> = validator
            .iter_errors(&value)
            .take(MAX_ERRORS)
            .map(ValidationError::to_owned)
            .collect();
        if found.is_empty() {
            break;
        }
        for error in found {
            for told in tell(&error, &schema, tree, Show::Values) {
                note(told, tree, file, broken, &mut errors);
            }
            repair(&mut value, &error, &schema);
        }
    }
    match serde_json::from_value(value) {
        Ok(raw) => (Some(raw), errors),
        Err(_) if !errors.is_empty() => (None, errors),
        Err(e) => {
            // The schema and the types come from one declaration, so this cannot happen; it is no reason to panic.
            let text = format!("the file fits its schema but cannot be read, {e}");
            (None, vec![ConfigError::new(root(), text)])
        }
    }
}

fn note(
    told: Told,
    tree: &Node,
    file: &Arc<str>,
    broken: &mut Broken,
    errors: &mut Vec<ConfigError>,
) {
    let pointer = match &told.key {
        Some(key) => child(&told.pointer, key),
        None => told.pointer.clone(),
    };
    if broken.covers(&pointer) {
        return;
    }
    broken.add(&pointer);
    errors.push(place(told, tree, file, ""));
}

/// Gives a finding its place; `base` is the key under which the tree hangs.
pub(super) fn place(told: Told, tree: &Node, file: &Arc<str>, base: &str) -> ConfigError {
    let place = match &told.key {
        Some(key) => tree.key_place(file, base, &told.pointer, key),
        None => tree.place(file, base, &told.pointer),
    };
    ConfigError {
        place,
        problem: told.problem.into(),
        found: told.found.map(Into::into),
        expected: told.expected.map(Into::into),
        advice: told.advice.map(Into::into),
    }
}

/// Makes the value fit, so that the next stage can go on.
fn repair(value: &mut Value, error: &ValidationError<'_>, schema: &Value) {
    let around = subschema(schema, error.schema_path().as_str());
    let Some(wrong) = value.pointer_mut(error.instance_path().as_str()) else {
        return;
    };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            if let Some(map) = wrong.as_object_mut() {
                let unexpected: HashSet<&String> = unexpected.iter().collect();
                map.retain(|key, _| !unexpected.contains(key));
            }
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let part = around.get("properties").and_then(|all| all.get(name));
            if let (Some(map), Some(part)) = (wrong.as_object_mut(), part) {
                map.insert(name.to_owned(), harmless(resolve(schema, part)));
            }
        }
        Kind::MinItems { .. } => {}
        _ => *wrong = harmless(around),
    }
}

/// A value that fits a part of our own schema.
fn harmless(schema: &Value) -> Value {
    if let Some(first) = schema.get("enum").and_then(|options| options.get(0)) {
        return first.clone();
    }
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    match schema.get("type") {
        Some(Value::String(kind)) if kind == "integer" => {
            schema.get("minimum").cloned().unwrap_or(Value::from(0))
        }
        Some(Value::String(kind)) if kind == "boolean" => Value::Bool(false),
        Some(Value::String(kind)) if kind == "array" => Value::Array(Vec::new()),
        Some(Value::String(kind)) if kind == "object" => Value::Object(serde_json::Map::new()),
        _ => Value::String(String::new()),
    }
}
