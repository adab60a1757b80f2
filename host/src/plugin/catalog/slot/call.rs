//! Calling a plugin on the thread for foreign calls, and what is noted of a call that does not return in time; the calls
//! that bring an image to life.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Life, Slot, lock};
use crate::fault::{images, label};
use crate::mark;
use crate::plugin::foreign::{Foreign, NoResult};
use crate::plugin::library::{Loaded, Mapped, Mode};
use crate::plugin::mapped::ranges;
use crate::plugin::refusal::Reason;

impl Slot {
    /// Runs `work`, which calls `hook` of this plugin, on the thread for foreign calls.
    pub(in crate::plugin::catalog) async fn call<T: Send + 'static>(
        &self,
        foreign: &Foreign,
        hook: &'static str,
        deadline: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Reason> {
        let label = label::of(&self.shown().fit.identity());
        let returned = Arc::new(AtomicBool::new(false));
        let (shown, back) = (Arc::clone(&self.shown), Arc::clone(&returned));
        let work = move || {
            let result = {
                let _mark = mark::enter_control(label.index, hook);
                work()
            };
            // Under the lock, so that whoever gives up on the call sees it return or is seen here.
            let mut shown = lock(&shown);
            back.store(true, Ordering::Relaxed);
            if leaves_it_sound(hook)
                && let Some(at) = shown.stuck.iter().position(|stuck| *stuck == hook)
            {
                shown.stuck.remove(at);
            }
            drop(shown);
            result
        };
        let result = foreign.call(self.label(), hook, deadline, work).await;
        result.map_err(|error| match error {
            NoResult::Stuck(after) => {
                let mut shown = self.shown();
                if !(returned.load(Ordering::Relaxed) && leaves_it_sound(hook)) {
                    shown.stuck.push(hook);
                }
                drop(shown);
                Reason::Stuck {
                    hook: hook.to_owned(),
                    seconds: after.as_secs(),
                }
            }
            NoResult::NoThread => Reason::Io {
                action: format!("start a thread to call {hook}"),
                error: "the system gives none".to_owned(),
            },
        })
    }

    /// Maps the library unless it still is, enters it, and calls `load`.
    pub(in crate::plugin::catalog) async fn load(
        &self,
        life: &mut Life,
        foreign: &Foreign,
        deadline: Duration,
    ) -> Result<Arc<Loaded>, Reason> {
        let mapped = match life.mapped.clone() {
            Some(mapped) => mapped,
            None => {
                let (path, key, grounds) = (self.path(), self.key, self.grounds.clone());
                let identity = Arc::new(self.shown().fit.identity());
                // Set first: a constructor that hangs leaves the library mapped.
                self.mapped.store(true, Ordering::Release);
                let opened = self
                    .call(foreign, "a constructor", deadline, move || {
                        let mapped =
                            Mapped::open(&path, key.digest, &identity, key.door, &grounds)?;
                        images::mapped(&ranges(&path), label::of(&identity));
                        Ok(mapped)
                    })
                    .await?;
                if opened.is_err() {
                    self.mapped.store(false, Ordering::Release);
                }
                opened?
            }
        };
        life.mapped = Some(Arc::clone(&mapped));
        let loaded = self.enter(&mapped, foreign, deadline).await;
        if loaded.is_err() {
            mapped.metrics().end_life();
        }
        loaded
    }

    /// Enters a mapped library and calls `load`.
    async fn enter(
        &self,
        mapped: &Arc<Mapped>,
        foreign: &Foreign,
        deadline: Duration,
    ) -> Result<Arc<Loaded>, Reason> {
        let mapped = Arc::clone(mapped);
        let loaded = self
            .call(foreign, "sg_plugin_entry", deadline, move || {
                mapped.find_door(Mode::Serve)?.enter()
            })
            .await??;
        let flags = loaded.table().flags;
        self.only_one.store(flags.one_image_only, Ordering::Release);
        let call = Arc::clone(&loaded);
        self.call(foreign, "load", deadline, move || {
            call.table().load(call.mapped().host())
        })
        .await?
        .map_err(|error| error.reason("load", |text| Reason::LoadFailed { text }))?;
        Ok(loaded)
    }
}

/// Whether an image may be called again once this call has returned too late. What maps, enters, loads or ends an image
/// may have done its work behind the back of whoever gave up on it, and would be done twice.
fn leaves_it_sound(hook: &str) -> bool {
    !matches!(
        hook,
        "a constructor" | "sg_plugin_entry" | "load" | "unload" | "a destructor"
    )
}
