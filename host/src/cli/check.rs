//! `swapgate check`: everything a start does with the file, without serving.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use swapgate::config::{self, ConfigError, Source, System};

use super::{BAD_CONFIGURATION, Format, OK, print};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file, YAML or JSON.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How the result is printed: text on stderr, or one JSON document on stdout.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Exit code 0 if the file is good, 2 with every error otherwise.
pub(crate) fn run(args: &Args) -> ExitCode {
    let loaded = Source::read(&args.config)
        .map_err(|error| vec![error])
        .and_then(|source| config::load(&source, &System));
    let file = args.config.display();
    match (loaded, args.format) {
        (Ok(config), Format::Text) => {
            let counts = format!(
                "{} listeners, {} upstreams, {} services, {} routes",
                config.listeners.len(),
                config.upstreams.len(),
                config.services.len(),
                config.routes.len()
            );
            ExitCode::from(print(&format!("{file}: good ({counts})")))
        }
        (Ok(_), Format::Json) => ExitCode::from(print(&document(OK, &[]))),
        (Err(errors), Format::Text) => {
            let mut out = std::io::stderr().lock();
            for error in &errors {
                // A closed stderr changes nothing about the result.
                let _ = writeln!(out, "{error}");
            }
            ExitCode::from(BAD_CONFIGURATION)
        }
        (Err(errors), Format::Json) => {
            print(&document(BAD_CONFIGURATION, &errors));
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}

fn document(code: u8, errors: &[ConfigError]) -> String {
    json!({ "ok": code == OK, "errors": errors }).to_string()
}
