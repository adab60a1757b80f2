//! A target of HTTP/2 that does what a real one does rarely: refuses streams, goes away, breaks the protocol.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use swapgate_tests::h2::Connection;
use swapgate_tests::{Client, Gateway, Response, eventually};

use super::before;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

/// What the target does with a request once all of it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Answer,
    Reset(u32),
    /// Says that it processed nothing of this one, and takes no more.
    GoAway,
    Close,
    /// Fields, but no status.
    NoStatus,
    /// A length that the body does not have.
    WrongLength,
    /// Answers, with so many trailers.
    Trailers(usize),
    /// Says 204, and behind it a body.
    NoContent(&'static [u8]),
    Silence,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    /// Requests that began.
    heads: usize,
    /// The bodies of requests.
    requests: Vec<Vec<u8>>,
    /// With which codes streams were reset.
    resets: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Manner {
    acts: &'static [Act],
    early: Option<u8>,
}

struct Target {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Target {
    /// Does these in turn, one for each request, and then answers.
    fn start(acts: &'static [Act]) -> Self {
        Self::with(Manner { acts, early: None })
    }

    /// Takes no byte of any body, and answers at once with a head that has these flags.
    fn shut(early: u8) -> Self {
        Self::with(Manner {
            acts: &[],
            early: Some(early),
        })
    }

    fn with(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has one");
        let seen = Arc::<Mutex<Seen>>::default();
        let all = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                all.lock().expect("nobody panics").connections += 1;
                let all = Arc::clone(&all);
                thread::spawn(move || {
                    // It ends with an error when the gateway leaves.
                    let _ = serve(stream, manner, &all);
                });
            }
        });
        Self { address, seen }
    }

    fn see<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().expect("nobody panics"))
    }
}

fn serve(mut stream: TcpStream, manner: Manner, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let Manner { acts, early } = manner;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface)?;
    // SETTINGS_INITIAL_WINDOW_SIZE is 0 where nothing is taken.
    let settings: &[u8] = early.map_or(&[], |_| &[0, 4, 0, 0, 0, 0]);
    stream.write_all(&frame(SETTINGS, 0, 0, settings))?;
    let mut bodies: Vec<(u32, Vec<u8>)> = Vec::new();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload)?;
        match kind {
            SETTINGS if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?,
            PING if flags & ACK == 0 => stream.write_all(&frame(PING, ACK, 0, &payload))?,
            RST_STREAM => {
                let code = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
                seen.lock().expect("nobody panics").resets.push(code);
            }
            HEADERS => {
                seen.lock().expect("nobody panics").heads += 1;
                bodies.push((id, Vec::new()));
                if let (Some(early), 0) = (early, flags & END_STREAM) {
                    stream.write_all(&frame(HEADERS, END_HEADERS | early, id, &[0x88]))?;
                }
            }
            DATA => {
                let open = bodies.iter_mut().find(|(open, _)| *open == id);
                open.expect("its head came").1.extend_from_slice(&payload);
            }
            _ => {}
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            let at = bodies.iter().position(|(open, _)| *open == id);
            let (_, body) = bodies.remove(at.expect("its head came"));
            let number = {
                let mut seen = seen.lock().expect("nobody panics");
                seen.requests.push(body);
                seen.requests.len() - 1
            };
            let act = acts.get(number).copied().unwrap_or(Act::Answer);
            if !perform(&mut stream, act, id)? {
                return Ok(());
            }
        }
    }
}

/// Whether the connection goes on.
fn perform(stream: &mut TcpStream, act: Act, id: u32) -> std::io::Result<bool> {
    // `:status: 200` of the static table; then a literal without indexing.
    let length = [&[0x88, 0x0f, 0x0d, 1][..], b"9"].concat();
    let bytes = match act {
        Act::Answer => frame(HEADERS, END_STREAM | END_HEADERS, id, &[0x88]),
        Act::Reset(code) => frame(RST_STREAM, 0, id, &code.to_be_bytes()),
        Act::GoAway => frame(GOAWAY, 0, 0, &[0; 8]),
        Act::Close => return Ok(false),
        Act::NoStatus => frame(HEADERS, END_STREAM | END_HEADERS, id, b"\x00\x01a\x01b"),
        Act::WrongLength => [
            frame(HEADERS, END_HEADERS, id, &length),
            frame(DATA, END_STREAM, id, b"four"),
        ]
        .concat(),
        Act::Trailers(count) => [
            frame(HEADERS, END_HEADERS, id, &[0x88]),
            frame(DATA, 0, id, b"four"),
            frame(
                HEADERS,
                END_STREAM | END_HEADERS,
                id,
                &b"\x00\x01a\x01b".repeat(count),
            ),
        ]
        .concat(),
        // `:status: 204` of the static table.
        Act::NoContent(body) => [
            frame(HEADERS, END_HEADERS, id, &[0x89]),
            frame(DATA, 0, id, body),
            frame(DATA, END_STREAM, id, b""),
        ]
        .concat(),
        Act::Silence => Vec::new(),
    };
    stream.write_all(&bytes)?;
    Ok(true)
}

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is small");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(id.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// What becomes of one request with a body before a target that acts so.
fn sent(target: &Target) -> Response {
    let gateway = before(&target.address.to_string(), "protocol: h2").start();
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\nhello");
    client.expect_response()
}

#[test]
fn what_was_not_processed_is_sent_again_whole() {
    for acts in [
        &[Act::Reset(REFUSED_STREAM)][..],
        &[Act::Reset(REFUSED_STREAM), Act::Reset(REFUSED_STREAM)],
        &[Act::GoAway],
        &[Act::GoAway, Act::Reset(REFUSED_STREAM), Act::GoAway],
    ] {
        let target = Target::start(acts);
        assert_eq!(sent(&target).status, 200, "{acts:?}");
        target.see(|seen| {
            assert_eq!(seen.requests.len(), acts.len() + 1, "{acts:?}");
            assert!(
                seen.requests.iter().all(|body| body == b"hello"),
                "{seen:?}"
            );
        });
    }
}

#[test]
fn what_may_have_been_processed_is_never_sent_twice() {
    for acts in [
        &[Act::Reset(INTERNAL_ERROR)][..],
        &[Act::Reset(CANCEL)],
        &[Act::Close],
        &[Act::NoStatus],
    ] {
        let target = Target::start(acts);
        assert_eq!(sent(&target).status, 502, "{acts:?}");
        assert_eq!(target.see(|seen| seen.requests.len()), 1, "{acts:?}");
    }
}

#[test]
fn a_target_that_refuses_everything_ends_with_502() {
    let target = Target::start(&[Act::Reset(REFUSED_STREAM); 100]);
    assert_eq!(sent(&target).status, 502);
    assert_eq!(target.see(|seen| seen.requests.len()), 11);
}

#[test]
fn a_body_of_another_length_than_was_said_is_never_whole() {
    let target = Target::start(&[Act::WrongLength]);
    let gateway = before(&target.address.to_string(), "protocol: h2").start();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
    if let Ok(answer) = client.read_response("GET") {
        assert_eq!(answer.status, 502);
    }
}

#[test]
fn no_more_trailers_than_hyper_takes_of_http_1_1() {
    let target = Target::start(&[Act::Trailers(100), Act::Trailers(101)]);
    let gateway = before(&target.address.to_string(), "protocol: h2").start();
    let mut client = gateway.client();
    assert_eq!(client.get("/").text(), "four");
    client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
    assert!(client.read_response("GET").is_err(), "it breaks off");
}

#[test]
fn behind_a_status_without_a_body_there_is_none() {
    let target = Target::start(&[Act::NoContent(b""), Act::NoContent(b"four")]);
    let gateway = before(&target.address.to_string(), "protocol: h2").start();
    let mut client = Connection::open(gateway.address());
    for _ in 0..2 {
        let answer = client.get("/").unwrap();
        assert_eq!(
            (answer.status, answer.reset, answer.ended),
            (204, None, true)
        );
        assert_eq!(answer.headers.get("content-length"), None);
        assert_eq!(answer.body, b"");
    }
    assert_eq!(client.get("/").unwrap().status, 200);
    assert_eq!(target.see(|seen| seen.connections), 1);
}

#[test]
fn nobody_waits_any_more_so_the_stream_is_cancelled() {
    let target = Target::start(&[Act::Silence]);
    let gateway = before(&target.address.to_string(), "protocol: h2").start();
    let mut client: Client = gateway.client();
    client.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
    eventually!(target.see(|seen| seen.requests.len()) == 1);
    client.reset();
    eventually!(target.see(|seen| seen.resets.clone()) == [CANCEL]);
    // The connection serves the next one.
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(target.see(|seen| seen.connections), 1);
    // A body that breaks off ends its stream in the same way.
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 5\r\n\r\nhe");
    eventually!(target.see(|seen| seen.heads) == 3);
    client.reset();
    eventually!(target.see(|seen| seen.resets.clone()) == [CANCEL, CANCEL]);
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(target.see(|seen| seen.connections), 1);
}

/// A target that opens no window, and a client that has an answer, or the head of one, to a body nobody takes.
fn stuck(target: &Target) -> (Gateway, Client) {
    let gateway = before(&target.address.to_string(), "protocol: h2").start();
    // It has said by now that it takes nothing.
    assert_eq!(gateway.get("/").status, 200);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 9000000\r\n\r\n");
    client.send(vec![b'x'; 100_000]);
    client.read_head().expect("the head of the answer");
    (gateway, client)
}

#[test]
fn a_body_that_nobody_takes_does_not_outlive_its_answer_for_long() {
    let target = Target::shut(END_STREAM);
    let (gateway, _client) = stuck(&target);
    eventually!(target.see(|seen| seen.resets.clone()) == [CANCEL]);
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(target.see(|seen| seen.connections), 1);
}
