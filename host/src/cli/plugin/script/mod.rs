//! `swapgate plugin test FILE --script CASES.yaml`: drives a built plugin file through a gateway and says what differs.
//!
//! The gateway is a child on loopback addresses, with the plugin in its folder, and everything behind it is scripted:
//! what a plugin meets here is what it meets when it serves, framing and waiting included. What it did inside is read from
//! the gateway's own trace of hooks.
//!
//! - [`raw`]: what a script says; [`drive`]: one case through a gateway of its own;
//! - [`upstream`]: what stands behind the gateway; [`trace`]: what the gateway tells;
//! - [`compare`]: what came against what was expected.

mod compare;
mod drive;
mod raw;
mod trace;
mod upstream;

use std::path::PathBuf;

use swapgate::config::{ConfigError, Document, Source};

use super::checked;
use crate::cli::{BAD_CONFIGURATION, FAILED, OK, print};
pub(in crate::cli) use trace::outcome;
pub(super) use upstream::header;

use drive::Bench;
use raw::Script;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plugin file.
    #[arg(required_unless_present = "schema")]
    file: Option<PathBuf>,
    /// The cases, as YAML or JSON.
    #[arg(long, value_name = "FILE", required_unless_present = "schema")]
    script: Option<PathBuf>,
    /// Print the JSON Schema of scripts instead.
    #[arg(long, exclusive = true)]
    schema: bool,
}

/// Exit code 0 if everything is as expected, 1 if something differs or the file is refused, 2 if the script is wrong.
pub(super) fn run(args: &Args) -> u8 {
    let (Some(file), Some(script)) = (&args.file, &args.script) else {
        return print(&super::json(&raw::schema()));
    };
    let read = Source::read(script)
        .map_err(|error| vec![error])
        .and_then(|source| Ok((Document::read::<Script>(&source, &raw::schema())?, source)));
    let ((script, document), source) = match read {
        Ok(read) => read,
        Err(errors) => {
            errors.iter().for_each(|error| eprintln!("{error}"));
            return BAD_CONFIGURATION;
        }
    };
    let id = match checked(file) {
        Ok(checked) => checked.id,
        Err(refusal) => {
            eprintln!("refused ({}): {refusal}", refusal.step);
            return FAILED;
        }
    };
    let bench = Bench {
        script: &script,
        plugin: &id,
        file,
        base: &source.base,
    };
    let mut failed = 0;
    for (index, case) in script.cases.iter().enumerate() {
        let differences = drive::case(&bench, index, case);
        let word = if differences.is_empty() {
            "ok    "
        } else {
            "FAILED"
        };
        print(&format!("{word}  {}", case.name));
        for difference in &differences {
            let place = document.place(&difference.pointer);
            print(&format!(
                "        {}",
                ConfigError::new(place, difference.text.clone())
            ));
        }
        failed += usize::from(!differences.is_empty());
    }
    print(&match failed {
        0 => format!("{} cases, all as expected", script.cases.len()),
        failed => format!("{failed} of {} cases failed", script.cases.len()),
    });
    if failed == 0 { OK } else { FAILED }
}
