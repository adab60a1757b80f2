//! A new instance and the one whose place it takes.

use std::sync::Arc;

use super::refused::Unusable;
use super::{Run, Way};
use crate::config::ready::{OnStateRefusal, PluginUse};
use crate::config::without_secrets;
use crate::plugin::catalog::Lost;
use crate::plugin::image::Image;
use crate::plugin::instance::{Inherited, Instance};
use crate::plugin::refusal::Refusal;

impl Run<'_> {
    /// The instance of a use: the one that is alive, or a new one that was given the state of the one before, and is
    /// started.
    pub(super) async fn instance(
        &mut self,
        image: &Arc<Image>,
        indices: &[usize],
        index: usize,
    ) -> Result<Arc<Instance>, Unusable> {
        let Some(use_) = self.all.get(index).copied() else {
            return Err(Unusable::Uses(Vec::new()));
        };
        let made = self.catalog.configure(image, use_.config.reveal()).await;
        let mut instance = made.map_err(|refusal| self.all_refused(&[index], &refusal))?;
        if self.comes_back(index, &instance) {
            // It stopped knowing when it stopped serving. Its place is taken by a new one, which is given what was learnt since.
            self.catalog.discard(instance);
            let made = self.catalog.configure(image, use_.config.reveal()).await;
            instance = made.map_err(|refusal| self.all_refused(&[index], &refusal))?;
        }
        // After everything else of this plugin: what requests change in the old instance from here on is lost.
        if let Some(old) = self.before(index)
            && let Err(lost) = self.catalog.hand_over(&old, &instance).await
        {
            let kept = self.on_refusal(indices, use_) == OnStateRefusal::KeepOld;
            instance = self
                .without_state(image, use_, instance, lost, kept)
                .await
                .map_err(|refusal| self.all_refused(&[index], &refusal))?;
        }
        let started = self.catalog.start(&instance).await;
        started.map_err(|refusal| self.all_refused(&[index], &refusal))?;
        self.made.push(Arc::clone(&instance));
        Ok(instance)
    }

    /// Whether an instance does not serve any more, is still there for exchanges of before, and would take the place of one
    /// that has a state to hand over.
    fn comes_back(&self, index: usize, instance: &Arc<Instance>) -> bool {
        let is = |other: &Arc<Instance>| Arc::ptr_eq(other, instance);
        instance.is_started()
            && !self.made.iter().any(is)
            && !self.alive.places.iter().any(|(.., alive)| is(alive))
            && self
                .before(index)
                .is_some_and(|old| self.catalog.has_state(&old))
    }

    /// What becomes of an instance that does not get the state it should have: it begins empty, or it does not serve.
    async fn without_state(
        &mut self,
        image: &Arc<Image>,
        use_: &PluginUse,
        instance: Arc<Instance>,
        lost: Lost,
        kept: bool,
    ) -> Result<Arc<Instance>, Refusal> {
        let hide = |text: &str| without_secrets(&[use_], text);
        if kept {
            self.catalog.discard(instance);
            return Err(lost.refusal.hiding(hide));
        }
        let reason = hide(&lost.text);
        let note = format!(
            "{}@{} in {} starts empty, without the state of {}: {reason}",
            instance.id(),
            instance.identity().version,
            use_.place.key,
            lost.from
        );
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        let empty = if lost.is_spoilt {
            // A part of the state may have been taken over; nobody knows what such an instance does.
            self.catalog.discard(instance);
            self.catalog.configure(image, use_.config.reveal()).await?
        } else {
            instance
        };
        empty.inherit(Inherited::Lost { reason });
        Ok(empty)
    }

    /// The instance whose place a use's new one takes: with the same configuration where it is attached, with the same
    /// configuration anywhere, or whatever was attached there.
    pub(super) fn before(&self, index: usize) -> Option<Arc<Instance>> {
        let use_ = self.all.get(index).copied()?;
        let way = self.ways.get(index)?;
        let same_config = |old: &PluginUse| old.config == use_.config;
        let old = || {
            let places = self.alive.places.iter();
            places.filter(|(_, old, _)| old.name == use_.name)
        };
        let found = old()
            .find(|(at, old, _)| at == way && same_config(old))
            .or_else(|| old().find(|(_, old, _)| same_config(old)))
            .or_else(|| old().find(|(at, ..)| at == way))?;
        Some(Arc::clone(found.2))
    }

    /// Uses with the same configuration share an instance; where one of them will not have it empty, none gets it.
    fn on_refusal(&self, indices: &[usize], use_: &PluginUse) -> OnStateRefusal {
        let sharing = self.members(indices).into_iter();
        let mut sharing = sharing.filter(|other| other.config == use_.config);
        if sharing.any(|other| other.on_state_refusal == OnStateRefusal::KeepOld) {
            OnStateRefusal::KeepOld
        } else {
            OnStateRefusal::StartEmpty
        }
    }
}

/// Where each use of a configuration is attached, in the order of [`uses`](super::uses).
pub(super) fn ways(config: &crate::config::ready::Config) -> Vec<Way<'_>> {
    let global = config.plugins.iter().map(|_| Way::Global);
    let services = config.services.iter().flat_map(|service| {
        let way = Way::Service(&service.name);
        service.plugins.iter().map(move |_| way)
    });
    let routes = config.routes.iter().flat_map(|route| {
        let way = Way::Route(&route.name);
        route.plugins.iter().map(move |_| way)
    });
    global.chain(services).chain(routes).collect()
}
