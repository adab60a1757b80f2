//! Every dependency may be used: its licence is one of a short list.

use serde_json::Value;

use crate::cargo;
use crate::failure::{Context, Failure, Outcome};

/// Licences that ask for no more than a notice; `MPL-2.0` also for changes to the files under it, and there are none.
const ALLOWED: [&str; 14] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "BSL-1.0",
    "CC0-1.0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
];

/// Reads the licences of all packages in the lock file.
pub(crate) fn check() -> Outcome<()> {
    let mut command = cargo::cargo();
    let output = command
        .args(["metadata", "--format-version", "1", "--locked"])
        .output();
    let output = output.context("cargo metadata cannot be started")?;
    if !output.status.success() {
        return Err(Failure::new(format!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata cannot be read")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let refused: Vec<String> = packages
        .filter(|package| !is_allowed(package["license"].as_str().unwrap_or("")))
        .map(|package| {
            format!(
                "{} ({})",
                package["name"].as_str().unwrap_or("?"),
                package["license"]
            )
        })
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "licences that are not on the list in xtask/src/licences.rs: {}",
        refused.join(", ")
    )))
}

/// `AND` binds what must all be allowed; of what `OR` or a slash binds, one is enough.
fn is_allowed(expression: &str) -> bool {
    expression.split(" AND ").all(|part| {
        let part = part.trim_matches(['(', ')']);
        part.split(" OR ")
            .flat_map(|choice| choice.split('/'))
            .any(|choice| ALLOWED.contains(&choice.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn one_choice_is_enough_but_every_part_counts() {
        assert!(is_allowed("MIT OR GPL-3.0"));
        assert!(is_allowed("Unlicense/MIT"));
        assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!is_allowed("MIT AND GPL-3.0"));
        assert!(!is_allowed(""));
    }
}
