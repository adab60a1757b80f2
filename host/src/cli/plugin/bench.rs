//! `swapgate plugin bench FILE`: what each hook costs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, Method, Uri};
use swapgate::plugin::bench::{self, Costs, Sample};
use swapgate::plugin::refusal::Refusal;

use super::script::outcome;
use super::{Tried, json, tried};
use crate::cli::scratch::Scratch;
use crate::cli::{FAILED, Format, print};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plugin file.
    file: PathBuf,
    /// The configuration, as JSON.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    config: String,
    /// The method of every request.
    #[arg(long, default_value = "GET")]
    method: Method,
    /// The path of every request, with a query.
    #[arg(long, default_value = "/bench?a=1")]
    path: Uri,
    /// A header of every request, as often as there are any.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// About how long each hook is measured, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    time: u64,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Exit code 1 if the file or its configuration is refused.
pub(super) fn run(args: &Args) -> u8 {
    match costs(args) {
        Ok(costs) if args.format == Format::Json => print(&json(&costs)),
        Ok(costs) => print(text(&costs).trim_end()),
        Err(why) => {
            eprintln!("{why}");
            FAILED
        }
    }
}

fn costs(args: &Args) -> Result<Costs, String> {
    let refused = |refusal: Refusal| format!("refused ({}): {refusal}", refusal.step);
    let mut headers = HeaderMap::new();
    for line in &args.headers {
        let (name, value) = super::script::header(line)?;
        headers.append(name, value);
    }
    let sample = Sample {
        method: args.method.clone(),
        target: args.path.clone(),
        headers,
    };
    let scratch = Scratch::new(&args.file).map_err(refused)?;
    // In a child first: a file that crashes is told as the gateway would tell it.
    let Tried { fit, verdict } =
        tried(&args.file, false, &scratch, &[&args.config]).map_err(refused)?;
    if let Some(Err(refusal)) = verdict.configs.first() {
        return Err(refused(refusal.clone()));
    }
    let each = Duration::from_millis(args.time);
    let mut costs = bench::run(&fit, &args.config, &sample, each).map_err(refused)?;
    if cfg!(debug_assertions) {
        let note = "this gateway is a debug build: build it with --release before you compare";
        costs.notes.push(note.to_owned());
    }
    Ok(costs)
}

fn text(costs: &Costs) -> String {
    let mut text = format!(
        "{:<14}  {:>9}  {:>10}  {:>10}  {:>12}  answers\n",
        "HOOK", "CALLS", "NS/CALL", "BEST", "ALLOCS/CALL"
    );
    for cost in &costs.hooks {
        let allocations = cost
            .allocations
            .map_or_else(|| "-".to_owned(), |number| format!("{number:.2}"));
        let _ = writeln!(
            text,
            "{:<14}  {:>9}  {:>10.1}  {:>10.1}  {:>12}  {}",
            cost.hook,
            cost.calls,
            cost.ns_median,
            cost.ns_best,
            allocations,
            outcome(cost.code.into())
        );
    }
    if costs.hooks.is_empty() {
        text.push_str("it has no hooks of requests\n");
    }
    for note in &costs.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text
}
