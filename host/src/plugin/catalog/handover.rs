//! From an instance to the one that takes its place: the state that must not be lost.

use std::sync::Arc;

use super::Catalog;
use crate::plugin::ffi::control::CallError;
use crate::plugin::ffi::handover::{ExportError, State};
use crate::plugin::instance::{Inherited, Instance};
use crate::plugin::refusal::{Reason, Refusal, Step};

/// Why a state was not handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Whose state it is, as `id@version`.
    pub from: String,
    /// What went wrong.
    pub text: String,
    /// The refusal, as it is told where the change is refused for it.
    pub refusal: Refusal,
    /// Whether the new instance may hold a part of the state, so that it must not serve.
    pub is_spoilt: bool,
}

impl Catalog {
    /// Hands the state of `old` over to `new`, which is configured and not started. Nothing happens where `new` serves
    /// already, or where `old` has nothing to hand over.
    ///
    /// # Errors
    /// Why the state is lost, should `new` take the place of `old`.
    pub async fn hand_over(
        &mut self,
        old: &Arc<Instance>,
        new: &Arc<Instance>,
    ) -> Result<(), Lost> {
        if Arc::ptr_eq(old, new) || new.is_started() || new.inherited().is_some() {
            return Ok(());
        }
        let from = format!("{}@{}", old.identity().id, old.identity().version);
        let exported = self.export(old).await;
        let state = match exported {
            Ok(None) => return Ok(()),
            Ok(Some(state)) => state,
            Err(text) => return Err(self.lost(&from, new, text, false)),
        };
        let bytes = state.bytes.len();
        if let Err(text) = self.import(new, state).await {
            return Err(self.lost(&from, new, text, true));
        }
        let (to, config) = (&new.identity().version, new.config().shown());
        tracing::info!(target: "control", plugin = new.id(), from = old.identity().version, to, config, bytes, "state handed over");
        new.inherit(Inherited::Taken {
            from,
            bytes: bytes as u64,
        });
        Ok(())
    }

    /// Whether an instance has a state that others may take over.
    #[must_use]
    pub fn has_state(&self, instance: &Instance) -> bool {
        let loaded = instance.image().and_then(|image| image.loaded());
        loaded.is_some_and(|loaded| loaded.table().exports_state())
    }

    async fn export(&mut self, old: &Arc<Instance>) -> Result<Option<State>, String> {
        let Some(image) = old.image() else {
            return Ok(None);
        };
        let (Some(slot), Some(loaded)) = (self.slot_of(image), image.loaded()) else {
            return Ok(None);
        };
        if !loaded.table().exports_state() {
            return Ok(None);
        }
        let (deadline, limit) = (self.loader.call_timeout, self.loader.state_bytes);
        slot.is_free(deadline)
            .map_err(|reason| reason.to_string())?;
        let (call, raw) = (Arc::clone(loaded), old.raw_instance());
        // The call keeps the old instance alive for as long as it runs, even beyond its deadline.
        let held = Arc::clone(old);
        let exported = slot
            .call(&self.foreign, "export_state", deadline, move || {
                let state = call.table().export_state(raw, limit);
                drop(held);
                state
            })
            .await
            .map_err(|reason| reason.to_string())?;
        exported.map_err(|error| match error {
            ExportError::TooLarge => {
                format!("its state is larger than the {limit} bytes of loader.state_bytes")
            }
            ExportError::Call(error) => told("export_state", error),
        })
    }

    async fn import(&mut self, new: &Arc<Instance>, state: State) -> Result<(), String> {
        let Some(image) = new.image() else {
            return Ok(());
        };
        let (Some(slot), Some(loaded)) = (self.slot_of(image), image.loaded()) else {
            return Ok(());
        };
        let deadline = self.loader.call_timeout;
        slot.is_free(deadline)
            .map_err(|reason| reason.to_string())?;
        let (call, raw) = (Arc::clone(loaded), new.raw_instance());
        let held = Arc::clone(new);
        let imported = slot
            .call(&self.foreign, "import_state", deadline, move || {
                let outcome = call.table().import_state(raw, &state);
                drop(held);
                outcome
            })
            .await
            .map_err(|reason| reason.to_string())?;
        imported.map_err(|error| told("import_state", error))
    }

    fn lost(&self, from: &str, new: &Instance, text: String, is_spoilt: bool) -> Lost {
        let reason = Reason::StateLost {
            from: from.to_owned(),
            text: text.clone(),
        };
        let refusal = match new.image().and_then(|image| self.slot_of(image)) {
            Some(slot) => slot.refuse(Step::HandOver, reason),
            None => Refusal::new(Step::HandOver, new.id().to_owned(), reason),
        };
        Lost {
            from: from.to_owned(),
            text,
            refusal,
            is_spoilt,
        }
    }

    /// Forgets an instance that was made and will not serve, so that the next one asked for is a new one.
    pub fn discard(&mut self, instance: Arc<Instance>) {
        let key = instance.image().and_then(|image| self.slot_of(image));
        if let Some(slot) = key {
            self.instances.remove(&(slot.key, instance.config()));
        }
        drop(instance);
    }
}

fn told(hook: &str, error: CallError) -> String {
    match error {
        CallError::Failed(text) => format!("{hook} failed, {text}"),
        CallError::Panicked(text) => format!("{hook} panicked, {text}"),
        CallError::Unknown(code) => format!("{hook} answered the unknown code {code}"),
    }
}
