//! What a JSON Schema validator found, in our own words and without the values it would print.

use std::fmt::Write as _;

use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind as Kind};
use serde_json::Value;

use super::error::{NOT_FITTING, listed, nearest, quoted};
use super::node::Node;
use super::raw::EXPECTS;
use super::structure::MAX_ERRORS;

/// What a message may show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// Values as the file writes them.
    Values,
    /// No texts: the values of a plugin's configuration may be secrets even when they stand in the file.
    Kinds,
}

/// One finding, still without a place.
pub(super) struct Told {
    /// The pointer of the value that is wrong or missing.
    pub(super) pointer: String,
    /// Whether the key is wrong rather than its value: then its name.
    pub(super) key: Option<String>,
    pub(super) problem: String,
    pub(super) found: Option<String>,
    pub(super) expected: Option<String>,
    pub(super) advice: Option<String>,
}

impl Told {
    fn new(pointer: &str, problem: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            key: None,
            problem: problem.into(),
            found: None,
            expected: None,
            advice: None,
        }
    }
}

/// Tells one error of a validator. An object with several unknown keys gives several findings.
pub(super) fn tell(
    error: &ValidationError<'_>,
    schema: &Value,
    tree: &Node,
    show: Show,
) -> Vec<Told> {
    let pointer = error.instance_path().as_str();
    let around = subschema(schema, error.schema_path().as_str());
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            unexpected
                .iter()
                .take(MAX_ERRORS)
                .map(|key| unknown_key(pointer, key, around))
                .collect()
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let mut told = Told::new(pointer, format!("the key {} is missing", quoted(name)));
            told.key = Some(name.to_owned());
            told.expected = property_expects(schema, around, name);
            vec![told]
        }
        kind => {
            let mut told = Told::new(pointer, NOT_FITTING);
            told.found = tree.find(pointer).map(|node| match show {
                Show::Values => node.describe(),
                Show::Kinds => node.describe_kind(),
            });
            told.expected = Some(expectation(kind, around));
            told.advice = advice(kind, tree, pointer);
            vec![told]
        }
    }
}

/// The object of the schema that holds the keyword which failed.
pub(super) fn subschema<'a>(schema: &'a Value, keyword: &str) -> &'a Value {
    let holder = keyword.rsplit_once('/').map_or("", |(holder, _)| holder);
    schema.pointer(holder).unwrap_or(&Value::Null)
}

fn unknown_key(pointer: &str, key: &str, around: &Value) -> Told {
    let mut told = Told::new(pointer, "this key is not known");
    told.key = Some(key.to_owned());
    let known: Vec<&str> = around
        .get("properties")
        .and_then(Value::as_object)
        .map(|properties| properties.keys().map(String::as_str).collect())
        .unwrap_or_default();
    told.found = Some(quoted(key));
    if !known.is_empty() {
        told.expected = Some(format!("one of {}", listed(known.iter().copied())));
    }
    told.advice = Some(match nearest(key, known) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if key == "<<" => "merge keys are not supported, write the keys out".to_owned(),
        None => "remove it".to_owned(),
    });
    told
}

/// What the schema says about a property, if it says it in words or by type.
fn property_expects(schema: &Value, around: &Value, name: &str) -> Option<String> {
    let property = around.get("properties")?.get(name)?;
    let property = resolve(schema, property);
    words(property).or_else(|| {
        let kind = property.get("type")?.as_str()?;
        Some(type_words(kind).to_owned())
    })
}

/// Follows one reference inside the same schema.
pub(super) fn resolve<'a>(schema: &'a Value, part: &'a Value) -> &'a Value {
    part.get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| schema.pointer(reference.strip_prefix('#')?))
        .unwrap_or(part)
}

fn words(schema: &Value) -> Option<String> {
    schema.get(EXPECTS)?.as_str().map(str::to_owned)
}

fn expectation(kind: &Kind, around: &Value) -> String {
    if let (Kind::Type { .. } | Kind::Minimum { .. }, Some(words)) = (kind, words(around)) {
        return words;
    }
    match kind {
        Kind::Type { kind } => types(kind),
        Kind::Enum { options } => choices(options),
        Kind::Constant { expected_value } => short(expected_value),
        Kind::Minimum { .. }
        | Kind::Maximum { .. }
        | Kind::ExclusiveMinimum { .. }
        | Kind::ExclusiveMaximum { .. } => range(around),
        Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Kind::MinItems { limit } => count("at least", *limit, "entry", "entries"),
        Kind::MaxItems { limit } => count("at most", *limit, "entry", "entries"),
        Kind::MinProperties { limit } => count("at least", *limit, "key", "keys"),
        Kind::MaxProperties { limit } => count("at most", *limit, "key", "keys"),
        Kind::MinLength { limit } => count("at least", *limit, "character", "characters"),
        Kind::MaxLength { limit } => count("at most", *limit, "character", "characters"),
        Kind::UniqueItems => "no entry twice".to_owned(),
        Kind::Pattern { pattern } => format!("a text that matches {}", quoted(pattern)),
        Kind::Format { format } => format!("a text of the format {}", quoted(format)),
        Kind::Not { .. } | Kind::FalseSchema => "no such value here".to_owned(),
        Kind::AnyOf { context }
        | Kind::OneOfNotValid { context }
        | Kind::OneOfMultipleValid { context } => alternatives(context),
        Kind::PropertyNames { .. } => "keys of the form that the schema asks for".to_owned(),
        other => format!("what the keyword {} asks for", quoted(other.keyword())),
    }
}

/// The first thing each alternative missed.
fn alternatives(context: &[Vec<ValidationError<'_>>]) -> String {
    const MOST: usize = 4;
    let mut texts: Vec<String> = Vec::new();
    for error in context.iter().filter_map(|branch| branch.first()) {
        let text = match error.kind() {
            Kind::Required { property } => {
                format!("a map with the key {}", short(property))
            }
            Kind::AdditionalProperties { unexpected } => {
                format!(
                    "a map without the key {}",
                    listed(unexpected.iter().map(String::as_str))
                )
            }
            Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } | Kind::OneOfMultipleValid { .. } => {
                "another of its forms".to_owned()
            }
            kind => expectation(kind, &Value::Null),
        };
        if !texts.contains(&text) && texts.len() < MOST {
            texts.push(text);
        }
    }
    if texts.is_empty() {
        return "exactly one of the forms that the schema lists".to_owned();
    }
    texts.join(", or ")
}

fn advice(kind: &Kind, tree: &Node, pointer: &str) -> Option<String> {
    let node = tree.find(pointer);
    if let (Kind::Type { .. }, Some(node)) = (kind, node)
        && node.written.is_some()
    {
        return Some("what ${env:...} and ${file:...} give is always a text".to_owned());
    }
    let Kind::Enum { options } = kind else {
        return None;
    };
    let value = node?.to_json();
    let known = options.as_array()?.iter().filter_map(Value::as_str);
    let near = nearest(value.as_str()?, known)?;
    Some(format!("did you mean \"{near}\"?"))
}

fn choices(options: &Value) -> String {
    let options: Vec<String> = options
        .as_array()
        .map(|options| options.iter().map(short).collect())
        .unwrap_or_default();
    match options.as_slice() {
        [only] => only.clone(),
        _ => format!("one of {}", listed(options.iter().map(String::as_str))),
    }
}

fn range(around: &Value) -> String {
    let limit = |key: &str| around.get(key).map(short);
    match (limit("minimum"), limit("maximum")) {
        (Some(low), Some(high)) if low == high => low,
        (Some(low), Some(high)) => format!("a number from {low} to {high}"),
        (Some(low), None) => format!("a number from {low} up"),
        (None, Some(high)) => format!("a number up to {high}"),
        (None, None) => {
            let mut text = "a number".to_owned();
            if let Some(low) = limit("exclusiveMinimum") {
                let _ = write!(text, " above {low}");
            }
            if let Some(high) = limit("exclusiveMaximum") {
                let _ = write!(text, " below {high}");
            }
            text
        }
    }
}

fn count(bound: &str, limit: u64, one: &str, many: &str) -> String {
    format!("{bound} {limit} {}", if limit == 1 { one } else { many })
}

fn types(kind: &TypeKind) -> String {
    let names: Vec<String> = match kind {
        TypeKind::Single(kind) => vec![kind.to_string()],
        TypeKind::Multiple(kinds) => kinds.iter().map(|kind| kind.to_string()).collect(),
    };
    let words: Vec<&str> = names.iter().map(|name| type_words(name)).collect();
    words.join(" or ")
}

fn type_words(name: &str) -> &str {
    match name {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a map",
        "null" => "nothing",
        other => other,
    }
}

/// A value of the schema, short enough for a sentence.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        other => other.to_string(),
    }
}
