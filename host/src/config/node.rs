//! The file as a tree in which every value knows its place.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

use super::error::quoted;
use super::ready::Place;

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spot {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// One value of the file. It has no `Debug`, for it may hold secrets.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) at: Spot,
    pub(crate) data: Data,
    /// Set where `${env:...}` or `${file:...}` was filled in.
    pub(crate) written: Option<Box<Written>>,
}

/// What was there before secrets were filled in.
#[derive(Clone)]
pub(crate) struct Written {
    /// What the file says. Messages show this one.
    pub(crate) text: String,
    /// What was filled in. No message may hold any of them.
    pub(crate) values: Vec<String>,
}

/// What a value is.
#[derive(Clone)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key with its value.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Spot,
    pub(crate) value: Node,
}

impl Node {
    /// A value as the file holds it.
    pub(crate) fn new(at: Spot, data: Data) -> Self {
        Self {
            at,
            data,
            written: None,
        }
    }

    /// A tree all of whose values stand at one place.
    pub(crate) fn from_json(value: &Value, at: Spot) -> Self {
        let data = match value {
            Value::Null => Data::Null,
            Value::Bool(value) => Data::Bool(*value),
            Value::Number(number) => Data::Number(number.clone()),
            Value::String(text) => Data::Text(text.clone()),
            Value::Array(items) => {
                Data::List(items.iter().map(|item| Self::from_json(item, at)).collect())
            }
            Value::Object(map) => {
                let entry = |(key, value): (&String, &Value)| Entry {
                    key: key.clone(),
                    at,
                    value: Self::from_json(value, at),
                };
                Data::Map(map.iter().map(entry).collect())
            }
        };
        Self::new(at, data)
    }

    /// The value behind a key, if this is a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.data {
            Data::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The value a JSON pointer names.
    pub(crate) fn find(&self, pointer: &str) -> Option<&Node> {
        steps(pointer).try_fold(self, |node, step| match &node.data {
            Data::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => node.get(&step),
        })
    }

    /// Where a value stands; if it is missing, where the value stands that should hold it.
    pub(crate) fn place(&self, file: &Arc<str>, base: &str, pointer: &str) -> Place {
        let mut key = base.to_owned();
        let mut spot = self.at;
        let mut current = Some(self);
        for step in steps(pointer) {
            let in_list = matches!(current.map(|node| &node.data), Some(Data::List(_)));
            push_step(&mut key, &step, in_list);
            current = current.and_then(|node| match &node.data {
                Data::List(items) => items.get(step.parse::<usize>().ok()?),
                _ => node.get(&step),
            });
            if let Some(node) = current {
                spot = node.at;
            }
        }
        place_at(file, spot, key)
    }

    /// Where a key of the map that a pointer names stands.
    pub(crate) fn key_place(&self, file: &Arc<str>, base: &str, pointer: &str, key: &str) -> Place {
        let mut place = self.place(file, base, &child(pointer, key));
        if let Some(entry) = self.find(pointer).and_then(|map| map.entry(key)) {
            place.line = entry.at.line;
            place.column = entry.at.column;
        }
        place
    }

    /// The value for a sentence, secrets as the file writes them.
    pub(crate) fn describe(&self) -> String {
        if let Some(written) = &self.written {
            return quoted(&written.text);
        }
        match &self.data {
            Data::Text(text) => quoted(text),
            _ => self.describe_kind(),
        }
    }

    /// The value for a sentence, texts not shown at all.
    pub(crate) fn describe_kind(&self) -> String {
        match &self.data {
            Data::Null => "nothing".to_owned(),
            Data::Bool(value) => value.to_string(),
            Data::Number(number) => format!("the number {number}"),
            Data::Text(_) => "a text".to_owned(),
            Data::List(items) if items.is_empty() => "an empty list".to_owned(),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a map".to_owned(),
        }
    }

    /// The value as JSON.
    pub(crate) fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Data::Map(entries) => {
                let pairs = entries.iter().map(|e| (e.key.clone(), e.value.to_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// The value as JSON text with sorted keys, so that the order in the file does not make two configurations differ.
    pub(crate) fn canonical(&self) -> String {
        let mut out = String::new();
        self.write_canonical(&mut out);
        out
    }

    fn write_canonical(&self, out: &mut String) {
        match &self.data {
            Data::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    item.write_canonical(out);
                }
                out.push(']');
            }
            Data::Map(entries) => {
                let mut sorted: Vec<&Entry> = entries.iter().collect();
                sorted.sort_by(|a, b| a.key.cmp(&b.key));
                out.push('{');
                for (i, entry) in sorted.into_iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    let _ = write!(out, "{}:", Value::from(entry.key.as_str()));
                    entry.value.write_canonical(out);
                }
                out.push('}');
            }
            _ => {
                let _ = write!(out, "{}", self.to_json());
            }
        }
    }
}

/// A pointer one step deeper.
pub(crate) fn child(pointer: &str, step: &str) -> String {
    format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// The steps of a JSON pointer (RFC 6901).
pub(crate) fn steps(pointer: &str) -> impl Iterator<Item = String> + '_ {
    pointer
        .split('/')
        .skip(1)
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
}

/// Adds one step to the path of a key as people write it: `routes[0].paths`.
pub(crate) fn push_step(key: &mut String, step: &str, in_list: bool) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$');
    if in_list {
        let _ = write!(key, "[{step}]");
    } else if !step.is_empty() && step.chars().all(plain) {
        key.push_str(if key.is_empty() { "" } else { "." });
        key.push_str(step);
    } else {
        let _ = write!(key, "[{}]", quoted(step));
    }
}

/// A place of the file.
pub(crate) fn place_at(file: &Arc<str>, spot: Spot, key: String) -> Place {
    Place {
        file: Arc::clone(file),
        line: spot.line,
        column: spot.column,
        key,
    }
}
