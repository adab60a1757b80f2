//! What stands on the wire: few records, and an end that is an end.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use swapgate_tests::certificates::Certificates;
use swapgate_tests::openssl::get;
use swapgate_tests::{Curl, Upstream};

use super::{client, gateway, showing};

/// A relay between a client and the gateway that keeps what the gateway sends.
struct Relay {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    fn to(gateway: SocketAddr) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        let sent = Arc::<Mutex<Vec<u8>>>::default();
        let keep = Arc::clone(&sent);
        thread::spawn(move || {
            let (mut client, _) = socket.accept().expect("a client");
            let mut server = TcpStream::connect(gateway).expect("the gateway listens");
            let mut back = (
                client.try_clone().expect("ours"),
                server.try_clone().expect("ours"),
            );
            thread::spawn(move || {
                let _ = std::io::copy(&mut client, &mut server);
                let _ = server.shutdown(Shutdown::Write);
            });
            let mut piece = [0; 64 * 1024];
            while let Ok(length @ 1..) = back.1.read(&mut piece) {
                keep.lock()
                    .expect("nobody panics")
                    .extend_from_slice(&piece[..length]);
                if back.0.write_all(&piece[..length]).is_err() {
                    return;
                }
            }
            let _ = back.0.shutdown(Shutdown::Write);
        });
        Self { address, sent }
    }

    /// The lengths of the records so far.
    fn records(&self) -> Vec<usize> {
        let sent = self.sent.lock().expect("nobody panics");
        let (mut rest, mut lengths) = (&sent[..], Vec::new());
        while let [_, _, _, high, low, after @ ..] = rest {
            let length = usize::from(*high) * 256 + usize::from(*low);
            lengths.push(length);
            rest = after.get(length..).unwrap_or_default();
        }
        lengths
    }
}

#[test]
fn an_answer_with_a_small_body_is_one_record() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example"]);
    let upstream = Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let text = showing(&[&pair]).replace(
        "routes: [",
        "upstreams: [{name: a, targets: [{address: \"@a@\"}]}]\nservices: [{name: a, upstream: a}]\nroutes: [{name: a, service: a, paths: [/a]}, ",
    );
    let gateway = gateway(&text).set("a", upstream.address()).start();
    let relay = Relay::to(gateway.address());
    let mut session = client(&certificates)
        .connect(relay.address, "a.example")
        .expect("a session");
    // Whatever comes after a handshake has come when an answer is here.
    assert_eq!(
        session.get("a.example", "/a").expect("an answer").body,
        b"hello"
    );
    for path in ["/", "/a"] {
        let before = relay.records().len();
        assert_eq!(
            session.get("a.example", path).expect("an answer").body,
            b"hello"
        );
        let records = relay.records();
        assert_eq!(records.len() - before, 1, "{path}: {records:?}");
    }
}

#[test]
fn a_connection_ends_with_a_word() {
    let certificates = Certificates::new();
    let pair = certificates.server(&["a.example", "127.0.0.1"]);
    let mut gateway = gateway(&showing(&[&pair])).start();
    for version in ["-tls1_2", "-tls1_3"] {
        let finished = get(gateway.address(), &[version]);
        assert!(finished.status.success(), "{finished:?}");
        assert!(
            !finished.complaints().contains("unexpected eof"),
            "{finished:?}"
        );
    }
    let url = format!("https://{}/", gateway.address());
    let answer = Curl::with(&["--http1.1", "-H", "Connection: close", "--verbose", &url])
        .argument("--cacert")
        .argument(certificates.ca())
        .success();
    assert_eq!(answer.body, b"hello");
    assert!(
        !answer.complaints.contains("unexpected eof"),
        "{}",
        answer.complaints
    );
    // Also when it is the gateway that ends it.
    let mut idle = client(&certificates)
        .connect(gateway.address(), "a.example")
        .expect("a session");
    assert_eq!(idle.get("a.example", "/").expect("an answer").status, 200);
    let waiting = thread::spawn(move || idle.is_closed_well());
    assert!(gateway.terminate().success());
    let closed = waiting
        .join()
        .expect("it only reads")
        .expect("it is closed");
    assert!(closed, "without close_notify");
}
