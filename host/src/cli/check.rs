//! `swapgate check`: everything a start does with the file, without serving.

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use swapgate::config::ready::Config;
use swapgate::config::{self, Source, System};
use swapgate::control::check::{self, Checked, Unfit};
use swapgate::plugin::refusal::{Reason, Refusal, Step};
use swapgate::tls::Material;
use swapgate::tls::facts::Moment;
use swapgate::tls::files::Reader;
use swapgate::tls::sessions::Sessions;

use super::scratch::Scratch;
use super::{BAD_CONFIGURATION, Format, OK, print};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file, YAML or JSON.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the uses of plugins as well, with the plugin files in this folder: each is tried in a child process with
    /// every configuration it would get.
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,
    /// How the result is printed: text on stderr, or one JSON document on stdout.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Exit code 0 if the file is good, 2 with every error otherwise.
pub(crate) fn run(args: &Args) -> ExitCode {
    let outcome = check(args);
    ExitCode::from(match args.format {
        Format::Text => outcome.tell(&args.config),
        Format::Json => outcome.print(),
    })
}

/// What came out: the errors decide, the rest is for the reader.
#[derive(Default)]
struct Outcome {
    counts: String,
    errors: Vec<Told>,
    /// Plugin files that are not taken.
    refused: Vec<Refusal>,
    /// What is good and still worth to be known: a certificate that ends soon.
    notes: Vec<String>,
}

/// One error, as a line and as a document.
struct Told {
    line: String,
    document: Value,
}

impl Told {
    fn new(error: &(impl Display + serde::Serialize)) -> Self {
        Self {
            line: error.to_string(),
            document: json!(error),
        }
    }
}

fn check(args: &Args) -> Outcome {
    let loaded = Source::read(&args.config)
        .map_err(|error| vec![error])
        .and_then(|source| config::load(&source, &System));
    let config = match loaded {
        Ok(config) => config,
        Err(errors) => {
            return Outcome {
                errors: errors.iter().map(Told::new).collect(),
                ..Outcome::default()
            };
        }
    };
    let mut outcome = Outcome {
        counts: counts(&config),
        ..Outcome::default()
    };
    match Material::load(&config, &mut Reader::default(), &mut Sessions::default()) {
        Ok(material) => outcome.notes = material.warnings(Moment::now()),
        Err(errors) => outcome.errors = errors.iter().map(Told::new).collect(),
    }
    match args
        .plugins
        .as_deref()
        .map(|dir| with_plugins(&config, dir))
    {
        None => {}
        Some(Ok(checked)) => {
            outcome.counts = format!("{}, uses of plugins: {}", outcome.counts, checked.got.len());
            outcome.refused = checked.refused;
        }
        Some(Err(Unfit::Uses { errors, refused })) => {
            outcome.errors.extend(errors.iter().map(Told::new));
            outcome.refused = refused;
        }
        Some(Err(Unfit::State(refusal))) => outcome.errors.push(Told::new(&refusal)),
    }
    outcome
}

/// Tries the uses of a configuration with the files of a folder.
pub(crate) fn with_plugins(config: &Config, plugins: &Path) -> Result<Checked, Unfit> {
    let io = |action: String, error: &std::io::Error| {
        let error = error.to_string();
        let reason = Reason::Io { action, error };
        Unfit::State(Refusal::new(
            Step::Stage,
            plugins.display().to_string(),
            reason,
        ))
    };
    // Said here, because to a gateway that runs a folder that goes away is no reason to end.
    std::fs::read_dir(plugins).map_err(|error| io("read the plugins folder".to_owned(), &error))?;
    let scratch = Scratch::new(plugins).map_err(Unfit::State)?;
    let exe =
        std::env::current_exe().map_err(|error| io("find this program".to_owned(), &error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| io("start a thread".to_owned(), &error))?;
    runtime.block_on(check::check(config, plugins, scratch.path(), &exe))
}

impl Outcome {
    fn code(&self) -> u8 {
        if self.errors.is_empty() {
            OK
        } else {
            BAD_CONFIGURATION
        }
    }

    fn tell(&self, file: &Path) -> u8 {
        let mut out = std::io::stderr().lock();
        let refused = self
            .refused
            .iter()
            .map(|refusal| format!("not taken ({}): {refusal}", refusal.step));
        for line in self
            .errors
            .iter()
            .map(|error| error.line.clone())
            .chain(refused)
            .chain(self.notes.iter().map(|note| format!("note: {note}")))
        {
            // A closed stderr changes nothing about the result.
            let _ = writeln!(out, "{line}");
        }
        match self.code() {
            OK => print(&format!("{}: good ({})", file.display(), self.counts)),
            code => code,
        }
    }

    fn print(&self) -> u8 {
        let errors: Vec<&Value> = self.errors.iter().map(|error| &error.document).collect();
        let document = json!({ "ok": self.code() == OK, "errors": errors, "refused": self.refused, "notes": self.notes });
        print(&document.to_string()).max(self.code())
    }
}

fn counts(config: &Config) -> String {
    format!(
        "{} listeners, {} upstreams, {} services, {} routes",
        config.listeners.len(),
        config.upstreams.len(),
        config.services.len(),
        config.routes.len()
    )
}
