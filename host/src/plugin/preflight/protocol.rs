//! What parent and child say to one another: one request as JSON, then lines of JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::plugin::image::Door;
use crate::plugin::refusal::Reason;

/// What the child is asked to try.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub path: PathBuf,
    pub id: String,
    pub version: String,
    pub digest: String,
    pub door: Door,
    /// Whether the image may be unmapped, so that the child tries that, too.
    pub unmap: bool,
    /// JSON texts, with secrets: they travel through a pipe and stand in no argument and no environment.
    pub configs: Vec<String>,
    pub cpu_seconds: u64,
    pub data_bytes: u64,
}

/// One line of the child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// What comes next; the last of these says where a child died.
    At(At),
    /// A configuration was tried.
    Config {
        index: usize,
        refused: Option<Reason>,
    },
    /// The file is unfit.
    Refused(Reason),
    /// All went well.
    Done(Report),
}

/// A step of the child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct At {
    pub what: String,
    /// The configuration it concerns, from 0.
    pub config: Option<usize>,
}

/// What a plugin turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// JSON Schema of its configuration.
    pub schema: Option<String>,
    /// Its place in every phase.
    pub priority: i32,
    /// The request hooks it has.
    pub hooks: Vec<String>,
    /// The door it was entered through.
    pub door: Door,
    /// Whether it has threads of its own, or asks to stay mapped.
    pub stays: bool,
    /// Whether it must be the only one of its kind in a process.
    pub one_image_only: bool,
    /// What was seen and is no reason to refuse it.
    pub notes: Vec<String>,
}
