//! Programs that others use to pass connections on.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use swapgate_tests::{Certificates, Client, Curl, Running, wait_until};
use tempfile::TempDir;

use super::{Told, World, ask};

/// A program that passes connections on, and where it listens.
struct Sender {
    _running: Running,
    _folder: TempDir,
    address: SocketAddr,
}

impl Sender {
    /// Starts it with a configuration, which `write` makes for the folder it is given and the address to listen on.
    #[track_caller]
    fn start(
        write: impl Fn(&Path, SocketAddr) -> String,
        command: impl Fn(&Path) -> Command,
    ) -> Self {
        for _ in 0..10 {
            let folder = tempfile::tempdir().expect("the system has a temporary folder");
            let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
            let address = free.expect("a port is free");
            let file = folder.path().join("configuration");
            fs::write(&file, write(folder.path(), address)).expect("the folder is ours");
            let mut running = Running::start(&mut command(&file));
            let mut ended = None;
            // Somebody else may have taken the port meanwhile.
            wait_until("it listens", || {
                ended = running.ended();
                ended.is_some() || Client::try_connect(address).is_ok()
            });
            if ended.is_none() {
                return Self {
                    _running: running,
                    _folder: folder,
                    address,
                };
            }
            eprintln!("{}", running.stderr());
        }
        panic!("it does not start");
    }

    fn haproxy(to: SocketAddr, options: &str) -> Self {
        let write = |_: &Path, address: SocketAddr| {
            format!(
                "defaults
  mode tcp
  timeout connect 30s
  timeout client 60s
  timeout server 60s
listen front
  bind {address}
  server gateway {to} {options}
"
            )
        };
        Self::start(write, |file| {
            let mut command = Command::new("haproxy");
            command.arg("-db").arg("-f").arg(file);
            command
        })
    }

    /// What the gateway makes of a connection through it.
    #[track_caller]
    fn check(&self) {
        let mut client = Client::connect(self.address);
        let local = client.local_address().to_string();
        for _ in 0..2 {
            let told = ask(&mut client);
            told.is_of(&local, &self.address.to_string());
            assert!(told.proxied().is_some());
        }
    }
}

#[test]
fn haproxy_sends_both_versions() {
    let world = World::proxied("required");
    for options in [
        "send-proxy",
        "send-proxy-v2",
        "send-proxy-v2 proxy-v2-options crc32c,unique-id",
    ] {
        Sender::haproxy(world.address(), options).check();
    }
}

#[test]
fn haproxy_looks_after_the_gateways_health_with_headers_of_its_own() {
    let world = World::proxied("required");
    let options = "send-proxy-v2 check check-send-proxy inter 100ms";
    let sender = Sender::haproxy(world.address(), options);
    sender.check();
    let accepted = || {
        let page = world.gateway.admin("/metrics").text();
        let line = "swapgate_connections_accepted_total{listener=\"public\"} ";
        let count = page.split(line).nth(1).and_then(|rest| rest.lines().next());
        count
            .and_then(|count| count.parse::<u64>().ok())
            .expect("a count")
    };
    let before = accepted();
    wait_until("some more checks", || accepted() > before + 3);
    sender.check();
    let page = world.gateway.admin("/metrics").text();
    let none = "swapgate_proxy_header_failures_total{listener=\"public\",reason=\"malformed\"} 0\n";
    assert!(page.contains(none), "{page}");
}

#[test]
fn curl_sends_a_line() {
    let world = World::proxied("required");
    let url = format!("http://{}/", world.address());
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let answer = Curl::with(&["--haproxy-protocol", version, &url]).success();
        let told = Told::of(&answer.body);
        let (source, destination) = told.proxied().expect("a header");
        told.is_of(source, destination);
        assert_eq!(destination, world.address().to_string());
    }
}

#[test]
fn haproxy_passes_tls_through() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let listener = format!(
        "{{name: secure, address: \"127.0.0.1:0\", proxy_protocol: required, tls: {{certificates: [{}]}}}}",
        pair.entry()
    );
    let world = World::with(&listener, "trusted_addresses: [127.0.0.1]");
    let options = "send-proxy-v2 proxy-v2-options crc32c";
    let sender = Sender::haproxy(world.address(), options);
    let port = sender.address.port();
    for version in ["--http1.1", "--http2"] {
        let answer = Curl::with(&["--resolve", &format!("a.example:{port}:127.0.0.1"), version])
            .argument("--cacert")
            .argument(certificates.ca())
            .argument(format!("https://a.example:{port}/"))
            .success();
        let told = Told::of(&answer.body);
        let (source, _) = told.proxied().expect("a header");
        told.is_of(source, &sender.address.to_string());
        assert_eq!(told.header("x-forwarded-proto"), Some("https"));
    }
}
