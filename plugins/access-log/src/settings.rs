//! From the configuration as it is written to one that cannot be wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::{ConfigError, header, serde_json};

use crate::field::{Field, Piece, Shown};
use crate::format;
use crate::line::Encoding;
use crate::queue::Limits;
use crate::redact::{MAX_NAME, Names};
use crate::sink::{self, Output};

const MAX_QUEUE: usize = 1_000_000;

/// The configuration as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where lines go: stdout, or {file: PATH}.
    #[serde(default)]
    output: RawOutput,
    /// json, or a text with names such as $time and $status in it.
    #[serde(default = "json")]
    format: String,
    /// What a line of JSON has, in this order.
    #[serde(default)]
    fields: Option<Vec<Field>>,
    /// Headers of the request that a line of JSON has, under request_headers.
    #[serde(default)]
    request_headers: Vec<String>,
    /// Headers of the answer that a line of JSON has, under response_headers.
    #[serde(default)]
    response_headers: Vec<String>,
    /// What is masked.
    #[serde(default)]
    redact: RawRedact,
    /// How many lines may wait to be written. Those beyond are dropped and counted.
    #[serde(default = "eight_thousand")]
    #[schemars(range(min = 1, max = 1_000_000))]
    queue: usize,
    /// How long a line may wait until it is written: a time such as 100ms or 1s.
    #[serde(default = "second")]
    flush: String,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RawOutput {
    /// Standard output of the gateway.
    #[default]
    Stdout,
    /// A file; lines are added to it.
    File(PathBuf),
}

/// What is masked. A list replaces the usual one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawRedact {
    /// Names of query parameters whose values are masked.
    query: Vec<String>,
    /// Names of headers whose values are masked.
    headers: Vec<String>,
}

impl Default for RawRedact {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            query: owned(&[
                "access_token",
                "api_key",
                "apikey",
                "auth",
                "client_secret",
                "id_token",
                "key",
                "password",
                "refresh_token",
                "secret",
                "sig",
                "signature",
                "token",
            ]),
            headers: owned(&[
                "authorization",
                "cookie",
                "proxy-authorization",
                "set-cookie",
                "x-api-key",
            ]),
        }
    }
}

fn json() -> String {
    "json".to_owned()
}

fn eight_thousand() -> usize {
    8192
}

fn second() -> String {
    "1s".to_owned()
}

/// What the hook and the writer need.
#[derive(Debug)]
pub struct Settings {
    pub(crate) output: Output,
    pub(crate) encoding: Encoding,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) redact: Names,
    pub(crate) limits: Limits,
}

/// Checks a configuration. Looks at the folder of the file, and touches nothing.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn validate(config: Config) -> Result<Settings, ConfigError> {
    let output = match config.output {
        RawOutput::Stdout => Output::Stdout,
        RawOutput::File(path) => Output::File(file(path)?),
    };
    let masked = masked_headers(config.redact.headers)?;
    let is_masked = |name: &str| masked.iter().any(|known| known == name);
    let (encoding, pieces) = if config.format == "json" {
        let request = shown("request_headers", config.request_headers, is_masked)?;
        let response = shown("response_headers", config.response_headers, is_masked)?;
        let fields = fields(config.fields)?;
        (Encoding::Json, json_pieces(&fields, request, response))
    } else {
        let for_json = [
            ("fields", config.fields.is_some()),
            ("request_headers", !config.request_headers.is_empty()),
            ("response_headers", !config.response_headers.is_empty()),
        ];
        if let Some((place, _)) = for_json.iter().find(|(_, given)| *given) {
            let text = "is for format json only: name in the format what a line has, headers as ${request_header.NAME}";
            return Err(ConfigError::at(*place, text));
        }
        let pieces = format::parse(&config.format, is_masked)
            .map_err(|text| ConfigError::at("format", text))?;
        (Encoding::Text, pieces)
    };
    if !(1..=MAX_QUEUE).contains(&config.queue) {
        let text = format!("is not between 1 and {MAX_QUEUE}");
        return Err(ConfigError::at("queue", text));
    }
    Ok(Settings {
        output,
        encoding,
        pieces,
        redact: query_names(config.redact.query)?,
        limits: Limits::new(config.queue, flush(&config.flush)?),
    })
}

fn file(path: PathBuf) -> Result<PathBuf, ConfigError> {
    let wrong = |text: String| ConfigError::at("output.file", text);
    if path.as_os_str().is_empty() || path.file_name().is_none() {
        return Err(wrong("is not the path of a file: name one".to_owned()));
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let folder = folder.display();
        return Err(wrong(format!(
            "there is no folder {folder}: make it, or name a file elsewhere"
        )));
    }
    sink::check_kind(&path).map_err(|error| wrong(error.to_string()))?;
    Ok(path)
}

fn fields(fields: Option<Vec<Field>>) -> Result<Vec<Field>, ConfigError> {
    let fields = fields.unwrap_or_else(Field::usual);
    if fields.is_empty() {
        let text = "is empty: name some, or leave it out for the usual ones";
        return Err(ConfigError::at("fields", text));
    }
    for (index, field) in fields.iter().enumerate() {
        if fields.iter().take(index).any(|before| before == field) {
            let text = format!("{} stood before: name it once", field.name());
            return Err(ConfigError::at(format!("fields[{index}]"), text));
        }
    }
    Ok(fields)
}

fn shown(
    place: &str,
    names: Vec<String>,
    is_masked: impl Fn(&str) -> bool,
) -> Result<Vec<Shown>, ConfigError> {
    let mut shown: Vec<Shown> = Vec::new();
    for (index, name) in header_names(place, names)?.into_iter().enumerate() {
        if shown.iter().any(|known| known.name == name) {
            let text = format!("{name} stood before: name it once");
            return Err(ConfigError::at(format!("{place}[{index}]"), text));
        }
        let masked = is_masked(&name);
        shown.push(Shown { name, masked });
    }
    Ok(shown)
}

fn masked_headers(names: Vec<String>) -> Result<Vec<String>, ConfigError> {
    header_names("redact.headers", names)
}

fn header_names(place: &str, names: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let checked = names.into_iter().enumerate().map(|(index, name)| {
        if header::is_token(&name) {
            return Ok(name.to_ascii_lowercase());
        }
        let text = "is not a header name: use letters, digits and dashes";
        Err(ConfigError::at(format!("{place}[{index}]"), text))
    });
    checked.collect()
}

fn query_names(names: Vec<String>) -> Result<Names, ConfigError> {
    let wrong = |name: &String| name.is_empty() || name.len() > MAX_NAME;
    if let Some(index) = names.iter().position(wrong) {
        let text = format!("is not a name of 1 to {MAX_NAME} bytes");
        return Err(ConfigError::at(format!("redact.query[{index}]"), text));
    }
    Ok(Names::new(names))
}

/// The text between the values is made here, once.
fn json_pieces(fields: &[Field], request: Vec<Shown>, response: Vec<Shown>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::from("{");
    for (index, field) in fields.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        text.push_str(&format!("{comma}\"{}\":", field.name()));
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        pieces.push(Piece::Field(*field));
    }
    let mut group = |name: &str, headers: Vec<Shown>, piece: fn(Shown) -> Piece| {
        if headers.is_empty() {
            return;
        }
        text.push_str(&format!(",\"{name}\":{{"));
        for (index, header) in headers.into_iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            // A token holds no quote and no backslash, but serde_json knows best.
            let quoted = serde_json::Value::from(header.name.as_str());
            text.push_str(&format!("{comma}{quoted}:"));
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(piece(header));
        }
        text.push('}');
    };
    group("request_headers", request, Piece::RequestHeader);
    group("response_headers", response, Piece::ResponseHeader);
    text.push('}');
    pieces.push(Piece::Text(text));
    pieces
}

fn flush(text: &str) -> Result<Duration, ConfigError> {
    let wrong = "is no time from 1ms to 1m: write a number and a unit, such as 100ms or 1s";
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(unit);
    let number = number.and_then(|number| number.parse::<u64>().ok());
    let millis = match unit {
        "ms" => number,
        "s" => number.and_then(|number| number.checked_mul(1_000)),
        "m" => number.and_then(|number| number.checked_mul(60_000)),
        _ => None,
    };
    let millis = millis.filter(|millis| (1..=60_000).contains(millis));
    let flush = millis.map(Duration::from_millis);
    flush.ok_or_else(|| ConfigError::at("flush", wrong))
}
