//! `swapgate plugin docs FILE`: a page about a plugin, written from what its file says of itself.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::schema::{self, Row};
use super::{Checked, checked, unmapped};
use crate::cli::{FAILED, print};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plugin file.
    file: PathBuf,
}

/// Exit code 1 if the file is refused.
pub(super) fn run(args: &Args) -> u8 {
    match checked(&args.file) {
        Ok(checked) => print(page(&checked, &args.file).trim_end()),
        Err(refusal) => {
            eprintln!("refused ({}): {refusal}", refusal.step);
            FAILED
        }
    }
}

fn page(checked: &Checked, file: &Path) -> String {
    let schema = checked.report.schema.as_deref();
    let schema: Option<Value> = schema.and_then(|text| serde_json::from_str(text).ok());
    let mut page = format!("# {} {}\n\n", checked.id, checked.version);
    let about = schema.as_ref().and_then(schema::description);
    if let Some(about) = about {
        let _ = writeln!(page, "{about}\n");
    }
    facts(checked, file, &mut page);
    page.push_str("\n## Configuration\n\n");
    match &schema {
        None => page.push_str("It ships no schema: see its author's documentation.\n"),
        Some(schema) => settings(&schema::rows(schema), &mut page),
    }
    page.push_str("\n## Example\n\n```yaml\nplugins:\n");
    let config = schema.as_ref().map(schema::example);
    let _ = writeln!(page, "  - name: {}", checked.id);
    match config {
        Some(Value::Object(entries)) if !entries.is_empty() => {
            page.push_str("    config:\n");
            for (key, value) in &entries {
                let _ = writeln!(page, "      {key}: {value}");
            }
        }
        _ => {}
    }
    page.push_str("```\n");
    page
}

fn facts(checked: &Checked, file: &Path, page: &mut String) {
    let hooks = match checked.report.hooks.as_slice() {
        [] => "none".to_owned(),
        hooks => hooks
            .iter()
            .map(|hook| format!("`{hook}`"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let rows = [
        ("file", format!("`{name}`")),
        ("hooks", hooks),
        (
            "priority",
            format!(
                "{}; higher runs earlier, `priority` of a use overrides it",
                checked.report.priority
            ),
        ),
        (
            "contract",
            format!("{} ({}, {})", checked.abi, checked.sdk, checked.toolchain),
        ),
        ("unmapped", unmapped(checked)),
    ];
    page.push_str("| | |\n|---|---|\n");
    for (what, text) in rows {
        let _ = writeln!(page, "| {what} | {} |", cell(&text));
    }
}

fn settings(rows: &[Row], page: &mut String) {
    if rows.is_empty() {
        page.push_str("It takes no settings.\n");
        return;
    }
    page.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
    for row in rows {
        let default = match &row.default {
            Some(default) => format!("`{default}`"),
            None if row.required => "required".to_owned(),
            None => "optional".to_owned(),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            row.key,
            cell(&row.kind),
            cell(&default),
            cell(&row.meaning)
        );
    }
}

/// One cell: a line without a bar of its own.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}
