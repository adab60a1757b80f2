//! Who is told that a process serves: the one before it, the one that supervises it, and whoever reads the files that say
//! where.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use super::joining::Answering;
use super::{Error, Options};
use crate::control::apply::Control;
use crate::life::pid_file;
use crate::supervise::upgrade::Who;

/// Tells everybody that this process serves, with so many workers.
pub(super) fn serves(
    options: &Options,
    control: &Control,
    workers: usize,
    admin: &mut Answering,
) -> Result<(), Error> {
    let replaces = options.replaces();
    if !replaces {
        tell_where(options, control, admin.address)?;
    }
    admin.begin();
    if let Some(link) = &options.link {
        let gone = link.others();
        // Where a parent supervises, it is the one to know.
        if let Some(before) = link.replaces().filter(|_| !link.is_supervised()) {
            let before = Who::from(before);
            let board = &control.board;
            board.update(|status| status.upgrade.ends(before, Ok(Who::own())));
        }
        link.serves(workers, gone);
        link.close_others();
    }
    if replaces && let Err(error) = tell_where(options, control, admin.address) {
        // It accepts already, and the process before ends: what says where is not worth the connections.
        tracing::error!(target: "control", "{error}");
    }
    Ok(())
}

/// Writes the files that say where everything listens, and as which process.
fn tell_where(options: &Options, control: &Control, admin: SocketAddr) -> Result<(), Error> {
    if let Some(path) = &options.announce {
        announce(path, control, admin)?;
    }
    match &options.pid_file {
        Some(path) if options.parent().is_none() => pid_file::write(path).map_err(Error::Other),
        _ => Ok(()),
    }
}

/// Writes where everything listens: written aside and renamed, so that a reader sees all of it or nothing.
fn announce(path: &Path, control: &Control, admin: SocketAddr) -> Result<(), Error> {
    let listeners = control.board.read(|status| status.listeners.clone());
    let document = json!({ "pid": std::process::id(), "listeners": listeners, "admin": admin });
    let aside = path.with_extension("part");
    let written: io::Result<()> = std::fs::write(&aside, format!("{document}\n"))
        .and_then(|()| std::fs::rename(&aside, path));
    written.map_err(|error| Error::Other(format!("cannot write {}: {error}", path.display())))
}
