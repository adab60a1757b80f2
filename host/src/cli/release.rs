//! `swapgate plugin release FILE|DIGEST`: lets a plugin file out of quarantine; without an argument, lists what is there.

use std::path::{Path, PathBuf};

use sha2::Digest as _;
use swapgate::fault::quarantine::Quarantine;

use super::{FAILED, OK, print};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The plugin file, or the first digits (8 at least) of its SHA-256; without it, what is remembered is listed.
    what: Option<String>,
    /// The gateway's state folder.
    #[arg(long, value_name = "DIR", default_value = "state")]
    state_dir: PathBuf,
}

/// Lets it go; a gateway that runs looks within ten seconds, or at SIGHUP.
pub(crate) fn run(args: &Args) -> u8 {
    if !args.state_dir.is_dir() {
        eprintln!(
            "there is no state folder {}; name it with --state-dir",
            args.state_dir.display()
        );
        return FAILED;
    }
    let mut quarantine = Quarantine::open(&args.state_dir);
    let Some(what) = &args.what else {
        return list(&quarantine);
    };
    let digest = match digest(what) {
        Ok(digest) => digest,
        Err(error) => {
            eprintln!("{error}");
            return FAILED;
        }
    };
    match quarantine.release(&digest) {
        Ok(gone) if gone.is_empty() => {
            eprintln!(
                "nothing is remembered of {what} in {}; name the file or its digest",
                args.state_dir.display()
            );
            FAILED
        }
        Ok(gone) => gone
            .iter()
            .map(|plugin| print(&format!("released {plugin}")))
            .max()
            .unwrap_or(OK),
        Err(error) => {
            eprintln!("cannot write to {}: {error}", args.state_dir.display());
            FAILED
        }
    }
}

fn list(quarantine: &Quarantine) -> u8 {
    let lines = quarantine.entries().map(|(digest, entry)| {
        let state = match &entry.held {
            Some(why) => format!("in quarantine: {why}"),
            None => format!("{} crashes, still taken", entry.crashes),
        };
        print(&format!("{digest} {} {state}", entry.plugin))
    });
    lines.max().unwrap_or(OK)
}

/// The digest of a file, or the digits as they are.
fn digest(what: &str) -> Result<String, String> {
    /// Fewer may name more than one file.
    const DIGITS: usize = 8;
    let path = Path::new(what);
    if path.is_file() {
        let bytes = std::fs::read(path).map_err(|error| format!("cannot read {what}: {error}"))?;
        let digest = sha2::Sha256::digest(bytes);
        return Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect());
    }
    let is_digest = what.len() >= DIGITS && what.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest {
        Ok(what.to_ascii_lowercase())
    } else {
        Err(format!(
            "{what} is neither a file nor {DIGITS} or more hexadecimal digits of a digest"
        ))
    }
}
