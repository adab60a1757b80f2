//! All targets of all upstreams, kept over reloads, and how they are shown.

use std::sync::Arc;

use tokio::sync::Notify;

use super::target::TargetHealth;
use super::upstream::UpstreamHealth;
use crate::endpoint::Endpoint;
use crate::metrics::names;
use crate::metrics::page::{Family, Page};
use crate::metrics::traffic::Shelf;

/// All targets of all upstreams. One that no generation has any more is forgotten.
#[derive(Debug, Default)]
pub struct Register {
    upstreams: Shelf<Arc<str>, UpstreamHealth>,
    targets: Shelf<(Arc<str>, Endpoint), TargetHealth>,
    bell: Arc<Notify>,
}

impl Register {
    /// What is known of a target of an upstream. One that was not known came into rotation then; 0: it was there from the
    /// beginning.
    #[must_use]
    pub fn target(
        &self,
        upstream: &Arc<str>,
        target: &Endpoint,
        since_ms: u64,
    ) -> Arc<TargetHealth> {
        let key = (Arc::clone(upstream), target.clone());
        self.targets.get(&key, || {
            let make = || UpstreamHealth::new(Arc::clone(upstream), Arc::clone(&self.bell));
            let upstream = self.upstreams.get(upstream, make);
            TargetHealth::new(upstream, target.clone(), since_ms)
        })
    }

    /// Waits until a target is ejected; one ejection before is enough.
    pub async fn ejection(&self) {
        self.bell.notified().await;
    }

    /// Each target that a generation has, also one that left the configuration.
    pub fn each(&self, mut see: impl FnMut(&Arc<str>, &Endpoint, &Arc<TargetHealth>)) {
        self.targets
            .held(|(upstream, target), health| see(upstream, target, health));
    }

    /// Shows what is known as metrics.
    pub fn show(&self, page: &mut Page) {
        let mut up = Family::of(&names::TARGET_UP);
        let mut ejections = Family::of(&names::EJECTIONS);
        let mut checks = Family::of(&names::HEALTH_CHECKS);
        self.targets.each(|(upstream, target), health| {
            let target = target.to_string();
            // One that was taken away on purpose is not down.
            if !health.is_removed() {
                up.count(&[upstream, &target], u64::from(health.is_in_rotation()));
            }
            ejections.count(&[upstream, &target], health.ejections());
            let made = health.checks().filter(|(_, count)| *count > 0);
            made.for_each(|(result, count)| checks.count(&[upstream, &target, result], count));
        });
        // Forgets those that have no targets any more.
        self.upstreams.each(|_, _| {});
        for family in [up, ejections, checks] {
            page.add(family);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_target_is_known_for_as_long_as_somebody_has_it() {
        let register = Register::default();
        let name: Arc<str> = Arc::from("users");
        let address = Endpoint::from(SocketAddr::from(([10, 0, 0, 1], 80)));
        let one = register.target(&name, &address, 0);
        let again = register.target(&name, &address, 7);
        assert!(Arc::ptr_eq(&one, &again));
        assert_eq!(again.since_ms(), 0);
        let shown = || {
            let mut page = Page::default();
            register.show(&mut page);
            page.text().unwrap()
        };
        let line = "swapgate_upstream_target_up{upstream=\"users\",target=\"10.0.0.1:80\"} 1\n";
        assert!(shown().contains(line), "{}", shown());
        one.removed();
        assert!(!shown().contains("target_up"));
        assert!(shown().contains("ejections_total"));
        drop((one, again));
        let mut seen = 0;
        register.each(|_, _, _| seen += 1);
        assert_eq!(seen, 0);
        let _ = shown();
        assert_eq!(register.target(&name, &address, 7).since_ms(), 7);
    }
}
