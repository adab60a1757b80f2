//! What becomes of uses for which there is no file.

use std::sync::Arc;

use super::refused::{Unusable, config_error};
use super::run::Origin;
use super::{Resolved, Run, Trigger};
use crate::config::ConfigError;
use crate::config::ready::PluginUse;
use crate::control::select;
use crate::plugin::image::Image;
use crate::plugin::instance::Instance;

impl Run<'_> {
    /// No file of the folder is admitted: what is loaded keeps serving, or there is nothing.
    pub(super) async fn without_file(&mut self, index: usize) -> Resolved {
        let Some(use_) = self.all.get(index).copied() else {
            return Err("no such use".to_owned());
        };
        if let Some(kept) = self.as_before(index) {
            if let Ok(instance) = &kept {
                self.note_kept(use_, instance);
            }
            return kept;
        }
        let errors = match self.loaded_for(use_) {
            None => vec![self.missing(use_)],
            Some(image) => match self.instances(Origin::Loaded(image), &[index]).await {
                Ok(made) => match made.into_iter().next() {
                    Some((_, Ok(fresh))) => {
                        self.note_kept(use_, &fresh);
                        return Ok(fresh);
                    }
                    _ => vec![self.missing(use_)],
                },
                Err(Unusable::File(refusal)) => vec![config_error(use_, &refusal)],
                Err(Unusable::Uses(problems)) => {
                    problems.into_iter().map(|(_, error, _)| error).collect()
                }
            },
        };
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let unchanged = self.trigger == Trigger::Reload && self.had_nothing(index);
        if self.is_strict() && !unchanged {
            self.errors.extend(errors);
        }
        Err(told.join("; "))
    }

    /// An image in use that this use admits: the one it had itself, before those of others.
    pub(super) fn loaded_for(&self, use_: &PluginUse) -> Option<Arc<Image>> {
        let fits =
            |instance: &Instance| instance.identity().id == *use_.name && admits(use_, instance);
        let all = self.alive.all.iter();
        let mut fitting = all.filter(|(_, instance)| fits(instance));
        let own = fitting.clone().find(|(key, _)| *key == &*use_.place.key);
        let (_, instance) = own.or_else(|| fitting.next())?;
        instance.image().map(Arc::clone)
    }

    pub(super) fn note_kept(&mut self, use_: &PluginUse, instance: &Instance) {
        let note = format!(
            "{}@{} keeps serving {} although no fit file in {} has that plugin in a version that `{}` admits",
            instance.identity().id,
            instance.identity().version,
            use_.place.key,
            self.folder.path().display(),
            use_.version,
        );
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The sentence about a plugin that is not there, with what the folder has instead.
    pub(super) fn missing(&self, use_: &PluginUse) -> ConfigError {
        let folder = self.folder.path().display();
        let versions: Vec<String> = self
            .folder
            .candidates(&use_.name)
            .iter()
            .map(|candidate| candidate.fit.inspected.descriptor.version.to_string())
            .collect();
        let refused = self.folder.refusals_of(&use_.name);
        let refused: Vec<String> = refused.iter().map(ToString::to_string).collect();
        let problem = if versions.is_empty() {
            format!("the plugin {} is not in {folder}", use_.name)
        } else {
            format!(
                "{folder} has no version of the plugin {} that `{}` admits",
                use_.name, use_.version
            )
        };
        let error = ConfigError::new(use_.place.clone(), problem);
        let advice = match self.trigger {
            Trigger::Check => "put its file there",
            _ => "put its file there; this change is tried again when the folder changes",
        };
        match (versions.is_empty(), refused.is_empty()) {
            (false, _) => error
                .found(format!("version {}", versions.join(", ")))
                .advice(advice),
            (true, false) => error
                .found(format!("a refused file ({})", refused.join("; ")))
                .advice(advice),
            (true, true) => error.advice(advice),
        }
    }
}

fn admits(use_: &PluginUse, instance: &Instance) -> bool {
    instance
        .identity()
        .version
        .parse()
        .is_ok_and(|version| select::admitted(&version, &use_.version))
}
