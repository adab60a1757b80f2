//! Calls that hang, or that return when nobody waits for them any more.

use super::*;

#[test]
fn a_call_that_hangs_is_stuck_and_takes_nobody_with_it() {
    run(async |mut fixture: Fixture| {
        let hangs = fixture
            .fit(
                "hangs.so",
                &[
                    "-DID=\"hangs\"",
                    "-DDESTROY=for (volatile int i = 1; i;) sleep(1);",
                    "-include",
                    "unistd.h",
                ],
            )
            .await;
        let good = fixture.fit("demo.so", &[]).await;
        let instance = fixture.instance(&hangs, "{}").await;
        fixture.catalog.loader.call_timeout = Duration::from_millis(50);
        drop(instance);
        fixture.settle().await;
        let report = fixture.find(&hangs);
        assert_eq!(
            (report.state.as_str(), report.mapped),
            ("stuck(destroy)", true)
        );
        assert_eq!(report.reasons, ["destroy has not returned"]);
        assert_eq!(fixture.catalog.foreign().stuck()[0].plugin, "hangs@1.2.3");
        fixture.catalog.loader.call_timeout = Duration::from_secs(30);
        let refusal = fixture
            .catalog
            .activate(&hangs)
            .await
            .expect_err("is refused");
        assert_eq!(refusal.step, Step::Load);
        fixture.instance(&good, "{}").await;
    });
}

#[test]
fn a_call_that_returns_late_refuses_nobody_for_ever() {
    run(async |mut fixture: Fixture| {
        let flags = ["-DSTART=usleep(300000); return 0;", "-include", "unistd.h"];
        let slow = fixture.fit("slow.so", &flags).await;
        let instance = fixture.instance(&slow, "{}").await;
        fixture.catalog.loader.call_timeout = Duration::from_millis(50);
        let refusal = fixture.catalog.start(&instance).await;
        let refusal = refusal.expect_err("does not return in time");
        assert!(matches!(*refusal.reason, Reason::Stuck { .. }));
        fixture.catalog.loader.call_timeout = Duration::from_secs(30);
        while !fixture.catalog.foreign().stuck().is_empty() {
            tokio::task::yield_now().await;
        }
        fixture.instance(&slow, "{ }").await;
    });
}

#[test]
fn an_image_is_measured_once_at_a_time_and_not_after_it_was_late() {
    run(async |mut fixture: Fixture| {
        let fit = fixture.fit("demo.so", &[]).await;
        let _instance = fixture.instance(&fit, "{}").await;
        let (slot, _image) = fixture.catalog.view().serving().remove(0);
        let first = slot.claim_measurement().expect("is free");
        assert!(slot.claim_measurement().is_none());
        drop(first);
        let late = slot.claim_measurement().expect("is free again");
        slot.measure_no_more();
        drop(late);
        assert!(slot.claim_measurement().is_none());
    });
}

#[test]
fn an_instance_whose_start_hangs_is_not_destroyed() {
    run(async |mut fixture: Fixture| {
        let hangs = fixture
            .fit(
                "hangs.so",
                &[
                    "-DSTART=for (volatile int i = 1; i;) sleep(1); return 0;",
                    "-DDESTROY=abort();",
                    "-include",
                    "unistd.h",
                ],
            )
            .await;
        let instance = fixture.instance(&hangs, "{}").await;
        let image = Arc::clone(instance.image().expect("an image"));
        fixture.catalog.loader.call_timeout = Duration::from_millis(50);
        let refusal = fixture
            .catalog
            .start(&instance)
            .await
            .expect_err("does not return");
        assert_eq!(refusal.step, Step::Start);
        // On a busy machine the call that skips `destroy` would count as stuck as well.
        fixture.catalog.loader.call_timeout = Duration::from_secs(30);
        drop(instance);
        fixture.settle().await;
        assert_eq!(fixture.catalog.foreign().stuck().len(), 1);
        // Nor is anything else asked of it.
        let refusal = fixture
            .catalog
            .configure(&image, "{ }")
            .await
            .expect_err("is refused");
        assert!(matches!(*refusal.reason, Reason::Stuck { .. }));
        drop(image);
        fixture.settle().await;
        assert!(fixture.find(&hangs).mapped);
    });
}

#[test]
fn configure_may_refuse_panic_or_hang() {
    run(async |mut fixture: Fixture| {
        let fit = fixture
            .fit("demo.so", &["-DCONFIGURE=if (config.len == 2) { say(error, \"no key\"); return SG_E_FAILED; } \
                if (config.len == 3) { say(error, \"boom\"); return SG_E_PANIC; } for (volatile int i = 1; i;) sleep(1); return 0;",
                "-include", "unistd.h"])
            .await;
        let image = fixture.catalog.activate(&fit).await.expect("loads");
        let mut texts = Vec::new();
        for config in ["{}", "{ }", "{  }"] {
            if config.len() == 4 {
                fixture.catalog.loader.call_timeout = Duration::from_millis(50);
            }
            let refusal = fixture
                .catalog
                .configure(&image, config)
                .await
                .expect_err("refused");
            assert_eq!(refusal.step, Step::Configure);
            texts.push(refusal.reason.to_string());
        }
        assert_eq!(
            texts,
            [
                "configure refused the configuration (no key); mend the configuration",
                "configure panicked (boom); mend the plugin",
                "configure did not return within 0 s and keeps its thread; the plugin stays as it is until the gateway \
                 restarts"
            ]
        );
    });
}
