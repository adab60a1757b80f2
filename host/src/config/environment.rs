//! What a configuration takes from outside its file: `${env:NAME}` and `${file:PATH}`.
//!
//! The reads are injected, so that loading stays a function of its arguments and tests need no real environment.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{ConfigError, quoted};
use super::node::{Data, Node, Written, child};
use super::structure::Broken;

/// The largest file behind a `${file:...}`.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// What all filled-in values may measure together.
const MAX_FILLED_BYTES: usize = 16 << 20;

/// Where values outside the file come from.
pub trait Environment {
    /// An environment variable.
    ///
    /// # Errors
    /// Says in a few words why there is no value.
    fn variable(&self, name: &str) -> Result<String, String>;

    /// The text of a file.
    ///
    /// # Errors
    /// Says in a few words why there is no text.
    fn file(&self, path: &Path) -> Result<String, String>;

    /// How many workers run where the file does not say.
    fn cores(&self) -> usize;
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

/// The same for a gateway that runs: how many workers it has does not change with the machine.
#[derive(Debug, Clone, Copy)]
pub struct Running {
    /// How many there are.
    pub workers: usize,
}

impl Environment for Running {
    fn variable(&self, name: &str) -> Result<String, String> {
        System.variable(name)
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        System.file(path)
    }

    fn cores(&self) -> usize {
        self.workers
    }
}

impl Environment for System {
    fn variable(&self, name: &str) -> Result<String, String> {
        std::env::var(name).map_err(|e| match e {
            std::env::VarError::NotPresent => "it is not set".to_owned(),
            std::env::VarError::NotUnicode(_) => "its value is not UTF-8".to_owned(),
        })
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        read_text(path, MAX_FILE_BYTES).map_err(|e| e.to_string())
    }

    fn cores(&self) -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }
}

/// Reads a regular file up to a limit. A pipe or a device could block or never end.
pub(super) fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(limit + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it is larger than {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|e| {
        let text = e.as_bytes().iter().take(e.utf8_error().valid_up_to());
        let line = 1 + text.filter(|b| **b == b'\n').count();
        io::Error::other(format!("line {line} is not UTF-8"))
    })
}

/// Fills in every `${env:NAME}` and `${file:PATH}` of a tree.
pub(super) fn fill(
    tree: &mut Node,
    file: &Arc<str>,
    base: &Path,
    environment: &dyn Environment,
    broken: &mut Broken,
) -> Vec<ConfigError> {
    let mut filler = Filler {
        file,
        base,
        environment,
        filled: 0,
        flaws: Vec::new(),
    };
    filler.walk(tree, "", false);
    let flaws = filler.flaws;
    flaws
        .into_iter()
        .map(|flaw| {
            let place = tree.place(file, "", &flaw.pointer);
            broken.add(&flaw.pointer);
            let error = ConfigError::new(place, flaw.problem).found(quoted(&flaw.form));
            error.advice(flaw.advice)
        })
        .collect()
}

struct Filler<'a> {
    file: &'a Arc<str>,
    base: &'a Path,
    environment: &'a dyn Environment,
    filled: usize,
    flaws: Vec<FillFlaw>,
}

struct FillFlaw {
    pointer: String,
    problem: String,
    form: String,
    advice: String,
}

impl Filler<'_> {
    /// `foreign` says whether the value belongs to a plugin, whose other `${...}` forms are its own.
    fn walk(&mut self, node: &mut Node, pointer: &str, foreign: bool) {
        match &mut node.data {
            Data::Text(text) if text.contains("${") => {
                let (filled, values) = self.text(text, pointer, foreign);
                if !values.is_empty() {
                    let text = std::mem::replace(text, filled);
                    node.written = Some(Box::new(Written { text, values }));
                }
            }
            Data::List(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    self.walk(item, &child(pointer, &i.to_string()), foreign);
                }
            }
            Data::Map(entries) => {
                let in_use = is_plugin_use(pointer);
                for entry in entries {
                    let foreign = foreign || (in_use && entry.key == "config");
                    let below = child(pointer, &entry.key);
                    self.walk(&mut entry.value, &below, foreign);
                }
            }
            _ => {}
        }
    }

    /// The text with every form of ours filled in, and what was filled in.
    fn text(&mut self, text: &str, pointer: &str, foreign: bool) -> (String, Vec<String>) {
        let mut out = String::new();
        let mut rest = text;
        let mut values = Vec::new();
        while let Some(start) = rest.find("${") {
            let (before, form) = rest.split_at(start);
            out.push_str(before);
            let end = form.find('}').map_or(form.len(), |end| end + 1);
            let (form, after) = form.split_at(end);
            rest = after;
            match self.form(form, pointer, foreign) {
                Some(value) => {
                    out.push_str(&value);
                    values.push(value);
                }
                None => out.push_str(form),
            }
        }
        out.push_str(rest);
        (out, values)
    }

    /// The value of one `${...}`; nothing if it is not ours or has none.
    fn form(&mut self, form: &str, pointer: &str, foreign: bool) -> Option<String> {
        let inner = form.strip_prefix("${")?;
        let ours = inner.starts_with("env:") || inner.starts_with("file:");
        if !ours && foreign {
            return None;
        }
        let Some(inner) = inner.strip_suffix('}') else {
            self.flaw(
                pointer,
                form,
                "a \"${\" without its \"}\"",
                "close it with \"}\"",
            );
            return None;
        };
        let value = if let Some(name) = inner.strip_prefix("env:") {
            self.variable(name, form, pointer)?
        } else if let Some(path) = inner.strip_prefix("file:") {
            self.file(path, form, pointer)?
        } else {
            let problem = "this form is not known here";
            self.flaw(pointer, form, problem, "use ${env:NAME} or ${file:PATH}");
            return None;
        };
        self.filled = self.filled.saturating_add(value.len());
        if self.filled > MAX_FILLED_BYTES {
            let problem = format!("filled-in values measure more than {MAX_FILLED_BYTES} bytes");
            self.flaw(pointer, form, &problem, "fill in smaller values");
            return None;
        }
        Some(value)
    }

    fn variable(&mut self, name: &str, form: &str, pointer: &str) -> Option<String> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || !name.bytes().all(fits) {
            let problem = "this is not a name of an environment variable";
            self.flaw(pointer, form, problem, "use letters, digits and \"_\"");
            return None;
        }
        match self.environment.variable(name) {
            Ok(value) => Some(value),
            Err(why) => {
                let problem = format!("the environment variable {name} cannot be used, {why}");
                self.flaw(pointer, form, &problem, "set it for the gateway");
                None
            }
        }
    }

    /// The text of a file without the line end that editors add.
    fn file(&mut self, path: &str, form: &str, pointer: &str) -> Option<String> {
        if path.is_empty() || path.contains('\0') {
            self.flaw(pointer, form, "this is not a path", "write ${file:PATH}");
            return None;
        }
        let full: PathBuf = self.base.join(path);
        match self.environment.file(&full) {
            Ok(mut text) => {
                let kept = text.trim_end_matches(['\n', '\r']).len();
                text.truncate(kept);
                Some(text)
            }
            Err(why) => {
                let problem = format!("the file {} cannot be used, {why}", full.display());
                let advice = format!("relative paths start at the folder of {}", self.file);
                self.flaw(pointer, form, &problem, &advice);
                None
            }
        }
    }

    fn flaw(&mut self, pointer: &str, form: &str, problem: &str, advice: &str) {
        self.flaws.push(FillFlaw {
            pointer: pointer.to_owned(),
            problem: problem.to_owned(),
            form: form.to_owned(),
            advice: advice.to_owned(),
        });
    }
}

/// Whether a pointer names one entry of a `plugins` list of the file.
fn is_plugin_use(pointer: &str) -> bool {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    matches!(
        steps.as_slice(),
        ["plugins", _] | ["services" | "routes", _, "plugins", _]
    )
}
