//! Sockets that are passed as systemd passes them: by its own tool, and by a launcher for what that cannot do.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use swapgate_tests::client::Client;
use swapgate_tests::port::Port;
use swapgate_tests::{Gateway, Upstream, process, wait_for};

use super::{prepared, reload, upgraded};

/// Binds `NAME=HOST:PORT` or `NAME=/PATH` for each word before `--`, and becomes the rest with them.
const LAUNCHER: &str = r#"
import os, socket, sys
words = sys.argv[1:]
end = words.index("--")
sockets, names = [], []
for word in words[:end]:
    name, _, where = word.partition("=")
    if where.startswith("/"):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.bind(where)
    else:
        host, _, port = where.rpartition(":")
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, int(port)))
    one.listen(64)
    sockets.append(one)
    names.append(name)
# Out of the way of those that they become.
high = [os.dup(one.fileno()) for one in sockets]
moved = [os.dup2(fd, 100 + at, inheritable=False) for at, fd in enumerate(high)]
for at, fd in enumerate(moved):
    os.dup2(fd, 3 + at, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(moved)), LISTEN_FDNAMES=":".join(names))
os.execv(words[end + 1], words[end + 1:])
"#;

fn launched<'a>(sockets: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["python3", "-c", LAUNCHER];
    words.extend(sockets);
    words.push("--");
    words
}

fn unix_get(path: &Path) -> u16 {
    use std::io::{Read as _, Write as _};
    let mut stream = UnixStream::connect(path).expect("somebody listens");
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn the_tool_of_systemd_passes_one() {
    if !Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        println!(
            "systemd-socket-activate is not installed; the other cases pass sockets in the same way"
        );
        return;
    }
    let port = Port::take();
    let address = port.address().to_string();
    let upstream = Upstream::echo();
    let text = format!(
        "format: 1\nlisteners: [{{name: public, address: \"{address}\"}}]\nadmin: {{address: \"127.0.0.1:0\"}}\nworkers: 2\n{}",
        super::routes("")
    );
    let launch = Gateway::with_whole(&text)
        .set("up", upstream.address())
        .started_by(&["systemd-socket-activate", "-l", &address])
        .launch();
    // The connection is what starts the gateway, and it waits for it.
    let mut client = wait_for("the tool to listen", || {
        Client::try_connect(port.address()).ok()
    });
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.expect_response().status, 200);
    let mut gateway = launch.wait_until_it_serves();
    for _ in 0..20 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert!(gateway.terminate().success());
}

#[test]
fn by_address_by_name_in_the_file_system_and_for_admin() {
    let upstream = Upstream::echo();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gate.sock");
    let file = format!("whatever={}", path.display());
    let listener = |name: &str| format!("{{name: {name}, address: \"unix:{}\"}}", path.display());
    let whole = |listeners: &str| {
        format!(
            "format: 1\nlisteners: [{{name: public, address: \"127.0.0.2:0\"}}{listeners}]\nadmin: {{address: \"127.0.0.1:0\"}}\nplugins_dir: plugins.d\nstate_dir: state\nworkers: 2\n{}",
            super::routes("")
        )
    };
    let all = whole(&format!(", {}", listener("local")));
    let mut gateway = Gateway::with_whole(&all)
        .set("up", upstream.address())
        .started_by(&launched(&[
            "public=127.0.0.1:0",
            "admin=127.0.0.1:0",
            &file,
            "nobody=127.0.0.1:0",
        ]))
        .start();
    for _ in 0..20 {
        assert_eq!(gateway.get("/").status, 200);
        assert_eq!(unix_get(&path), 200);
    }
    let log = gateway.log();
    assert!(
        log.contains("the socket that was passed as \\\"nobody\\\" is closed"),
        "{log}"
    );
    assert_eq!(
        log.matches("takes the socket that was passed under its name")
            .count(),
        2,
        "{log}"
    );
    // One that goes and comes back finds its socket again, and its file stayed where it was.
    reload(&gateway, &whole(""), "published");
    assert!(path.exists());
    reload(&gateway, &all, "published");
    assert_eq!(unix_get(&path), 200);
    assert!(gateway.terminate().success());
    assert!(path.exists(), "it belongs to whoever bound it");
}

#[test]
fn a_child_after_a_crash_has_them_as_well() {
    let upstream = Upstream::echo();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gate.sock");
    let port = Port::take().address().port();
    let (tcp, file) = (
        format!("a=127.0.0.1:{port}"),
        format!("b={}", path.display()),
    );
    let text = format!(
        "format: 1\nlisteners: [{{name: public, address: \"127.0.0.1:{port}\"}}, {{name: local, address: \"unix:{}\"}}]\nadmin: {{address: \"127.0.0.1:0\"}}\nworkers: 2\n{}",
        path.display(),
        super::routes("")
    );
    let mut gateway = Gateway::with_whole(&text)
        .set("up", upstream.address())
        .argument("--supervised")
        .started_by(&launched(&[&tcp, &file]))
        .start();
    assert_eq!(gateway.get("/").status, 200);
    let child = process::children(gateway.pid())[0];
    let id = i32::try_from(child).ok().and_then(Pid::from_raw);
    kill_process(id.expect("a process"), Signal::KILL).expect("it lives");
    // Both wait for the next child, and nobody is refused.
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(unix_get(&path), 200);
    assert_ne!(process::children(gateway.pid())[0], child);
    assert!(gateway.terminate().success());
    assert!(path.exists(), "it belongs to whoever bound it");
}

#[test]
fn one_of_the_file_system_is_there_over_upgrades() {
    for supervised in [false, true] {
        let upstream = Upstream::echo();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gate.sock");
        let file = format!("local={}", path.display());
        let text = format!(
            "format: 1\nlisteners: [{{name: public, address: \"127.0.0.1:0\"}}, {{name: local, address: \"unix:{}\"}}]\nadmin: {{address: \"127.0.0.1:0\"}}\nworkers: 2\n{}",
            path.display(),
            super::routes("")
        );
        let builder = Gateway::with_whole(&text)
            .set("up", upstream.address())
            .started_by(&launched(&[&file]));
        let builder = if supervised {
            builder.argument("--supervised")
        } else {
            builder
        };
        let gateway = builder.start();
        let inode = || std::fs::metadata(&path).expect("it is there").ino();
        let bound = inode();
        let mut serving = gateway.serving();
        // The second one hands over what it was handed over itself.
        for _ in 0..2 {
            serving = upgraded(&gateway, supervised);
            for _ in 0..20 {
                assert_eq!(unix_get(&path), 200);
                assert_eq!(gateway.get("/").status, 200);
            }
            assert_eq!(inode(), bound, "it is the one that was passed");
        }
        let id = i32::try_from(serving).ok().and_then(Pid::from_raw);
        let told = if supervised { Some(gateway.pid()) } else { id };
        kill_process(told.expect("a process"), Signal::TERM).expect("it lives");
        wait_for("the end", || (!process::is_alive(serving)).then_some(()));
        assert!(path.exists(), "it belongs to whoever bound it");
    }
}

#[test]
fn those_of_another_process_are_left_alone() {
    let upstream = Upstream::echo();
    let mut gateway = prepared("", "", &upstream)
        .environment("LISTEN_PID", "1")
        .environment("LISTEN_FDS", "5")
        .start();
    assert_eq!(gateway.get("/").status, 200);
    assert!(gateway.terminate().success());
}

#[test]
fn what_is_counted_and_not_there_is_told() {
    let refusal = Gateway::with("routes: []\n")
        .started_by(&["sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=7 exec \"$@\"", "sh"])
        .launch()
        .wait_for_end();
    assert_eq!(refusal.code, Some(1), "{}", refusal.stderr);
    assert!(
        refusal
            .stderr
            .contains("was not passed although LISTEN_FDS counts it"),
        "{}",
        refusal.stderr
    );
}
