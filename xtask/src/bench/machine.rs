//! On what, with what and when: figures mean nothing without it.

use std::fs;
use std::process::Command;

use crate::cargo;
use crate::failure::Outcome;

use super::contestants::Contestant;
use super::tools::{Tools, first_line};

/// One fact a line: its name and what it is.
pub(crate) type Facts = Vec<(String, String)>;

/// Everything that should stand beside the figures.
pub(crate) fn facts(tools: &Tools, field: &[&Contestant], pins: &str) -> Outcome<Facts> {
    let mut facts = vec![
        fact(
            "date",
            first_line(Command::new("date").args(["-u", "+%F %H:%M UTC"])),
        ),
        fact("processor", processor()),
        fact("kernel", read("/proc/sys/kernel/osrelease")),
        fact("load before", read("/proc/loadavg")),
        fact("cores", Some(pins.to_owned())),
        fact(
            "commit",
            first_line(Command::new("git").current_dir(cargo::root()).args([
                "log",
                "-1",
                "--format=%h of %as",
            ])),
        ),
        fact("rustc", first_line(Command::new("rustc").arg("--version"))),
    ];
    let mut seen = Vec::new();
    for contestant in field {
        if !seen.contains(&contestant.tool) {
            seen.push(contestant.tool);
            let version = tools.version(contestant.tool);
            facts.extend(version.map(|version| (contestant.name.to_owned(), version)));
        }
    }
    Ok(facts)
}

fn fact(name: &str, value: Option<String>) -> (String, String) {
    (
        name.to_owned(),
        value.unwrap_or_else(|| String::from("unknown")),
    )
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"))?;
    let cores = text
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    Some(format!(
        "{cores} x {}",
        name.trim_start_matches([' ', '\t', ':'])
    ))
}
