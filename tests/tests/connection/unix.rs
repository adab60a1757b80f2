//! Listeners in the file system.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use swapgate_abi::SG_ATTR_LISTENER;
use swapgate_tests::{Certificates, Curl, process, wait_for, wait_until};
use tempfile::TempDir;

use super::{Told, World, configuration, prepared, reload};

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";

/// A folder for sockets.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    let path = folder.path().join("gateway.sock");
    (folder, path)
}

fn listener(path: &Path, further: &str) -> String {
    format!(
        "{{name: local, address: \"unix:{}\"{further}}}",
        path.display()
    )
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// Everything that is answered to these bytes.
fn exchange(path: &Path, bytes: impl AsRef<[u8]>) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(bytes.as_ref())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[track_caller]
fn serves(path: &Path) {
    let answer = exchange(path, GET).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn clients_on_this_machine_are_served() {
    let (_folder, path) = folder();
    let world = World::with(&listener(&path, ""), "");
    let socket = path.display().to_string();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let answer = Curl::with(&["--unix-socket", &socket, version, "http://test/"]).success();
        let told = Told::of(&answer.body);
        told.is_of("127.0.0.1:0", "127.0.0.1:0");
        assert_eq!(told.attribute(SG_ATTR_LISTENER), Some("local"));
    }
    let status = world.gateway.status();
    let address = format!("unix:{socket}");
    assert_eq!(
        status["listeners"][0]["address"],
        address.as_str(),
        "{status}"
    );
    let mode = fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    // Many at once, so that every worker has some.
    let clients: Vec<_> = (0..200)
        .map(|_| UnixStream::connect(&path).expect("there is room"))
        .collect();
    for mut client in clients {
        client.write_all(GET.as_bytes()).expect("it reads");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[test]
fn tls_and_proxy_headers_are_spoken_there_too() {
    let (_folder, path) = folder();
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let further = format!(
        ", proxy_protocol: optional, tls: {{certificates: [{}]}}",
        pair.entry()
    );
    let _world = World::with(&listener(&path, &further), "trusted_addresses: [127.0.0.1]");
    let socket = path.display().to_string();
    let answer = Curl::with(&[
        "--unix-socket",
        &socket,
        "--http2",
        "https://a.example/",
        "--cacert",
    ])
    .argument(certificates.ca())
    .success();
    assert_eq!(
        Told::of(&answer.body).header("x-forwarded-proto"),
        Some("https")
    );

    let (_folder, path) = folder();
    let _world = World::with(
        &listener(&path, ", proxy_protocol: required"),
        "trusted_addresses: [127.0.0.1]",
    );
    let header = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n";
    let answer = exchange(&path, format!("{header}{GET}")).expect("it answers");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    Told::of(body.as_bytes()).is_of("192.0.2.1:56324", "198.51.100.2:443");
}

#[test]
fn the_file_goes_with_the_gateway_and_what_a_dead_one_left_is_replaced() {
    let (_folder, path) = folder();
    let mut world = World::with(&listener(&path, ""), "");
    serves(&path);
    assert!(world.gateway.terminate().success());
    assert!(!exists(&path));

    world.gateway.start_again();
    serves(&path);
    world.gateway.signal(Signal::KILL);
    world.gateway.wait_for_end();
    assert!(exists(&path));
    world.gateway.start_again();
    serves(&path);
}

#[test]
fn nobody_is_driven_away() {
    let (folder, path) = folder();
    let world = World::with(&listener(&path, ""), "");
    let refused = |path: &Path, why: &str| {
        let (builder, _upstream) = prepared(&listener(path, ""), "");
        let refusal = builder.start_refused();
        let expected = format!("listener local cannot bind unix:{}: {why}", path.display());
        assert!(refusal.stderr.contains(&expected), "{}", refusal.stderr);
    };
    refused(
        &path,
        "somebody answers there; end what listens there, or choose another path",
    );
    serves(&path);
    let file = folder.path().join("precious");
    fs::write(&file, "precious").expect("the folder is ours");
    refused(
        &file,
        "something is there that is no socket; remove it, or choose another path",
    );
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "precious");
    let nowhere = folder.path().join("none/a.sock");
    let why = format!(
        "there is no folder {}/none; make it, or choose another path",
        folder.path().display()
    );
    refused(&nowhere, &why);
    drop(world);
}

#[test]
fn a_reload_adds_and_removes_sockets() {
    let (folder, path) = folder();
    let public = "{name: public, address: \"127.0.0.1:0\"}";
    let world = World::with(public, "");
    let gateway = &world.gateway;
    let both = configuration(&format!("{public}, {}", listener(&path, "")), "");
    assert_eq!(reload(gateway, &both)["outcome"], "published");
    serves(&path);
    // Another name at the same address keeps the socket.
    let file = fs::metadata(&path).expect("it is there");
    let renamed = both.replace("name: local", "name: other");
    assert_eq!(reload(gateway, &renamed)["outcome"], "published");
    let kept = fs::metadata(&path).expect("it is there");
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(kept.ino(), file.ino());
    serves(&path);
    // A reload that is refused leaves nothing behind.
    let taken = folder.path().join("taken.sock");
    let _taken = UnixListener::bind(&taken).expect("the folder is ours");
    let fresh = folder.path().join("fresh.sock");
    let refused = configuration(
        &format!(
            "{public}, {}, {}",
            listener(&fresh, ""),
            listener(&taken, "").replace("local", "taken")
        ),
        "",
    );
    assert_eq!(reload(gateway, &refused)["outcome"], "refused");
    assert!(!exists(&fresh) && exists(&taken));
    serves(&path);
    assert_eq!(
        reload(gateway, &configuration(public, ""))["outcome"],
        "published"
    );
    assert!(!exists(&path));
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(reload(gateway, &both)["outcome"], "published");
    serves(&path);
}

#[test]
fn a_file_that_somebody_exchanged_is_left_alone() {
    let (folder, path) = folder();
    let mut world = World::with(&listener(&path, ""), "");
    fs::rename(&path, folder.path().join("old.sock")).expect("the folder is ours");
    let _other = UnixListener::bind(&path).expect("the name is free");
    assert!(world.gateway.terminate().success());
    assert!(exists(&path));
}

#[test]
fn a_supervised_child_that_crashes_leaves_the_socket_to_the_next() {
    let (_folder, path) = folder();
    let (builder, _upstream) = prepared(&listener(&path, ""), "");
    let mut gateway = builder.argument("--supervised").start();
    serves(&path);
    let child = || process::children(gateway.pid()).first().copied();
    let first = wait_for("a child that serves", child);
    let pid = i32::try_from(first)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.expect("a pid"), Signal::KILL).expect("it is ours");
    wait_until("the next child", || child().is_some_and(|now| now != first));
    // Who connects meanwhile waits in the queue of the socket, which stays.
    serves(&path);
    assert!(gateway.terminate().success());
    assert!(!exists(&path));
}
