//! The room from outside: a text goes in, a configuration or every error comes out.

mod diff;
mod plugin;
mod process;
mod reference;
mod route;
mod text;
mod upstream;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::ready::Config;
use super::*;

const REFERENCE: &str = include_str!("../../../../config/swapgate.yaml");

/// An environment of a few values.
struct Fake;

impl Environment for Fake {
    fn variable(&self, name: &str) -> Result<String, String> {
        let known = HashMap::from([
            ("KEY", "hunter2-hunter2"),
            ("PORT", "80x80"),
            ("TOKEN", "s3cr3t-t0ken"),
        ]);
        known
            .get(name)
            .map(|v| (*v).to_owned())
            .ok_or_else(|| "it is not set".to_owned())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("/etc/gate/keys/one") => Ok("of-a-file\n".to_owned()),
            _ => Err("no such file".to_owned()),
        }
    }

    fn cores(&self) -> usize {
        3
    }
}

fn read(text: &str) -> Result<Config, Vec<ConfigError>> {
    let source = Source {
        file: "gate.yaml".into(),
        text: text.to_owned(),
        base: PathBuf::from("/etc/gate"),
    };
    load(&source, &Fake)
}

fn listing(errors: &[ConfigError]) -> String {
    let mut out = String::new();
    for error in errors {
        let _ = writeln!(out, "{error}");
    }
    out
}

/// `expected` lists every error, one a line; nothing means that the text is good.
#[track_caller]
fn check(text: &str, expected: &str) {
    let found = match read(text) {
        Ok(_) => String::new(),
        Err(errors) => listing(&errors),
    };
    let expected: String = expected.trim().lines().fold(String::new(), |out, line| {
        out + "gate.yaml:" + line.trim_start() + "\n"
    });
    assert_eq!(found, expected, "for the text\n{text}");
}

/// Checks lines that are put behind a smallest good file of two lines.
#[track_caller]
fn check_more(more: &str, expected: &str) {
    check(&format!("{MINIMAL}{more}"), expected);
}

#[track_caller]
fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|errors| panic!("{}", listing(&errors)))
}

const MINIMAL: &str = "format: 1\nlisteners: [{name: a, address: '127.0.0.1:0'}]\n";
