//! A hand-over is rehearsed in the child: an instance gives its state to another one with the same configuration.

use std::sync::Arc;

use super::child::Channel;
use crate::plugin::ffi::control::{CallError, RawInstance};
use crate::plugin::ffi::handover::{ExportError, State};
use crate::plugin::library::Loaded;
use crate::plugin::refusal::Reason;

/// More than any state of an instance that has served one synthetic request.
const LIMIT: usize = 64 << 20;

/// Only a panic or an unknown code refuses: whether a state is lost is decided where it happens.
pub(super) fn rehearse(
    channel: &mut Channel,
    loaded: &Arc<Loaded>,
    raw: RawInstance,
    (index, config): (usize, &str),
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    let table = loaded.table();
    if table.exports_state() {
        channel.at("export_state", Some(index));
        let state = match table.export_state(raw, LIMIT) {
            Ok(state) => state,
            Err(ExportError::TooLarge) => None,
            Err(ExportError::Call(error)) => {
                note("export_state", error, notes)?;
                None
            }
        };
        if let Some(state) = state.filter(|_| table.imports_state()) {
            import(channel, loaded, &state, (index, config), notes)?;
        }
    }
    channel.at("memory", Some(index));
    let _ = table.memory();
    Ok(())
}

fn import(
    channel: &mut Channel,
    loaded: &Arc<Loaded>,
    state: &State,
    (index, config): (usize, &str),
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    let table = loaded.table();
    channel.at("configure", Some(index));
    let heir = table
        .configure(loaded.mapped().host(), config)
        .map_err(|error| error.reason("configure", |text| Reason::ConfigRefused { text }))?;
    channel.at("import_state", Some(index));
    let outcome = match table.import_state(heir, state) {
        Ok(()) => Ok(()),
        Err(error) => note("import_state", error, notes),
    };
    channel.at("destroy", Some(index));
    table.destroy(heir);
    outcome
}

fn note(hook: &str, error: CallError, notes: &mut Vec<String>) -> Result<(), Reason> {
    match error {
        CallError::Failed(text) => {
            notes.push(format!("{hook} answers an error ({text})"));
            Ok(())
        }
        error => Err(error.reason(hook, |text| Reason::ConfigRefused { text })),
    }
}
