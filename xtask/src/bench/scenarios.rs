//! What is asked of the contestants.

/// Ten mebibytes, as the bodies of two scenarios are.
const MEBIBYTES: f64 = 10.0;
/// How many routes are many.
pub(crate) const MANY: usize = 5000;
/// The scenario whose rate follows from the others.
pub(crate) const LATENCY: &str = "latency";
/// The scenario with a second start of each contestant.
pub(crate) const ROUTES: &str = "routes";
/// The scenario of this gateway alone.
pub(crate) const CHANGES: &str = "changes";
/// The scenario that most targets are about.
pub(crate) const KEEPALIVE: &str = "keepalive";
/// Large answers.
pub(crate) const DOWNLOAD: &str = "download";

/// Small requests over TLS.
pub(crate) const TLS: &str = "tls";
/// A handshake for each request.
pub(crate) const HANDSHAKES: &str = "handshakes";
/// Small requests over HTTP/2.
pub(crate) const H2: &str = "h2";
/// Messages through a tunnel.
pub(crate) const WEBSOCKET: &str = "websocket";

/// One way to ask.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    /// Words for the load generator.
    pub(crate) words: &'static [&'static str],
    pub(crate) connections: u32,
    pub(crate) columns: Columns,
    pub(crate) over: Over,
}

/// What a scenario asks of contestants beyond plain HTTP/1.1, which all of them speak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Over {
    Http,
    Tls,
    WebSocket,
}

/// What a table shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Columns {
    /// CPU a request.
    Cost,
    /// CPU a mebibyte; so many are in one request.
    Bodies(f64),
    /// Quantiles.
    Latency,
}

/// All of them, in order.
pub(crate) const SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: KEEPALIVE,
        says: "small requests over kept-alive connections, as fast as they are answered",
        words: &["--path", "/users/42"],
        connections: 32,
        columns: Columns::Cost,
        over: Over::Http,
    },
    Scenario {
        name: "close",
        says: "small requests, each over a new connection of the client",
        words: &["--path", "/users/42", "--no-keepalive"],
        connections: 32,
        columns: Columns::Cost,
        over: Over::Http,
    },
    Scenario {
        name: DOWNLOAD,
        says: "answers of 10 MiB",
        words: &["--path", "/bytes/10485760"],
        connections: 4,
        columns: Columns::Bodies(MEBIBYTES),
        over: Over::Http,
    },
    Scenario {
        name: "upload",
        says: "requests of 10 MiB",
        words: &["--path", "/users/42", "--body-bytes", "10485760"],
        connections: 4,
        columns: Columns::Bodies(MEBIBYTES),
        over: Over::Http,
    },
    Scenario {
        name: ROUTES,
        says: "small requests, spread over 5,000 routes; each contestant with one route and with all of them",
        words: &["--path", "/r{}/users/42", "--routes", "5000"],
        connections: 32,
        columns: Columns::Cost,
        over: Over::Http,
    },
    Scenario {
        name: TLS,
        says: "small requests over kept-alive connections with TLS 1.3",
        words: &["--path", "/users/42"],
        connections: 32,
        columns: Columns::Cost,
        over: Over::Tls,
    },
    Scenario {
        name: HANDSHAKES,
        says: "small requests, each over a new connection with a full handshake of TLS 1.3",
        words: &["--path", "/users/42", "--no-keepalive"],
        connections: 32,
        columns: Columns::Cost,
        over: Over::Tls,
    },
    Scenario {
        name: H2,
        says: "small requests over HTTP/2 with TLS 1.3, 10 concurrent streams on each connection",
        words: &["--path", "/users/42", "--streams", "10"],
        connections: 4,
        columns: Columns::Cost,
        over: Over::Tls,
    },
    Scenario {
        name: WEBSOCKET,
        says: "text messages of 64 bytes through WebSockets, each sent when the one before has come back",
        words: &["--path", "/websocket", "--websocket", "64"],
        connections: 32,
        columns: Columns::Cost,
        over: Over::WebSocket,
    },
    Scenario {
        name: LATENCY,
        says: "small requests at a fixed rate, counted from the time each was due",
        words: &["--path", "/users/42"],
        connections: 64,
        columns: Columns::Latency,
        over: Over::Http,
    },
    Scenario {
        name: CHANGES,
        says: "swaps and reloads of this gateway at 30 % of its saturation",
        words: &["--path", "/echo", "--check-stamp"],
        connections: 64,
        columns: Columns::Latency,
        over: Over::Http,
    },
];

/// Every request carries a key, whoever looks at it, so that all have the same bytes to pass on.
pub(crate) const KEY: [&str; 2] = ["--header", "x-api-key: key-of-alice"];
