//! What is said of a breaker that turned.

use super::breaker::Turn;
use super::label::Label;

/// Says it in the log, where it turned.
pub fn turned(plugin: &Label, turn: Option<Turn>) {
    match turn {
        None => {}
        Some(Turn::Opened) => {
            tracing::error!(target: "breaker", %plugin, "the breaker of plugin {plugin} opened: too many faults, it is not called for a while");
        }
        Some(Turn::HalfOpened) => {
            tracing::info!(target: "breaker", %plugin, "the breaker of plugin {plugin} is half-open: one exchange tries it");
        }
        Some(Turn::Closed) => {
            tracing::info!(target: "breaker", %plugin, "the breaker of plugin {plugin} closed: it is called again");
        }
    }
}
