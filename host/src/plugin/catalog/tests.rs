//! Images and instances from their files to their ends.

mod stuck;

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::ready::{Permissions, UnloadPolicy};
use crate::plugin::mapped::ranges;
use crate::plugin::preflight::tests::preflight as children;
use crate::plugin::scan::scan;
use crate::plugin::testing::{self, plugin};

/// A catalog over folders of its own.
struct Fixture {
    folder: tempfile::TempDir,
    catalog: Catalog,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        testing::private_folder(&folder.path().join("plugins.d"));
        let loader = Loader {
            permissions: Permissions::Strict,
            preflight_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(30),
            unload: UnloadPolicy::Auto,
            max_images: 4,
            state_bytes: 1 << 20,
        };
        let mut catalog = Catalog::new(Settings {
            state_dir: folder.path().join("state"),
            exe: children(Duration::ZERO).exe,
            loader: loader.clone(),
            workers: 2,
            services: testing::services(),
        })
        .expect("a catalog");
        catalog.preflight = children(loader.preflight_timeout);
        Self { folder, catalog }
    }

    fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins.d")
    }

    async fn fit(&mut self, name: &str, flags: &[&str]) -> Arc<Fit> {
        let path = plugin(&self.plugins(), name, flags);
        self.admit(&path).await.expect("fits")
    }

    async fn admit(&mut self, path: &Path) -> Result<Arc<Fit>, Refusal> {
        let entries = scan(&self.plugins(), Permissions::Strict).expect("a folder");
        let entry = entries.entries.into_iter().find(|entry| entry.path == path);
        self.catalog.admit(entry.expect("the file")).await
    }

    async fn instance(&mut self, fit: &Arc<Fit>, config: &str) -> Arc<Instance> {
        let image = self.catalog.activate(fit).await.expect("loads");
        self.catalog
            .configure(&image, config)
            .await
            .expect("configures")
    }

    async fn settle(&mut self) {
        assert!(self.catalog.quiesce(Duration::from_secs(60)).await);
    }

    fn state(&self, fit: &Fit) -> String {
        self.find(fit).state
    }

    fn find(&self, fit: &Fit) -> ImageReport {
        self.catalog
            .report()
            .into_iter()
            .find(|report| report.digest == fit.digest())
            .expect("a report")
    }
}

fn run<F: Future>(test: impl FnOnce(Fixture) -> F) -> F::Output {
    testing::run(test(Fixture::new()))
}

#[test]
fn a_c_plugin_lives_and_is_unmapped() {
    run(async |mut fixture: Fixture| {
        let fit = fixture.fit("demo.so", &[]).await;
        assert_eq!(fixture.state(&fit), "inspected");
        let verdict = fixture
            .catalog
            .preflight(&fit, &["{}"], str::to_owned)
            .await
            .expect("ready");
        assert_eq!(verdict.configs, [Ok(())]);
        assert_eq!(fixture.state(&fit), "preflighted");
        let instance = fixture.instance(&fit, "{}").await;
        assert_eq!(fixture.state(&fit), "configured");
        fixture.catalog.start(&instance).await.expect("starts");
        let image = fixture.catalog.activate(&fit).await.expect("is there");
        fixture.catalog.published(std::iter::once(&image));
        assert_eq!(fixture.state(&fit), "active");
        assert_eq!(ranges(&fit.staged.path).len(), 1);

        instance
            .stats(0)
            .phase(crate::context::Phase::Access)
            .count_call();
        instance
            .stats(7)
            .phase(crate::context::Phase::Access)
            .count_call();
        fixture.catalog.published(std::iter::empty());
        assert_eq!(fixture.state(&fit), "draining");
        drop((instance, image));
        fixture.settle().await;
        let report = fixture.find(&fit);
        assert_eq!((report.state.as_str(), report.mapped), ("unloaded", false));
        assert_eq!(report.hooks[0].calls, 2);
        assert!(ranges(&fit.staged.path).is_empty());

        // And back again, from the same copy.
        let instance = fixture.instance(&fit, "{}").await;
        assert_eq!(fixture.state(&fit), "configured");
        drop(instance);
        fixture.settle().await;
        fixture.catalog.forget_except(&[]);
        assert!(fixture.catalog.report().is_empty());
        assert!(!fit.staged.path.exists());
    });
}

#[test]
fn a_resident_image_is_entered_again_and_never_mapped_twice() {
    run(async |mut fixture: Fixture| {
        let fit = fixture
            .fit("demo.so", &["-DFLAGS=SG_PLUGIN_RESIDENT"])
            .await;
        let mut before = Vec::new();
        for _ in 0..3 {
            let instance = fixture.instance(&fit, "{}").await;
            let now = ranges(&fit.staged.path);
            assert_eq!(now.len(), 1);
            assert!(before.is_empty() || before == now);
            before = now;
            drop(instance);
            fixture.settle().await;
            let report = fixture.find(&fit);
            assert_eq!((report.state.as_str(), report.mapped), ("resident", true));
            assert_eq!(report.reasons, ["the plugin asks to stay"]);
        }
        assert_eq!(fixture.catalog.resident(), 1);
    });
}

#[test]
fn an_instance_that_is_still_alive_is_kept() {
    run(async |mut fixture: Fixture| {
        let fit = fixture.fit("demo.so", &[]).await;
        let one = fixture.instance(&fit, "{}").await;
        let same = fixture.instance(&fit, "{}").await;
        let other = fixture.instance(&fit, r#"{"a":1}"#).await;
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &other));
        assert_eq!(fixture.find(&fit).instances.len(), 2);
    });
}

#[test]
fn an_image_used_again_before_it_ended_is_not_unloaded() {
    run(async |mut fixture: Fixture| {
        let fit = fixture.fit("demo.so", &["-DUNLOAD=abort();"]).await;
        let instance = fixture.instance(&fit, "{}").await;
        drop(instance);
        let event = fixture.catalog.retired().await.expect("the instance");
        assert!(matches!(event, Retired::Instance(_)));
        fixture.catalog.on_retired(event);
        let event = fixture.catalog.retired().await.expect("the image");
        assert!(matches!(event, Retired::Image(_)));
        let again = fixture.instance(&fit, "{}").await;
        fixture.catalog.on_retired(event);
        fixture.settle().await;
        assert_eq!(fixture.state(&fit), "configured");
        // `unload` would end this process, so it may not even run at the end of the test.
        std::mem::forget(again);
    });
}

#[test]
fn the_cap_counts_distinct_images() {
    run(async |mut fixture: Fixture| {
        let mut fits = Vec::new();
        for version in 0..5 {
            let version = format!("-DVERSION=\"1.0.{version}\"");
            fits.push(
                fixture
                    .fit("demo.so", &["-DFLAGS=SG_PLUGIN_RESIDENT", &version])
                    .await,
            );
        }
        for fit in &fits[..4] {
            drop(fixture.instance(fit, "{}").await);
            fixture.settle().await;
        }
        let refusal = fixture
            .catalog
            .activate(&fits[4])
            .await
            .expect_err("one too many");
        assert_eq!(
            refusal.reason.to_string(),
            "4 images are mapped already, as many as loader.max_images allows; restart the gateway gracefully"
        );
        // One that is mapped already costs nothing.
        fixture.instance(&fits[0], "{}").await;
    });
}

#[test]
fn one_image_only_is_one_per_process_whatever_the_plugin() {
    run(async |mut fixture: Fixture| {
        let only = "-DFLAGS=SG_PLUGIN_ONE_IMAGE_ONLY";
        let one = fixture.fit("one.so", &[only, "-DID=\"one\""]).await;
        let two = fixture.fit("two.so", &[only, "-DID=\"two\""]).await;
        let three = fixture.fit("three.so", &["-DID=\"three\""]).await;
        let held = fixture.instance(&one, "{}").await;
        let refusal = fixture
            .catalog
            .activate(&two)
            .await
            .expect_err("is refused");
        assert_eq!(
            refusal.reason.to_string(),
            "plugin two allows one image with ONE_IMAGE_ONLY per process, and one@1.2.3 is mapped; restart the gateway to \
             change over"
        );
        fixture.instance(&three, "{}").await;
        drop(held);
        fixture.settle().await;
        // It could be unmapped, so there is room for the other one now.
        fixture.instance(&two, "{}").await;
    });
}

#[test]
fn what_the_table_gets_wrong_is_refused() {
    run(async |mut fixture: Fixture| {
        for (flag, what) in [
            ("-DFLAGS=64", "its flags 0x40 are unknown"),
            ("-DTABLE_SIZE=8", "its struct_size is 8, below 248"),
            (
                "-DTABLE_ID=\"other\"",
                "its id is \"other\", but the descriptor says \"demo\"",
            ),
            (
                "-DFEATURES=4",
                "it requires features 0x4, of which this gateway has none",
            ),
            (
                "-DNO_CONFIGURE=0",
                "it has hooks of an instance but no configure",
            ),
            ("-DANSWER_MINOR=9", "it negotiated minor 9 instead of 4"),
            ("-DANSWER_TABLE=0", "there is none: out.plugin is null"),
        ] {
            let fit = fixture.fit("demo.so", &[flag]).await;
            let refusal = fixture
                .catalog
                .activate(&fit)
                .await
                .expect_err("is refused");
            let expected = format!("its table of functions is wrong: {what}; mend the plugin");
            assert_eq!(refusal.reason.to_string(), expected);
            fixture.catalog.loader.max_images += 1;
        }
    });
}
