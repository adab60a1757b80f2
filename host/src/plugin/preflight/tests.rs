use super::*;
use crate::config::ready::Permissions;
use crate::plugin::scan::scan;
use crate::plugin::stage::Stage;
use crate::plugin::testing::{self, plugin};

/// The test executable plays the gateway: started with the arguments of [`preflight`] it runs only this, as a child.
#[test]
fn child() {
    if std::env::args().any(|argument| argument == MARK) {
        assert_eq!(
            format!("{:?}", super::child::run()),
            format!("{:?}", std::process::ExitCode::SUCCESS)
        );
    }
}

const MARK: &str = "--skip=started-as-a-preflight-child";

pub(crate) fn preflight(timeout: Duration) -> Preflight {
    Preflight {
        exe: std::env::current_exe().expect("the test executable"),
        args: [
            "--exact",
            "plugin::preflight::tests::child",
            "--nocapture",
            MARK,
        ]
        .map(OsString::from)
        .to_vec(),
        timeout,
    }
}

fn fit(folder: &Path, flags: &[&str]) -> Fit {
    let plugins = folder.join("plugins.d");
    testing::private_folder(&plugins);
    plugin(&plugins, "demo.so", flags);
    let entry = scan(&plugins, Permissions::Strict)
        .expect("a folder")
        .entries
        .remove(0);
    let stage = Stage::prepare(&folder.join("state")).expect("a state folder");
    Fit::inspect(stage.stage(&entry, Permissions::Strict).expect("staged")).expect("fit")
}

fn run(flags: &[&str], configs: &[&str], seconds: u64) -> Result<Verdict, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let fit = fit(folder.path(), flags);
    testing::run(preflight(Duration::from_secs(seconds)).run(&fit, configs, &Verdicts::none()))
        .map_err(|refusal| {
            assert_eq!(refusal.step, Step::Preflight);
            refusal.reason.to_string()
        })
}

#[track_caller]
fn refused(flags: &[&str], expected: &str) {
    assert_eq!(run(flags, &["{}"], 30), Err(expected.to_owned()));
}

#[track_caller]
fn config_refused(flags: &[&str], expected: &str) {
    let verdict = run(flags, &["{}"], 30).expect("the file is fit");
    let reason = verdict.configs[0].clone().expect_err("refused").reason;
    assert_eq!(reason.to_string(), expected);
}

#[test]
fn a_good_plugin_is_ready() {
    let verdict = run(&[], &["{}", r#"{"a":1}"#], 30).expect("ready");
    assert_eq!(verdict.configs, [Ok(()), Ok(())]);
    assert_eq!(verdict.report.priority, 7);
    assert_eq!(verdict.report.hooks, ["access"]);
    assert_eq!(verdict.report.notes, [] as [&str; 0]);
}

#[test]
fn a_child_that_dies_is_told_with_its_place() {
    refused(
        &["-DEXTRA=__attribute__((constructor)) static void c(void) { *(volatile int *)8 = 1; }"],
        "it crashed the preflight in a constructor (dlopen) (SIGSEGV); mend the plugin",
    );
    refused(
        &["-DLOAD=exit(3);"],
        "it crashed the preflight in load (it ended the process with code 3); mend the plugin",
    );
    refused(
        &["-DLOAD=say(error, \"no such database\"); return SG_E_FAILED;"],
        "load failed (no such database); see the plugin's documentation",
    );
    refused(
        &["-DUNLOAD=abort();"],
        "it crashed the preflight in unload (SIGABRT); mend the plugin",
    );
}

#[test]
fn a_child_that_hangs_is_ended() {
    let constructor =
        "-DEXTRA=__attribute__((constructor)) static void c(void) { for (;;) pause(); }";
    assert_eq!(
        run(&["-include", "unistd.h", constructor], &["{}"], 5),
        Err(
            "a constructor (dlopen) did not return within 5 s in the preflight; mend the plugin, or raise \
             loader.preflight_timeout"
                .to_owned()
        )
    );
    let configure = "-DCONFIGURE=if (config.len == 3) for (;;) pause(); return SG_OK;";
    let flags = ["-include", "unistd.h", configure, "-DDESTROY="];
    let verdict = run(&flags, &["{}", "{ }", "{}"], 5).expect("the file is fit");
    assert!(verdict.configs[0].is_ok() && verdict.configs[2].is_ok());
    let reason = verdict.configs[1].clone().expect_err("refused").reason;
    assert_eq!(
        reason.to_string(),
        "configure did not return within 5 s in the preflight; mend the plugin, or raise loader.preflight_timeout"
    );
}

#[test]
fn a_child_sees_nothing_of_our_environment_and_says_why_it_died() {
    assert!(std::env::var_os("PATH").is_some());
    let verdict = run(
        &[
            "-DCONFIGURE=return getenv(\"PATH\") ? SG_E_FAILED : SG_OK;",
            "-DDESTROY=",
        ],
        &["{}"],
        30,
    );
    assert_eq!(verdict.expect("fit").configs, [Ok(())]);
    refused(
        &[
            "-include",
            "stdio.h",
            "-DLOAD=printf(\"{\\\"done\\\":1}\\n\"); fflush(stdout); fprintf(stderr, \"no\\nluck\"); abort();",
        ],
        "it crashed the preflight in load (SIGABRT), saying \"{\\\"done\\\":1} no luck\"; mend the plugin",
    );
}

#[test]
fn a_bad_configuration_costs_only_itself() {
    let flags = [
        "-DCONFIGURE=if (config.len == 2) abort(); if (config.len == 3) { say(error, \"no key\"); return SG_E_FAILED; } \
         return SG_OK;",
        "-DDESTROY=",
    ];
    let verdict = run(&flags, &["{}", "{ }", "{  }"], 30).expect("the file is fit");
    let texts: Vec<String> = verdict
        .configs
        .iter()
        .map(|outcome| {
            outcome
                .as_ref()
                .map_or_else(|refusal| refusal.reason.to_string(), |()| "ok".to_owned())
        })
        .collect();
    assert_eq!(
        texts,
        [
            "it crashed the preflight in configure (SIGABRT); mend the plugin",
            "configure refused the configuration (no key); mend the configuration",
            "ok"
        ]
    );
}

#[test]
fn hooks_that_misbehave() {
    config_refused(
        &["-DCONFIGURE=say(error, \"oh no\"); return SG_E_PANIC;"],
        "configure panicked (oh no); mend the plugin",
    );
    config_refused(
        &["-DACCESS=return 42;"],
        "access answered the unknown code 42; mend the plugin",
    );
    config_refused(
        &["-DACCESS=return SG_E_PANIC;"],
        "access panicked (no text); mend the plugin",
    );
    config_refused(
        &["-DACCESS=abort();"],
        "it crashed the preflight in access (SIGABRT); mend the plugin",
    );
    let verdict = run(&["-DACCESS=return SG_RESPOND;"], &["{}"], 30).expect("fit");
    assert_eq!(
        verdict.report.notes,
        ["access answers a request without credentials itself"]
    );
}

#[test]
fn the_schema_comes_before_configure() {
    config_refused(
        &[
            "-DSCHEMA=\"{\\\"required\\\":[\\\"key\\\"]}\"",
            "-DCONFIGURE=abort();",
        ],
        "the configuration does not fit the plugin's schema (\"key\" is a required property); mend the configuration",
    );
}

#[test]
fn what_passed_is_remembered_by_build_and_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let fit = fit(folder.path(), &[]);
    let good = preflight(Duration::from_secs(30));
    let state = folder.path().join("state");
    let verdicts = Verdicts::open(&state, &good.exe);
    let first = testing::run(good.run(&fit, &["{}"], &verdicts)).expect("ready");

    // A child that cannot start shows whether one was needed.
    let broken = Preflight {
        exe: folder.path().join("nothing"),
        ..good.clone()
    };
    let again = testing::run(broken.run(&fit, &["{}"], &verdicts)).expect("remembered");
    assert_eq!(again.report, first.report);
    assert!(testing::run(broken.run(&fit, &["{ }"], &verdicts)).is_err());
    // Only what is new is tried, and joins what is known.
    let more = testing::run(good.run(&fit, &["{}", "{ }"], &verdicts)).expect("ready");
    assert_eq!(more.configs, [Ok(()), Ok(())]);
    assert!(testing::run(broken.run(&fit, &["{ }", "{}"], &verdicts)).is_ok());
    let other_build = folder.path().join("gateway");
    std::fs::write(&other_build, "another").expect("a file");
    let other = Verdicts::open(&state, &other_build);
    assert!(testing::run(broken.run(&fit, &["{}"], &other)).is_err());
    // One that only starts leaves what another one knows; one that serves does not, and even then that one can remember.
    let known = |verdicts: &Verdicts| testing::run(broken.run(&fit, &["{}"], verdicts)).is_ok();
    assert!(known(&Verdicts::open(&state, &good.exe)));
    other.remove_others();
    assert!(!known(&Verdicts::open(&state, &good.exe)));
    testing::run(good.run(&fit, &["{}", "{  }"], &verdicts)).expect("ready");
    assert!(known(&Verdicts::open(&state, &good.exe)));
}
