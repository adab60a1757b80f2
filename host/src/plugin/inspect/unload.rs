//! Whether the file proves that an image of it can be unmapped.
//!
//! Unmapping a library whose code or data something still refers to ends the process, so the burden of proof is on
//! the file: everything not known to be harmless pins the image.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

/// Whether an image may be unmapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unload {
    /// Nothing in the file pins it.
    Allowed,
    /// It stays mapped, for these reasons.
    Resident(Vec<Pin>),
}

impl Unload {
    pub(super) fn from_pins(pins: Vec<Pin>) -> Self {
        if pins.is_empty() {
            Self::Allowed
        } else {
            Self::Resident(pins)
        }
    }
}

/// One reason for which an image stays mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pin {
    /// It has thread-local storage, whose destructors may run on any thread.
    ThreadLocals,
    /// It is marked as never to be unmapped.
    NoDelete,
    /// It exports symbols that the system's loader keeps for ever.
    UniqueSymbols,
    /// It imports functions not known to be harmless.
    Imports(Vec<String>),
    /// It needs other libraries than libc and libm.
    Libraries(Vec<String>),
    /// On this system images are never unmapped.
    System,
    /// The plugin has threads of its own.
    OwnsThreads,
    /// The plugin asks for it.
    Asked,
    /// The setting `loader.unload: never`.
    Setting,
    /// A call into it has not returned.
    Stuck(String),
    /// `unload` answered an error.
    UnloadFailed(String),
    /// It was closed, but is still mapped.
    StillMapped,
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThreadLocals => f.write_str("it has thread-local storage"),
            Self::NoDelete => f.write_str("it is marked NODELETE"),
            Self::UniqueSymbols => f.write_str("it exports unique symbols"),
            Self::Imports(names) => write!(f, "it imports {}", some(names)),
            Self::Libraries(names) => write!(f, "it needs {}", some(names)),
            Self::System => f.write_str("this system never unmaps libraries safely"),
            Self::OwnsThreads => f.write_str("it has threads of its own"),
            Self::Asked => f.write_str("the plugin asks to stay"),
            Self::Setting => f.write_str("loader.unload is never"),
            Self::Stuck(hook) => write!(f, "{hook} has not returned"),
            Self::UnloadFailed(text) => write!(f, "unload failed ({text})"),
            Self::StillMapped => f.write_str("it was closed but is still mapped"),
        }
    }
}

/// The names that do not stand on the committed list of harmless imports.
pub(super) fn suspicious<'a>(imports: impl Iterator<Item = &'a str>) -> Vec<String> {
    let harmless: BTreeSet<&str> = include_str!("../harmless_imports.txt")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let found: BTreeSet<&str> = imports.filter(|name| !harmless.contains(name)).collect();
    found.into_iter().map(str::to_owned).collect()
}

/// The first few names: a Rust library imports a hundred of them.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let first: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => first.join(", "),
        Some(more) => format!("{} and {more} more", first.join(", ")),
    }
}
