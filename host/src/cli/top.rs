//! `swapgate top`: what each plugin of a running gateway costs.

mod sample;
mod table;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use super::ask::{Admin, NoAnswer};
use super::{FAILED, OK, print};
use sample::Sample;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: Admin,
    /// Between two looks, in seconds; rates are over this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = interval)]
    interval: f64,
    /// Print one table and end, for scripts.
    #[arg(long)]
    once: bool,
}

fn interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("give a number of seconds from 0.05 to 3600".to_owned()),
    }
}

/// Until it is interrupted; exit code 1 if the gateway does not answer.
pub(crate) fn run(args: &Args) -> ExitCode {
    let shown = if args.once { once(args) } else { watch(args) };
    ExitCode::from(shown.unwrap_or_else(|error| {
        eprintln!("{error}");
        FAILED
    }))
}

fn once(args: &Args) -> Result<u8, NoAnswer> {
    let before = Sample::take(&args.admin)?;
    std::thread::sleep(Duration::from_secs_f64(args.interval));
    let after = Sample::take(&args.admin)?;
    Ok(print(table::of(&before, &after).trim_end()))
}

fn watch(args: &Args) -> Result<u8, NoAnswer> {
    let mut before = Sample::take(&args.admin)?;
    let screen = Screen::open();
    loop {
        std::thread::sleep(Duration::from_secs_f64(args.interval));
        let after = Sample::take(&args.admin)?;
        if !screen.show(&table::of(&before, &after)) {
            return Ok(OK);
        }
        before = after;
    }
}

/// The terminal, drawn over from its top. Nothing has to be put back in order: no mode is changed, so an interrupt may
/// end the process at any point and leaves the last table where it is.
struct Screen;

impl Screen {
    fn open() -> Self {
        // Clears the screen once; later tables are drawn over the one before, which does not flicker.
        let _ = write!(std::io::stdout(), "\x1b[2J");
        Self
    }

    /// False when nobody reads any more.
    #[expect(
        clippy::unused_self,
        reason = "a screen that was not opened shows nothing"
    )]
    fn show(&self, text: &str) -> bool {
        let mut out = String::from("\x1b[H");
        for line in text.lines() {
            out.push_str(line);
            out.push_str("\x1b[K\n");
        }
        out.push_str("\x1b[J");
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(out.as_bytes()).is_ok() && stdout.flush().is_ok()
    }
}
