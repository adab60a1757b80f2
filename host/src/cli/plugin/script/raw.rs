//! What a script says, word for word: the types from which its JSON Schema is made.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The JSON Schema of scripts.
pub(super) fn schema() -> Value {
    schemars::schema_for!(Script).to_value()
}

/// Cases for a plugin file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    /// Revision of this format; always 1.
    #[schemars(range(min = 1, max = 1))]
    #[expect(dead_code, reason = "the schema checks it")]
    format: u64,
    /// The configuration of the plugin, for every case that brings none.
    #[serde(default)]
    pub(super) config: Map<String, Value>,
    /// Where the plugin is attached: `global`, where all its hooks run, or `route`.
    #[serde(default)]
    pub(super) attach: Attach,
    /// Other plugins that run with it.
    #[serde(default)]
    pub(super) with: Vec<Other>,
    /// What the upstream answers, where a request does not say otherwise.
    #[serde(default)]
    pub(super) upstream: Answer,
    /// Services the plugin may call, by name, and what they answer.
    #[serde(default)]
    pub(super) services: BTreeMap<String, Answer>,
    /// The cases. Each has a gateway, and so instances, of its own.
    #[schemars(length(min = 1))]
    pub(super) cases: Vec<Case>,
}

/// Where the plugin is attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Attach {
    #[default]
    Global,
    Route,
}

/// Another plugin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Other {
    /// Its file, relative to the folder of the script.
    pub(super) file: String,
    /// Its id.
    pub(super) name: String,
    /// Its configuration.
    #[serde(default)]
    pub(super) config: Map<String, Value>,
}

/// An answer that somebody behind the gateway gives.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Answer {
    /// Its status.
    #[schemars(range(min = 200, max = 599))]
    pub(super) status: u16,
    /// Its headers, each as `name: value`.
    pub(super) headers: Vec<String>,
    /// Its body, in one piece and with a length.
    pub(super) body: String,
    /// Its body in pieces, without a length.
    pub(super) chunks: Vec<String>,
    /// How many milliseconds it lets wait for itself.
    #[schemars(range(min = 0, max = 60_000))]
    pub(super) delay_ms: u64,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: "upstream\n".to_owned(),
            chunks: Vec::new(),
            delay_ms: 0,
        }
    }
}

/// One case.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// What it shows.
    pub(super) name: String,
    /// The configuration of the plugin in this case.
    #[serde(default)]
    #[schemars(with = "Map<String, Value>")]
    pub(super) config: Option<Map<String, Value>>,
    /// The plugin, or its schema, refuses the configuration with a text that contains this.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(super) refused: Option<String>,
    /// Requests, one after the other, each on a connection of its own.
    #[serde(default)]
    pub(super) requests: Vec<Request>,
}

/// One request and what is expected of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// Its method.
    #[serde(default = "get")]
    pub(super) method: String,
    /// Its path, with a query.
    #[serde(default = "root")]
    pub(super) path: String,
    /// The host it is for.
    #[serde(default = "host")]
    pub(super) host: String,
    /// The address of the client, told as a trusted proxy tells it.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(super) client: Option<String>,
    /// Its headers, each as `name: value`.
    #[serde(default)]
    pub(super) headers: Vec<String>,
    /// Its body, in one piece and with a length.
    #[serde(default)]
    pub(super) body: String,
    /// Its body in pieces, without a length.
    #[serde(default)]
    pub(super) chunks: Vec<String>,
    /// What the upstream answers.
    #[serde(default)]
    #[schemars(with = "Answer")]
    pub(super) upstream: Option<Answer>,
    /// What is expected.
    #[serde(default)]
    pub(super) expect: Expect,
}

fn get() -> String {
    "GET".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

fn host() -> String {
    "test".to_owned()
}

/// What is expected; what is not named may be as it is. A text that begins with `~` is a regular expression.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Expect {
    /// The status the client sees.
    #[schemars(with = "u16")]
    pub(super) status: Option<u16>,
    /// Headers of the answer; `null`: it is not there.
    pub(super) headers: BTreeMap<String, Option<String>>,
    /// The body the client sees.
    #[schemars(with = "String")]
    pub(super) body: Option<String>,
    /// The body the client sees, as JSON.
    #[schemars(with = "Value")]
    pub(super) json: Option<Value>,
    /// Whether the request reached the upstream.
    #[schemars(with = "bool")]
    pub(super) reached_upstream: Option<bool>,
    /// What reached the upstream.
    #[schemars(with = "Forwarded")]
    pub(super) forwarded: Option<Forwarded>,
    /// Variables at the end; `null`: it is not set.
    pub(super) vars: BTreeMap<String, Option<String>>,
    /// The consumer that was named; an empty text: nobody.
    #[schemars(with = "String")]
    pub(super) consumer: Option<String>,
    /// What each hook answered last: `continue`, `pending`, `respond`, `buffer`, `panic`, `error`, or a number; `null`: it was
    /// not called.
    pub(super) hooks: BTreeMap<String, Option<String>>,
    /// Texts that lines of the plugin's log contain.
    pub(super) log: Vec<String>,
}

/// What is expected of a request at the upstream.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Forwarded {
    /// Its method.
    #[schemars(with = "String")]
    pub(super) method: Option<String>,
    /// Its path, with the query.
    #[schemars(with = "String")]
    pub(super) path: Option<String>,
    /// Its headers; `null`: it is not there.
    pub(super) headers: BTreeMap<String, Option<String>>,
    /// Its body.
    #[schemars(with = "String")]
    pub(super) body: Option<String>,
}
