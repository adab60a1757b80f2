//! What can be wrong with a plugin file: every reason, and its sentence.

use serde::{Deserialize, Serialize};
use swapgate_plugin::version::Mismatch;

use super::Who;

/// How a child ended that the system killed.
pub(in crate::plugin) const KILLED: &str = "SIGKILL";

/// What a child says last that was given no memory.
const NO_MEMORY: &str = "memory allocation of ";
/// What the system's loader says where it was given no memory or no descriptor.
const SHORT: [&str; 4] = [
    "failed to map segment",
    "Cannot allocate memory",
    "Too many open files",
    "Input/output error",
];

/// What is wrong with a plugin file, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the sentence above each variant is its documentation
pub enum Reason {
    // ---- The file and its folder
    #[error(
        "it is not a regular file; put the plugin itself there, or a link to it inside the folder"
    )]
    NotRegular,
    #[error(
        "it belongs to user {uid}, but plugin files must belong to the gateway's user or to root; change its owner"
    )]
    OtherOwner { uid: u32 },
    #[error("the file is writable by {who} (mode {mode:04o}); run chmod {fix} on it")]
    WritableFile { who: Who, mode: u32, fix: String },
    #[error(
        "its folder {folder} is writable by {who} (mode {mode:04o}); run chmod {fix} on the folder"
    )]
    WritableFolder {
        folder: String,
        who: Who,
        mode: u32,
        fix: String,
    },
    #[error(
        "its folder {folder} belongs to user {uid}, but it must belong to the gateway's user or to root; change its owner"
    )]
    OtherFolderOwner { folder: String, uid: u32 },
    #[error("the link leads out of the plugins folder, to {target}; copy the file into the folder")]
    LinkOutside { target: String },
    #[error("the link leads nowhere ({error}); mend or remove it")]
    DanglingLink { error: String },
    #[error(
        "it changed while it was read; it is tried again once it is quiet, better write it aside and rename it into place"
    )]
    Changing,
    #[error(
        "it has {bytes} bytes, more than the {limit} a plugin may have; strip its debug information"
    )]
    TooLarge { bytes: u64, limit: u64 },
    #[error("cannot {action} ({error}); check permissions and free space")]
    Io { action: String, error: String },
    #[error(
        "the state folder {folder} is on a file system mounted noexec, so no plugin can be loaded from it; set state_dir to another file system"
    )]
    NoExec { folder: String },

    // ---- What the file is
    #[error("it is empty; copy the built plugin there again")]
    Empty,
    #[error("it is {looks}, not a shared library; put the built plugin there ({hint})")]
    NotALibrary { looks: String, hint: String },
    #[error(
        "it is cut off: it has {bytes} bytes, but its headers describe {needed}; copy the built plugin there again"
    )]
    Truncated { bytes: u64, needed: u64 },
    #[error(
        "it is built for {found}, but this gateway runs on {here}; build the plugin for {here}"
    )]
    OtherMachine { found: String, here: String },
    #[error(
        "it is {found}, not a shared library; build the plugin as one (crate-type cdylib, or cc -shared)"
    )]
    NotShared { found: String },
    #[error("it is built for {found}, but this gateway uses {here}; build the plugin for {here}")]
    OtherLibc { found: String, here: String },
    #[error("its structure is damaged ({what}); build the plugin again")]
    Malformed { what: String },
    #[error(
        "it is a shared library but no Swapgate plugin: it does not export {symbol}; build it with the SDK, or export that symbol"
    )]
    NoDescriptor { symbol: String },
    #[error(
        "its descriptor sg_plugin_abi cannot be read from the file: {what}; make it a constant with inline bytes only"
    )]
    BadDescriptor { what: String },
    #[error("it does not export the function {symbol}; export it with default visibility")]
    NoEntry { symbol: String },
    #[error("{told}")]
    Version { told: String },
    #[error(
        "plugin {plugin} is built with panic=abort, so that one panic would end the gateway; build it with panic = \"unwind\""
    )]
    PanicAbort { plugin: String },
    #[error("its id {found:?} is malformed; use 1 to 63 characters of a-z, 0-9 and -")]
    BadId { found: String },
    #[error("its version {found:?} is not a semantic version; use one such as 1.2.3")]
    BadVersion { found: String },

    // ---- What happened when it was loaded
    #[error(
        "the system's loader refuses it ({error}); build it for this system, with every library it needs linked in"
    )]
    Dlopen { error: String },
    #[error("its Rust door does not fit ({error}); build it with the SDK of this gateway")]
    Layout { error: String },
    #[error("sg_plugin_entry failed ({text}); see the plugin's documentation")]
    EntryFailed { text: String },
    #[error("its table of functions is wrong: {what}; mend the plugin")]
    BadTable { what: String },
    #[error("load failed ({text}); see the plugin's documentation")]
    LoadFailed { text: String },
    #[error("configure refused the configuration ({text}); mend the configuration")]
    ConfigRefused { text: String },
    #[error("the configuration does not fit the plugin's schema ({text}); mend the configuration")]
    AgainstSchema { text: String },
    #[error("its configuration schema cannot be used ({error}); mend the plugin")]
    BadSchema { error: String },
    #[error(
        "the state of {from} would be lost ({text}); mend the plugin, or let it start empty with on_state_refusal: start-empty"
    )]
    StateLost { from: String, text: String },
    #[error("start failed ({text}); see the plugin's documentation")]
    StartFailed { text: String },
    #[error("{hook} panicked ({text}); mend the plugin")]
    Panicked { hook: String, text: String },
    #[error("{hook} answered the unknown code {code}; mend the plugin")]
    UnknownResult { hook: String, code: i32 },
    #[error("it crashed the preflight in {at} ({how}){said}; mend the plugin")]
    Crashed {
        at: String,
        how: String,
        said: String,
    },
    #[error(
        "{at} did not return within {seconds} s in the preflight{said}; mend the plugin, or raise loader.preflight_timeout"
    )]
    TimedOut {
        at: String,
        seconds: u64,
        said: String,
    },
    #[error(
        "the preflight itself could not run ({error}); this is a fault of the gateway or of the system, not of the plugin"
    )]
    PreflightBroken { error: String },
    #[error(
        "{hook} did not return within {seconds} s and keeps its thread; the plugin stays as it is until the gateway restarts"
    )]
    Stuck { hook: String, seconds: u64 },
    #[error(
        "{limit} images are mapped already, as many as loader.max_images allows; restart the gateway gracefully"
    )]
    TooManyImages { limit: usize },
    #[error(
        "plugin {plugin} allows one image with ONE_IMAGE_ONLY per process, and {other} is mapped; restart the gateway to change over"
    )]
    OneImageOnly { plugin: String, other: String },
    #[error(
        "it is in quarantine: {why}; put another file in its place, or run swapgate plugin release {digest}"
    )]
    Quarantined { why: String, digest: String },
    #[error("the gateway is shutting down; start it again")]
    ShuttingDown,
}

impl Reason {
    /// Its name as a label: one of a closed set, without anything a file or a plugin said.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotRegular => "not_regular",
            Self::OtherOwner { .. } => "other_owner",
            Self::WritableFile { .. } => "writable_file",
            Self::WritableFolder { .. } => "writable_folder",
            Self::OtherFolderOwner { .. } => "other_folder_owner",
            Self::LinkOutside { .. } => "link_outside",
            Self::DanglingLink { .. } => "dangling_link",
            Self::Changing => "changing",
            Self::TooLarge { .. } => "too_large",
            Self::Io { .. } => "io",
            Self::NoExec { .. } => "no_exec",
            Self::Empty => "empty",
            Self::NotALibrary { .. } => "not_a_library",
            Self::Truncated { .. } => "truncated",
            Self::OtherMachine { .. } => "other_machine",
            Self::NotShared { .. } => "not_shared",
            Self::OtherLibc { .. } => "other_libc",
            Self::Malformed { .. } => "malformed",
            Self::NoDescriptor { .. } => "no_descriptor",
            Self::BadDescriptor { .. } => "bad_descriptor",
            Self::NoEntry { .. } => "no_entry",
            Self::Version { .. } => "version",
            Self::PanicAbort { .. } => "panic_abort",
            Self::BadId { .. } => "bad_id",
            Self::BadVersion { .. } => "bad_version",
            Self::Dlopen { .. } => "dlopen",
            Self::Layout { .. } => "layout",
            Self::EntryFailed { .. } => "entry_failed",
            Self::BadTable { .. } => "bad_table",
            Self::LoadFailed { .. } => "load_failed",
            Self::ConfigRefused { .. } => "config_refused",
            Self::AgainstSchema { .. } => "against_schema",
            Self::BadSchema { .. } => "bad_schema",
            Self::StateLost { .. } => "state_lost",
            Self::StartFailed { .. } => "start_failed",
            Self::Panicked { .. } => "panicked",
            Self::UnknownResult { .. } => "unknown_result",
            Self::Crashed { .. } => "crashed",
            Self::TimedOut { .. } => "timed_out",
            Self::PreflightBroken { .. } => "preflight_broken",
            Self::Stuck { .. } => "stuck",
            Self::TooManyImages { .. } => "too_many_images",
            Self::OneImageOnly { .. } => "one_image_only",
            Self::Quarantined { .. } => "quarantined",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// "These two cannot talk", in the words plugins use for it as well.
    #[must_use]
    pub fn version(plugin: &str, mismatch: &Mismatch) -> Self {
        let gateway = concat!("this gateway (swapgate ", env!("CARGO_PKG_VERSION"), ")");
        Self::Version {
            told: mismatch.told(&format!("plugin {plugin}"), gateway),
        }
    }

    /// The same with every text that a plugin had a hand in passed through `hide`, which takes secrets out.
    #[must_use]
    pub fn hiding(mut self, hide: impl Fn(&str) -> String) -> Self {
        match &mut self {
            Self::EntryFailed { text }
            | Self::LoadFailed { text }
            | Self::ConfigRefused { text }
            | Self::StateLost { text, .. }
            | Self::StartFailed { text }
            | Self::Panicked { text, .. } => *text = hide(text),
            Self::Crashed { said, .. } | Self::TimedOut { said, .. } => *said = hide(said),
            Self::PreflightBroken { error } => *error = hide(error),
            _ => {}
        }
        self
    }

    /// Whether another attempt with the same bytes may end differently, so that nothing should remember it for long.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.is_of_system()
            || matches!(
                self,
                Self::Changing
                    | Self::TimedOut { .. }
                    | Self::TooManyImages { .. }
                    | Self::OneImageOnly { .. }
                    | Self::ShuttingDown
            )
    }

    /// Whether it is the system that had nothing to give: space, memory, descriptors, threads. It may have in a moment, and
    /// trying again costs little.
    #[must_use]
    pub fn is_of_system(&self) -> bool {
        match self {
            Self::Io { .. } | Self::PreflightBroken { .. } => true,
            // Nobody but the system, short of memory or of processor time, ends a child with SIGKILL.
            Self::Crashed { how, said, .. } => how == KILLED || said.contains(NO_MEMORY),
            Self::Dlopen { error } => SHORT.iter().any(|short| error.contains(short)),
            _ => false,
        }
    }
}
