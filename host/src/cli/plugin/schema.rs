//! What the JSON Schema of a plugin's configuration says, as rows and as an example. Reads schemas as `schemars` and people
//! write them; what it does not know it leaves out.

use serde_json::{Map, Value, json};

/// How deep settings may lie in one another; a schema may refer to itself.
const DEPTH: usize = 5;
/// How many rows there are at most.
const ROWS: usize = 500;

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Its path, such as `keys[].consumer`.
    pub(super) key: String,
    pub(super) kind: String,
    pub(super) default: Option<String>,
    pub(super) required: bool,
    pub(super) meaning: String,
}

/// What the schema says of itself.
pub(super) fn description(schema: &Value) -> Option<&str> {
    schema.get("description")?.as_str()
}

/// Every setting, in the order of the schema.
pub(super) fn rows(schema: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    object(schema, schema, "", DEPTH, &mut rows);
    rows
}

/// The smallest configuration that the schema asks for; an optional setting is shown only where nothing is required.
pub(super) fn example(schema: &Value) -> Value {
    sample(schema, schema, DEPTH)
}

fn object(root: &Value, schema: &Value, prefix: &str, depth: usize, rows: &mut Vec<Row>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    for (name, property) in properties {
        if rows.len() >= ROWS {
            return;
        }
        let key = format!("{prefix}{name}");
        let target = resolve(root, property);
        rows.push(Row {
            key: key.clone(),
            kind: kind(root, property, DEPTH),
            default: property
                .get("default")
                .or_else(|| target.get("default"))
                .filter(|default| !default.is_null())
                .map(ToString::to_string),
            required: required(schema).any(|one| one == name),
            meaning: meaning(property, target),
        });
        if depth == 0 {
            continue;
        }
        object(root, target, &format!("{key}."), depth - 1, rows);
        if let Some(items) = target.get("items") {
            object(
                root,
                resolve(root, items),
                &format!("{key}[]."),
                depth - 1,
                rows,
            );
        }
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

/// Its own description, and what each choice means.
fn meaning(property: &Value, target: &Value) -> String {
    let own = description(property).or_else(|| description(target));
    let mut text = own.unwrap_or_default().trim().to_owned();
    let choices = alternatives(target).filter_map(|one| {
        let name = one.get("const")?;
        Some(format!("`{}`: {}", plain(name), description(one)?.trim()))
    });
    let choices: Vec<String> = choices.collect();
    if !choices.is_empty() {
        text.push(' ');
        text.push_str(&choices.join(" "));
    }
    text
}

/// What a reference leads to; itself if it is none.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut at = schema;
    // A chain of references, not a circle of them.
    for _ in 0..DEPTH {
        let Some(reference) = at.get("$ref").and_then(Value::as_str) else {
            return at;
        };
        let found = reference
            .strip_prefix('#')
            .and_then(|path| root.pointer(path));
        match found {
            Some(found) => at = found,
            None => return at,
        }
    }
    at
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["oneOf", "anyOf"].into_iter();
    let lists = lists.filter_map(|key| schema.get(key)?.as_array());
    lists.flatten()
}

/// The type in words.
fn kind(root: &Value, schema: &Value, depth: usize) -> String {
    let schema = resolve(root, schema);
    if let Some(value) = schema.get("const") {
        return format!("`{}`", plain(value));
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values = values.iter().filter(|value| !value.is_null());
        let values: Vec<String> = values.map(|value| format!("`{}`", plain(value))).collect();
        return values.join(", ");
    }
    if depth > 0 {
        let mut kinds: Vec<String> = Vec::new();
        for one in alternatives(schema) {
            let one = kind(root, one, depth - 1);
            if !one.is_empty() && one != "null" && !kinds.contains(&one) {
                kinds.push(one);
            }
        }
        if !kinds.is_empty() {
            return kinds.join(", ");
        }
    }
    let names: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => return "anything".to_owned(),
    };
    let names = names
        .into_iter()
        .filter(|name| *name != "null" || schema.get("type") == Some(&json!("null")));
    let names: Vec<String> = names.map(|name| named(root, schema, name, depth)).collect();
    names.join(" or ")
}

fn named(root: &Value, schema: &Value, name: &str, depth: usize) -> String {
    match name {
        "string" => "text".to_owned(),
        "boolean" => "`true`, `false`".to_owned(),
        "integer" | "number" => {
            let word = if name == "integer" {
                "whole number"
            } else {
                "number"
            };
            let bound = |key: &str| schema.get(key).map(ToString::to_string);
            match (bound("minimum"), bound("maximum")) {
                (Some(least), Some(most)) => format!("{word}, {least} to {most}"),
                (Some(least), None) => format!("{word}, at least {least}"),
                (None, Some(most)) => format!("{word}, at most {most}"),
                (None, None) => word.to_owned(),
            }
        }
        "array" => match schema.get("items").filter(|_| depth > 0) {
            Some(items) => match kind(root, items, depth - 1) {
                one if one.is_empty() || one == "anything" => "list".to_owned(),
                one => format!("list of {one}"),
            },
            None => "list".to_owned(),
        },
        "object" => match keys(schema) {
            Some(keys) => format!("map with {keys}"),
            None => "map".to_owned(),
        },
        other => other.to_owned(),
    }
}

fn keys(schema: &Value) -> Option<String> {
    let properties = schema.get("properties")?.as_object()?;
    let keys: Vec<String> = properties.keys().map(|key| format!("`{key}`")).collect();
    (!keys.is_empty()).then(|| keys.join(", "))
}

fn sample(root: &Value, schema: &Value, depth: usize) -> Value {
    let target = resolve(root, schema);
    let given = [schema, target].into_iter().find_map(|one| {
        let example = one.get("examples").and_then(|list| list.get(0));
        let default = one.get("default").filter(|value| !value.is_null());
        default.or(example).or_else(|| one.get("const"))
    });
    if let Some(given) = given.or_else(|| target.get("enum").and_then(|list| list.get(0))) {
        return given.clone();
    }
    if depth == 0 {
        return Value::Null;
    }
    if let Some(first) = alternatives(target).next() {
        return sample(root, first, depth - 1);
    }
    let kind = match target.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("boolean") => json!(true),
        Some("integer" | "number") => target.get("minimum").cloned().unwrap_or(json!(1)),
        Some("array") => match target.get("items") {
            Some(items) => json!([sample(root, items, depth - 1)]),
            None => json!([]),
        },
        Some("object") | None => Value::Object(sample_object(root, target, depth)),
        Some("null") => Value::Null,
        Some(_) => json!("..."),
    }
}

fn sample_object(root: &Value, schema: &Value, depth: usize) -> Map<String, Value> {
    let mut entries = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    let Some(properties) = properties else {
        return entries;
    };
    let required: Vec<&str> = required(schema).collect();
    for (name, property) in properties {
        if required.contains(&&**name) {
            entries.insert(name.clone(), sample(root, property, depth - 1));
        }
    }
    if entries.is_empty()
        && let Some((name, property)) = properties.iter().next()
    {
        entries.insert(name.clone(), sample(root, property, depth - 1));
    }
    entries
}

/// A text without its quotes.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, kind: &str, default: Option<&str>, required: bool, meaning: &str) -> Row {
        Row {
            key: key.to_owned(),
            kind: kind.to_owned(),
            default: default.map(str::to_owned),
            required,
            meaning: meaning.to_owned(),
        }
    }

    #[test]
    fn every_setting_has_a_row() {
        let schema = json!({
            "type": "object",
            "required": ["limit", "keys"],
            "properties": {
                "limit": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many."},
                "mode": {"$ref": "#/$defs/Mode", "default": "a"},
                "keys": {"type": "array", "items": {"$ref": "#/$defs/Key"}},
                "again": {"$ref": "#/$defs/Loop"},
                "burst": {"type": ["integer", "null"], "default": null},
            },
            "$defs": {
                "Mode": {"oneOf": [
                    {"const": "a", "type": "string", "description": "The one."},
                    {"const": "b", "type": "string", "description": "The other."},
                ], "description": "Which."},
                "Key": {"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}}},
                "Loop": {"$ref": "#/$defs/Loop"},
            },
        });
        let expected = [
            row("limit", "whole number, 1 to 9", None, true, "How many."),
            row(
                "mode",
                "`a`, `b`",
                Some("\"a\""),
                false,
                "Which. `a`: The one. `b`: The other.",
            ),
            row("keys", "list of map with `key`", None, true, ""),
            row("keys[].key", "text", None, true, ""),
            row("again", "anything", None, false, ""),
            row("burst", "whole number", None, false, ""),
        ];
        assert_eq!(rows(&schema), expected);
        assert_eq!(
            example(&schema),
            json!({"limit": 1, "keys": [{"key": "..."}]})
        );
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let schema = json!({
            "properties": {"inner": {"$ref": "#"}, "list": {"type": "array", "items": {"$ref": "#"}}},
        });
        assert!(rows(&schema).len() <= ROWS);
        let _ = example(&schema);
        assert_eq!(rows(&json!(true)), []);
        assert_eq!(rows(&json!({"properties": 7, "required": 3})), []);
    }
}
