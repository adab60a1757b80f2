//! The privileges of root, dropped once everything is bound. Whoever runs the tests without them sees what that is told.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use swapgate_tests::gateway::Builder;
use swapgate_tests::port::Port;
use swapgate_tests::{Certificates, Gateway, Secure, Upstream, process, wait_for};

use super::{of_threads, prepared, put, reload, routes, upgraded};

/// An account that every Debian has.
const NOBODY: u32 = 65_534;
const AS_NOBODY: &str = "process: {user: nobody, group: nogroup}\n";

fn is_root() -> bool {
    let root = geteuid().is_root();
    if !root {
        println!("needs root; what others are told is in the case of who is not root");
    }
    root
}

/// A gateway that becomes nobody, and announces itself where nobody can write.
fn as_nobody(settings: &str, plugins: &str, upstream: &Upstream) -> Builder {
    prepared(&format!("{AS_NOBODY}{settings}"), plugins, upstream)
        .open_to_others()
        .announce_to("state/announce.json")
}

#[track_caller]
fn is_nobody(pid: u32) {
    let four = format!("{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}");
    for (field, expected) in [
        ("Uid:", &*four),
        ("Gid:", &four),
        ("Groups:", "65534"),
        ("CapPrm:", "0000000000000000"),
        ("CapEff:", "0000000000000000"),
    ] {
        let threads = of_threads(pid, field);
        assert!(threads.len() > 3, "workers, control, watchdog: {threads:?}");
        let same = threads.iter().all(|one| one == expected);
        assert!(same, "{field} {threads:?}");
    }
}

#[test]
fn every_thread_becomes_the_user_and_everything_works_as_before() {
    if !is_root() {
        return;
    }
    let upstream = Upstream::echo();
    let unix = tempfile::tempdir().expect("a folder");
    let path = unix.path().join("gate.sock");
    fs::set_permissions(unix.path(), fs::Permissions::from_mode(0o777)).expect("ours");
    let listeners = format!(
        "format: 1\nlisteners: [{{name: public, address: \"127.0.0.1:0\"}}, {{name: local, address: \"unix:{}\"}}]\nadmin: {{address: \"127.0.0.1:0\"}}\nplugins_dir: plugins.d\nstate_dir: state\nworkers: 2\n{AS_NOBODY}{}",
        path.display(),
        routes(", plugins: [{name: stamp}]")
    );
    let mut gateway = Gateway::with_whole(&listeners)
        .set("up", upstream.address())
        .open_to_others()
        .announce_to("state/announce.json")
        .plugin("stamp")
        .start();
    assert_eq!(
        gateway.get("/").status,
        200,
        "the plugin was tried and loaded as nobody"
    );
    let pid = u32::try_from(gateway.pid().as_raw_nonzero().get()).expect("a process");
    is_nobody(pid);
    let bound = of_threads(pid, "NoNewPrivs:");
    assert!(
        bound.iter().filter(|&one| one == "1").count() > 3,
        "{bound:?}"
    );
    assert!(gateway.log().contains("dropped the privileges of root"));
    let owner = |path: &std::path::Path| fs::metadata(path).expect("it is there").uid();
    assert_eq!(owner(&gateway.folder().join("state")), NOBODY);
    assert_eq!(
        owner(&path),
        NOBODY,
        "so that its group gets in, and it can be removed"
    );
    assert_eq!(
        owner(&gateway.folder().join("plugins.d")),
        0,
        "plugins are not the user's to change"
    );
    reload(
        &gateway,
        &listeners.replace("name: all", "name: other"),
        "published",
    );
    put(&gateway, "headers");
    let other = listeners.replace("{name: stamp}", "{name: headers}");
    reload(&gateway, &other, "published");
    assert!(gateway.terminate().success());
    assert!(!path.exists());
}

#[test]
fn a_low_port_afterwards_is_refused_with_what_to_do() {
    let low = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if !is_root() || low.is_ok_and(|text| text.trim() == "0") {
        return;
    }
    let upstream = Upstream::echo();
    let gateway = as_nobody("", "", &upstream).start();
    let text = fs::read_to_string(gateway.config_file()).expect("it is there");
    let more = text.replace(
        "listeners: [",
        "listeners: [{name: low, address: \"127.0.0.1:19\"}, ",
    );
    let errors = reload(&gateway, &more, "refused");
    for word in [
        "listener low cannot bind 127.0.0.1:19",
        "CAP_NET_BIND_SERVICE",
        "socket unit",
        "restart it as root",
    ] {
        assert!(errors.join(" ").contains(word), "{word}: {errors:?}");
    }
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_key_that_only_root_can_read_serves_until_the_end() {
    if !is_root() {
        return;
    }
    let upstream = Upstream::echo();
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.test"]);
    fs::set_permissions(certificates.folder(), fs::Permissions::from_mode(0o755)).expect("ours");
    fs::set_permissions(&pair.key, fs::Permissions::from_mode(0o600)).expect("ours");
    let text = format!(
        "format: 1\nlisteners: [{{name: public, address: \"127.0.0.1:0\", tls: {{certificates: [{}]}}}}]\nadmin: {{address: \"127.0.0.1:0\"}}\nplugins_dir: plugins.d\nstate_dir: state\nworkers: 2\n{AS_NOBODY}{}",
        pair.entry(),
        routes("")
    );
    let gateway = Gateway::with_whole(&text)
        .set("up", upstream.address())
        .open_to_others()
        .announce_to("state/announce.json")
        .start();
    let key = pair.key.display().to_string();
    gateway.wait_for_log(&format!("nobody cannot read {key}"));
    let serves = || {
        let config = swapgate_tests::SecureConfig::new(&certificates.ca(), None);
        let mut client: Secure = config.connect(gateway.address(), "a.test").expect("TLS");
        client.get("a.test", "/").expect("an answer").status
    };
    assert_eq!(serves(), 200);
    let errors = reload(
        &gateway,
        &text.replace("name: all", "name: other"),
        "refused",
    );
    assert!(errors.join(" ").contains(&key), "{errors:?}");
    assert_eq!(serves(), 200);
    fs::set_permissions(&pair.key, fs::Permissions::from_mode(0o644)).expect("ours");
    let before = gateway.generation();
    gateway.signal(Signal::HUP);
    gateway.wait_for_generation_after(before);
}

#[test]
fn a_child_of_a_supervisor_drops_them_and_the_supervisor_does_not() {
    if !is_root() {
        return;
    }
    let upstream = Upstream::echo();
    let gateway = as_nobody("", ", plugins: [{name: stamp}]", &upstream)
        .plugin("stamp")
        .argument("--supervised")
        .start();
    let first = process::children(gateway.pid())[0];
    is_nobody(first);
    let id = i32::try_from(first).ok().and_then(Pid::from_raw);
    kill_process(id.expect("a process"), Signal::KILL).expect("it lives");
    assert_eq!(gateway.get("/").status, 200);
    let second = wait_for("another child", || {
        process::children(gateway.pid())
            .into_iter()
            .find(|&one| one != first)
    });
    is_nobody(second);
}

#[test]
fn an_upgrade_begins_with_what_is_left_of_them() {
    if !is_root() {
        return;
    }
    for supervised in [false, true] {
        let upstream = Upstream::echo();
        let builder = as_nobody("", ", plugins: [{name: stamp}]", &upstream).plugin("stamp");
        let builder = if supervised {
            builder.argument("--supervised")
        } else {
            builder
        };
        let gateway = builder.start();
        is_nobody(gateway.serving());
        // The second one is that of a process that was never root, or of a supervising one that still is.
        for _ in 0..2 {
            let serving = upgraded(&gateway, supervised);
            is_nobody(serving);
            assert_eq!(gateway.get("/").status, 200);
        }
        if supervised {
            let parent = u32::try_from(gateway.pid().as_raw_nonzero().get());
            let users = of_threads(parent.expect("a process"), "Uid:");
            assert!(users.iter().all(|one| one == "0\t0\t0\t0"), "{users:?}");
        }
        reload(
            &gateway,
            &fs::read_to_string(gateway.config_file())
                .expect("it is there")
                .replace("name: all", "name: other"),
            "published",
        );
    }
}

#[test]
fn who_cannot_become_whom_is_told() {
    let upstream = Upstream::echo();
    let refused = |settings: &str, expected: &str| {
        let refusal = prepared(settings, "", &upstream).launch().wait_for_end();
        assert_eq!(refusal.code, Some(1), "{}", refusal.stderr);
        assert!(refusal.stderr.contains(expected), "{}", refusal.stderr);
    };
    refused(
        "process: {user: no-such-user}\n",
        "there is no user no-such-user on this system",
    );
    refused("process: {user: root}\n", "root is root");
    if !is_root() {
        return refused(AS_NOBODY, "may not become nobody");
    }
    let builder = as_nobody("", "", &upstream);
    fs::create_dir(builder.folder().join("state")).expect("ours");
    let refusal = builder.launch().wait_for_end();
    assert!(
        refusal.stderr.contains("nobody cannot write to"),
        "{}",
        refusal.stderr
    );
    assert!(
        refusal.stderr.contains("chown -R nobody"),
        "{}",
        refusal.stderr
    );
}

#[test]
fn who_is_not_root_must_be_the_user_already() {
    if !is_root() {
        return;
    }
    let upstream = Upstream::echo();
    // A copy that everybody may start.
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let by = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let other = prepared("process: {user: daemon}\n", "", &upstream);
    let refusal = other
        .open_to_others()
        .started_by(&by)
        .launch()
        .wait_for_end();
    assert_eq!(refusal.code, Some(1), "{}", refusal.stderr);
    assert!(
        refusal
            .stderr
            .contains("runs as number 65534 and may not become daemon"),
        "{}",
        refusal.stderr
    );
    let same = as_nobody("", "", &upstream);
    let state = same.folder().join("state");
    fs::create_dir(&state).expect("ours");
    std::os::unix::fs::chown(&state, Some(NOBODY), Some(NOBODY)).expect("root may");
    let gateway = same.started_by(&by).start();
    assert_eq!(gateway.get("/").status, 200);
    let _ = Port::take();
}
