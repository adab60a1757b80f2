//! Whether the references of a foreign schema can be followed at all.
//!
//! A schema that refers to itself without going deeper into the value would make a validator recurse until the stack
//! ends, which nothing can catch. So references are walked before a validator sees them.

use std::collections::HashMap;

use serde_json::Value;

use super::error::quoted;
use super::node::child;

/// How many schemas may apply to one value at once, references followed.
const MAX_APPLIED: usize = 10_000;

/// How many references a schema may hold. Compiling follows them one inside the other, on the stack.
const MAX_REFERENCES: usize = 500;

/// Keywords whose value is data, not a schema.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];
/// Keywords that apply one schema to the same value.
const ONE: [&str; 4] = ["not", "if", "then", "else"];
/// Keywords that apply several schemas to the same value.
const MANY: [&str; 5] = [
    "allOf",
    "anyOf",
    "oneOf",
    "dependentSchemas",
    "dependencies",
];

/// Refuses references out of the schema, circles, and schemas that multiply.
pub(super) fn bounded(schema: &Value) -> Result<(), String> {
    let mut walk = Walk {
        root: schema,
        weights: HashMap::new(),
        references: 0,
    };
    walk.everything(schema, "")?;
    if walk.references > MAX_REFERENCES {
        return Err(format!("it holds more than {MAX_REFERENCES} references"));
    }
    walk.weigh(schema, "")
}

struct Walk<'a> {
    root: &'a Value,
    /// How many schemas a schema applies; nothing while it is being walked.
    weights: HashMap<String, Option<usize>>,
    references: usize,
}

impl<'a> Walk<'a> {
    fn everything(&mut self, part: &'a Value, pointer: &str) -> Result<(), String> {
        match part {
            Value::Object(map) => {
                if map.get("$id").is_some_and(Value::is_string) && !pointer.is_empty() {
                    return Err("it holds another schema with its own $id".to_owned());
                }
                if map.get("$ref").is_some_and(Value::is_string) {
                    self.references += 1;
                }
                for (key, value) in map {
                    if !DATA.contains(&key.as_str()) || value.is_object() {
                        self.everything(value, &child(pointer, key))?;
                    }
                }
                Ok(())
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(i, item)| self.everything(item, &child(pointer, &i.to_string()))),
            _ => Ok(()),
        }
    }

    /// Weighs every part; only after references were counted, for this follows them on the stack.
    fn weigh(&mut self, part: &'a Value, pointer: &str) -> Result<(), String> {
        match part {
            Value::Object(map) => {
                self.weight(part, pointer)?;
                map.iter()
                    .try_for_each(|(key, value)| self.weigh(value, &child(pointer, key)))
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(i, item)| self.weigh(item, &child(pointer, &i.to_string()))),
            _ => Ok(()),
        }
    }

    fn weight(&mut self, schema: &'a Value, pointer: &str) -> Result<usize, String> {
        match self.weights.get(pointer) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => return Err("it refers to itself in a circle".to_owned()),
            None => {}
        }
        self.weights.insert(pointer.to_owned(), None);
        let mut weight: usize = 1;
        for (target, at) in self.applied(schema, pointer)? {
            weight = weight.saturating_add(self.weight(target, &at)?);
        }
        if weight > MAX_APPLIED {
            return Err(format!(
                "more than {MAX_APPLIED} of its parts apply to one value"
            ));
        }
        self.weights.insert(pointer.to_owned(), Some(weight));
        Ok(weight)
    }

    /// The schemas that apply to the same value.
    fn applied(
        &self,
        schema: &'a Value,
        pointer: &str,
    ) -> Result<Vec<(&'a Value, String)>, String> {
        let mut out = Vec::new();
        if let Some(Value::String(reference)) = schema.get("$ref") {
            out.push(self.target(reference)?);
        }
        for key in ["$dynamicRef", "$recursiveRef"] {
            if schema.get(key).is_some_and(Value::is_string) {
                return Err(format!("the keyword {key} is not supported"));
            }
        }
        for key in ONE {
            out.extend(schema.get(key).map(|part| (part, child(pointer, key))));
        }
        for key in MANY {
            let at = child(pointer, key);
            match schema.get(key) {
                Some(Value::Array(parts)) => out.extend(
                    parts
                        .iter()
                        .enumerate()
                        .map(|(i, part)| (part, child(&at, &i.to_string()))),
                ),
                Some(Value::Object(parts)) => {
                    out.extend(parts.iter().map(|(name, part)| (part, child(&at, name))));
                }
                _ => {}
            }
        }
        Ok(out)
    }

    fn target(&self, reference: &str) -> Result<(&'a Value, String), String> {
        let inside = reference.strip_prefix('#');
        let pointer = inside.filter(|p| p.is_empty() || p.starts_with('/'));
        let Some(pointer) = pointer.filter(|p| !p.contains('%')) else {
            return Err(format!(
                "its reference {} does not begin with \"#/\", and nothing is fetched",
                quoted(reference)
            ));
        };
        match self.root.pointer(pointer) {
            Some(target) => Ok((target, pointer.to_owned())),
            None => Err(format!("its reference {} leads nowhere", quoted(reference))),
        }
    }
}
