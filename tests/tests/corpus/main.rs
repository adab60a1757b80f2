//! A corpus of raw messages, and what the RFCs want to become of each: requests and answers of upstreams in HTTP/1.1, requests in
//! HTTP/2. The cases are text (`requests/`, `answers/`, `http2/`; how they are written stands in `README.md` there).
//!
//! The gateway has the default configuration: a listener, an upstream, a route, and one worker, so that whoever asks next
//! does so over the very connections that a case used. A recording upstream proves what arrived. After every case a client of
//! its own sends a request with a nonce, must get the answer to just that, and nothing else may have arrived with it.
#![forbid(unsafe_code)]

mod answers;
mod case;
mod http2;
mod late;
mod requests;
mod schemes;
mod stage;
mod text;

use case::Kind;

/// How many messages of HTTP/1.1 there have to be.
const LEAST: usize = 200;

#[test]
fn the_corpus_is_what_it_claims_to_be() {
    let requests = case::all(Kind::Request);
    let answers = case::all(Kind::Answer);
    let count = requests.len() + answers.len();
    assert!(count >= LEAST, "{count} messages of HTTP/1.1");
    assert!(case::all(Kind::Http2).len() >= 30);
}
