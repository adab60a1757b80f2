//! What is asked, and the answer, as JSON documents.

use serde::{Deserialize, Serialize};

/// A request to be explained.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its method.
    pub method: String,
    /// `http://host/path?query`, or `/path?query` for what has no `Host` but the one among the headers.
    pub url: String,
    /// Names and values.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The address the connection comes from; 127.0.0.1 if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// What would become of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Document {
    /// The generation that was asked; none for a file.
    pub generation: Option<u64>,
    /// The request as routes and plugins see it.
    pub request: Shown,
    /// In a sentence.
    pub outcome: String,
    /// The route that takes it.
    pub route: Option<Taken>,
    /// Every path of every route for the host, in the order in which they are asked.
    pub considered: Vec<Considered>,
    /// How many more there are whose path does not fit.
    pub considered_left_out: usize,
    /// Routes that name other hosts.
    pub other_hosts: OtherHosts,
    /// What runs.
    pub plugins: Plugins,
    /// Where it goes, if the route forwards.
    pub forward: Option<Forward>,
    /// What the route answers, if it does that itself.
    pub answers: Option<Answers>,
    /// What an explanation cannot know.
    pub notes: Vec<String>,
}

/// A request in its normal form.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Shown {
    /// Its method.
    pub method: String,
    /// Its host; empty if it says none.
    pub host: String,
    /// Its path.
    pub path: String,
    /// Its query.
    pub query: String,
    /// The client, as trusted proxies report it.
    pub client: String,
}

/// The route that takes a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Taken {
    /// Its name.
    pub name: String,
    /// The path that fits.
    pub path: String,
    /// What is in it.
    pub parameters: Vec<(String, String)>,
}

/// One path of one route.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Considered {
    /// The route.
    pub route: String,
    /// The host that fits; none where it names none.
    pub host: Option<String>,
    /// The path.
    pub path: String,
    /// Whether it takes the request.
    pub won: bool,
    /// Why.
    pub why: String,
}

/// Routes that name other hosts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OtherHosts {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub names: Vec<String>,
}

/// What runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Plugins {
    /// The phases in their order, each with what runs in it; empty where phases are not known.
    pub phases: Vec<PhaseRuns>,
    /// What is attached, where phases are not known: by priority as far as that is known.
    pub attached: Vec<Runs>,
    /// What a narrower attachment takes the place of.
    pub overridden: Vec<Overridden>,
    /// What is attached and not there.
    pub unavailable: Vec<Unavailable>,
}

/// One phase.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PhaseRuns {
    /// Its name.
    pub phase: String,
    /// What runs in it, in order.
    pub runs: Vec<Runs>,
}

/// One instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Runs {
    /// Id of the plugin.
    pub plugin: String,
    /// Its version, or which versions its use admits.
    pub version: String,
    /// Its place; none: the plugin's own.
    pub priority: Option<i32>,
    /// How it is attached: `global`, `service NAME`, `route NAME`.
    pub from: String,
}

/// An attachment that does not count.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Overridden {
    /// Id of the plugin.
    pub plugin: String,
    /// How it is attached.
    pub from: String,
    /// The narrower attachment.
    pub by: String,
}

/// A plugin that is attached and not there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unavailable {
    /// Id of the plugin.
    pub plugin: String,
    /// How it is attached.
    pub from: String,
    /// Why.
    pub reason: String,
}

/// Where a request goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Forward {
    /// The service.
    pub service: String,
    /// Its upstream. Where the route splits its requests, only those go there that a plugin sends to the service.
    pub upstream: String,
    /// The targets of that.
    pub targets: Vec<String>,
    /// The upstreams that share the requests of the route, if it splits them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<Share>,
    /// Where copies go, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// The path, and the query, that are sent.
    pub target: String,
    /// What `Host` says there.
    pub host: String,
}

/// A share of a route's requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Share {
    /// The upstream.
    pub upstream: String,
    /// The targets of that.
    pub targets: Vec<String>,
    /// Its weight.
    pub weight: u32,
    /// The sum of all weights.
    pub of: u64,
}

/// Copies of a route's requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mirror {
    /// The upstream that gets them.
    pub upstream: String,
    /// The targets of that.
    pub targets: Vec<String>,
    /// How many percent of the requests are copied.
    pub percent: u8,
    /// How many copies run at once on each worker.
    pub requests: usize,
    /// Largest body that is copied.
    pub body_bytes: u64,
}

/// What a route answers itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answers {
    /// The status.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Length of the body.
    pub body_bytes: usize,
}
