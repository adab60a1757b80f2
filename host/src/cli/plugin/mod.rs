//! `swapgate plugin ...`: what authors and operators do with plugin files.
//!
//! - here: `check`, would the gateway take this file?
//! - [`new`](super::new): the project of a new plugin;
//! - [`script`]: `test`, a plugin file through cases;
//! - [`bench`]: what each hook costs;
//! - [`dev`]: builds on save, swaps, shows requests;
//! - [`docs`]: a page about a plugin, of what its [`schema`] says.

mod bench;
mod dev;
mod docs;
mod schema;
mod script;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;
use swapgate::config::ready::Permissions;
use swapgate::plugin::fit::Fit;
use swapgate::plugin::inspect::Unload;
use swapgate::plugin::preflight::{Preflight, Report, Verdict, Verdicts};
use swapgate::plugin::refusal::{Reason, Refusal, Step};
use swapgate::plugin::scan;
use swapgate::plugin::stage::Stage;

use super::scratch::Scratch;
use super::{FAILED, Format, new, print, release};

/// How long one step of the preflight may take.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Inspect a plugin file, then try it in a child process. Exit code 0: fit, 1: refused.
    Check {
        /// The plugin file.
        file: PathBuf,
        /// The file lies in a plugins folder: judge its folder, links and permissions as the gateway does.
        #[arg(long)]
        installed: bool,
        /// How the result is printed.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Build the project of a plugin whenever it is saved, swap it into a gateway that runs meanwhile, and show what its hooks
    /// do with every request.
    Dev(dev::Args),
    /// Print a page in Markdown about a plugin, from its descriptor and its schema.
    Docs(docs::Args),
    /// Let a plugin file out of quarantine, or list what is there.
    Release(release::Args),
    /// Drive a plugin file through the cases of a script. Exit code 0: all as expected, 1: not, 2: the script is wrong.
    Test(script::Args),
    /// Measure what each hook of a plugin file costs: time, and allocations where the plugin counts them.
    Bench(bench::Args),
    /// Make the project of a new plugin: source, test, a configuration to try it with, and the SDK of this gateway.
    New(new::Args),
}

/// Does what was asked.
pub(crate) fn run(args: &Args) -> ExitCode {
    ExitCode::from(match &args.command {
        Command::Check {
            file,
            installed,
            format,
        } => tell(file, *installed, *format),
        Command::Bench(args) => bench::run(args),
        Command::Dev(args) => dev::run(args),
        Command::Docs(args) => docs::run(args),
        Command::Release(args) => release::run(args),
        Command::Test(args) => script::run(args),
        Command::New(args) => new::run(args),
    })
}

fn tell(file: &Path, installed: bool, format: Format) -> u8 {
    let outcome = Scratch::new(file).and_then(|scratch| check(file, installed, &scratch));
    match (format, &outcome) {
        (Format::Text, Ok(checked)) => print(&text(file, checked)),
        (Format::Text, Err(refusal)) => {
            eprintln!("refused ({}): {refusal}", refusal.step);
            FAILED
        }
        (Format::Json, Ok(checked)) => print(&json(checked)),
        (Format::Json, Err(refusal)) => print(&json(&Refused {
            fit: false,
            refusal,
        }))
        .max(FAILED),
    }
}

/// What is known about a file on its way from a build.
fn checked(file: &Path) -> Result<Checked, Refusal> {
    let scratch = Scratch::new(file)?;
    check(file, false, &scratch)
}

/// What is known about a file that is fit.
#[derive(Serialize)]
struct Checked {
    fit: bool,
    id: String,
    version: String,
    digest: String,
    abi: String,
    sdk: String,
    toolchain: String,
    unload: Unload,
    #[serde(flatten)]
    report: Report,
}

#[derive(Serialize)]
struct Refused<'a> {
    fit: bool,
    #[serde(flatten)]
    refusal: &'a Refusal,
}

/// A file that was tried in a child.
struct Tried {
    fit: Fit,
    verdict: Verdict,
}

fn tried(
    file: &Path,
    installed: bool,
    scratch: &Scratch,
    configs: &[&str],
) -> Result<Tried, Refusal> {
    let stage = Stage::prepare(scratch.path())?;
    // A file on its way from a build may well be writable by a group; the folder it will lie in is not known here.
    let (entry, permissions) = if installed {
        let permissions = Permissions::Strict;
        (scan::entry_in_folder(file, permissions), permissions)
    } else {
        (scan::entry(file), Permissions::Relaxed)
    };
    let entry = entry.map_err(|reason| Refusal::new(Step::Stage, shown(file), reason))?;
    let fit = Fit::inspect(stage.stage(&entry, permissions)?)?;
    let broken = |error: std::io::Error| {
        let error = error.to_string();
        fit.refuse(Step::Preflight, Reason::PreflightBroken { error })
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(broken)?;
    let exe = std::env::current_exe().map_err(broken)?;
    let preflight = Preflight::new(&exe, TIMEOUT);
    let verdict = runtime.block_on(preflight.run(&fit, configs, &Verdicts::none()))?;
    Ok(Tried { fit, verdict })
}

fn check(file: &Path, installed: bool, scratch: &Scratch) -> Result<Checked, Refusal> {
    let Tried { fit, verdict } = tried(file, installed, scratch, &[])?;
    let identity = fit.identity();
    let descriptor = fit.inspected.descriptor;
    Ok(Checked {
        fit: true,
        id: identity.id,
        version: identity.version,
        digest: identity.digest,
        abi: format!("{}.{}", descriptor.abi_major, descriptor.abi_max_minor),
        sdk: descriptor.sdk,
        toolchain: descriptor.toolchain,
        unload: fit.inspected.unload,
        report: verdict.report,
    })
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value)
        .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
}

/// When the image leaves the process.
fn unmapped(checked: &Checked) -> String {
    match &checked.unload {
        Unload::Allowed if !checked.report.stays => "when nobody uses it any more".to_owned(),
        Unload::Allowed => "never: the plugin asks to stay".to_owned(),
        Unload::Resident(pins) => {
            let pins: Vec<String> = pins.iter().map(ToString::to_string).collect();
            format!("never: {}", pins.join("; "))
        }
    }
}

fn text(file: &Path, checked: &Checked) -> String {
    let hooks = match checked.report.hooks.as_slice() {
        [] => "none".to_owned(),
        hooks => hooks.join(", "),
    };
    let unload = unmapped(checked);
    let schema = match checked.report.schema {
        Some(_) => "shipped",
        None => "none, anything goes",
    };
    let mut lines = vec![
        format!("{}: fit", file.display()),
        format!("  plugin    {} {}", checked.id, checked.version),
        format!("  digest    {}", checked.digest),
        format!(
            "  contract  {} ({}, {})",
            checked.abi, checked.sdk, checked.toolchain
        ),
        format!("  hooks     {hooks}, priority {}", checked.report.priority),
        format!("  schema    {schema}"),
        format!("  unmapped  {unload}"),
    ];
    let notes = checked.report.notes.iter();
    lines.extend(notes.map(|note| format!("  note      {note}")));
    lines.join("\n")
}
