//! A full disk stops logs and changes, not traffic; and once there is room they go on by themselves.

use std::fs;
use std::os::unix::fs::symlink;

use swapgate_tests::{Gateway, SmallDisk, wait_until};

use crate::world::{config, load, prepared, rests, stamp, stamp_of, wait_for_stamp};

#[test]
fn under_the_log() {
    let Some(disk) = SmallDisk::mount(64) else {
        return;
    };
    let (builder, _upstream) = prepared("");
    let folder = builder.plugins().path().parent().expect("it lies in one");
    let log = disk.path().join("log");
    symlink(&log, folder.join("log")).expect("the folder is ours");
    let gateway = builder.argument("--log").argument("debug").start();
    let load = load(&gateway);
    for _ in 0..3 {
        disk.fill();
        let before = lost(&gateway);
        wait_until("lines to be lost and counted", || {
            chatter(&gateway);
            lost(&gateway) >= before + 100.0
        });
        load.wait_for_more(100);
        disk.empty();
        // The log of a busy gateway fills the little there is in a moment.
        wait_until("the log to say so", || {
            chatter(&gateway);
            let said = fs::read_to_string(&log).unwrap_or_default();
            let said =
                said.contains("lines of this log could not be written and are lost: No space left");
            if !said {
                let _ = fs::File::options()
                    .write(true)
                    .open(&log)
                    .and_then(|log| log.set_len(0));
            }
            said
        });
    }
    let _ = load.stop_without_failure();
    rests(&gateway);
}

/// Requests that have a line each in the log.
fn chatter(gateway: &Gateway) {
    for _ in 0..20 {
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\n\r\n");
        assert_eq!(client.expect_response().status, 400);
    }
}

fn lost(gateway: &Gateway) -> f64 {
    let metrics = gateway.metrics();
    let lost = metrics.value("swapgate_log_lines_lost_total{why=\"output\"}");
    lost.expect("it is shown from the beginning")
}

#[test]
fn under_the_access_log() {
    let Some(disk) = SmallDisk::mount(64) else {
        return;
    };
    let file = disk.path().join("access.log");
    let uses = format!(
        "{{name: access-log, config: {{output: {{file: {}}}, queue: 50, flush: 5ms}}}}",
        file.display()
    );
    let (builder, _upstream) = prepared(&uses);
    let gateway = builder.plugin("access_log").start();
    let load = load(&gateway);
    let lines = |outcome: &str| {
        let metrics = gateway.metrics();
        let series = metrics.series("swapgate_plugin_access_log_lines_total");
        let series = series.iter().find(|series| series.contains(outcome));
        series
            .and_then(|series| metrics.value(series))
            .unwrap_or(0.0)
    };
    disk.fill();
    wait_until("lines to be dropped and counted", || {
        lines("dropped") > 20.0
    });
    load.wait_for_more(100);
    gateway.wait_for_log("No space left on device");
    let written = lines("written");
    disk.empty();
    wait_until("lines to be written again", || lines("written") > written);
    gateway.wait_for_log("is written to");
    let _ = load.stop_without_failure();
    let text = fs::read_to_string(&file).expect("it is there");
    for line in text.lines() {
        let whole: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(whole.is_ok(), "{line}");
    }
    rests(&gateway);
}

#[test]
fn under_the_state_folder() {
    let Some(disk) = SmallDisk::mount(64 << 10) else {
        return;
    };
    let (_, upstream) = prepared("");
    let state = disk.path().join("state");
    let text = format!(
        "\
format: 1
listeners: [{{name: public, address: \"127.0.0.1:0\"}}]
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: {}
{}",
        state.display(),
        config("{name: stamp}")
    );
    let gateway = Gateway::with_whole(&text)
        .set("up", upstream.address())
        .plugin_bytes("libstamp.so", stamp("v1").bytes())
        .start();
    wait_for_stamp(&gateway, "v1");
    let load = load(&gateway);
    disk.fill();

    let put = |name: &str| {
        let plugin = stamp(name);
        gateway.plugins().rename(plugin.bytes(), "libstamp.so");
    };
    put("v2");
    let refused = gateway.wait_for_status("the swap to be refused", |status| {
        status["refused"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    });
    let sentence = refused["refused"][0]["text"].as_str().expect("a text");
    assert!(
        sentence.ends_with(
            "libstamp.so: cannot write a copy to the state folder (No space left on device (os error 28)); check permissions and free space"
        ),
        "{sentence}"
    );
    assert_eq!(stamp_of(&gateway).as_deref(), Some("v1"));

    // A reload needs no room for what serves already.
    let more = text.replace(
        "routes: [",
        "routes: [{name: more, service: s, paths: [/more]}, ",
    );
    let generation = gateway.generation();
    gateway.rename_whole_config(&more);
    gateway.wait_for_generation_after(generation);
    assert_eq!(gateway.get("/more").status, 200);
    assert_eq!(stamp_of(&gateway).as_deref(), Some("v1"));

    disk.empty();
    // Nobody asks for it.
    wait_for_stamp(&gateway, "v2");
    put("v3");
    wait_for_stamp(&gateway, "v3");
    let _ = load.stop_without_failure();
    rests(&gateway);
}
