//! Times and sizes, still as texts.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::EXPECTS;
use crate::config::value;

/// A time such as `5s`, `250ms` or `1m`.
#[derive(Deserialize, Serialize)]
pub(in crate::config) struct RawDuration(pub(in crate::config) String);

/// A number of bytes: a number, or a text such as `64KiB` or `10MB`.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
pub(in crate::config) enum RawSize {
    Number(u64),
    Text(String),
}

impl RawDuration {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl JsonSchema for RawDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A time such as 250ms, 5s, 1m or 2h.",
            "type": "string",
            "examples": ["250ms", "5s", "1m"],
            EXPECTS: value::DURATION,
        })
    }
}

impl JsonSchema for RawSize {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, or a text with a unit such as 64KiB or 10MB.",
            "type": ["integer", "string"],
            "minimum": 0,
            "examples": ["64KiB", "10MB", 65536],
            EXPECTS: value::SIZE,
        })
    }
}
