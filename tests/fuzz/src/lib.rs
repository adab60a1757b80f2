//! What is asked of everything in Swapgate that reads bytes.
//!
//! Each target is a plain function that takes any bytes, gives them to a part of the gateway, and panics where a promise is
//! broken: by what that part does, or by what an independent and slower reading of the same bytes says. `cargo xtask fuzz`
//! looks for such bytes with libFuzzer (`libfuzzer/` is a workspace of its own, so that nothing else needs it); the tests of
//! this crate give every seed in `seeds/NAME` to the same function. Bytes that were found to break something are kept there,
//! and as a unit test beside what was mended.
//!
//! What clients send: [`path`], [`headers`], [`head`], [`proxy_header`], [`h2_frames`], [`certificate`]. What upstreams and
//! names send: [`answer`], [`srv`]. What operators write: [`config`], [`admin`]. What plugins bring: [`inspect`],
//! [`negotiation`], [`body`]. What the gateway tells itself and others: [`wire`], [`quarantine`], [`metrics`], [`access_log`].
//! Beside them: [`input`] cuts bytes up, [`memory`] is a connection without a socket, [`strict`] reads HTTP/1.1 as the RFC says.
#![forbid(unsafe_code)]
#![allow(
    clippy::missing_panics_doc,
    reason = "to panic is how every target says that a promise is broken"
)]

pub mod access_log;
pub mod admin;
pub mod answer;
pub mod body;
pub mod certificate;
pub mod config;
pub mod h2_frames;
pub mod head;
pub mod headers;
pub mod input;
pub mod inspect;
pub mod memory;
pub mod metrics;
pub mod negotiation;
pub mod path;
pub mod proxy_header;
pub mod quarantine;
pub mod srv;
pub mod strict;
pub mod wire;

/// A target: any bytes in; it returns or it panics.
pub type Body = fn(&[u8]);

/// Every target, by the name of its program and of the folder of its seeds.
pub const TARGETS: &[(&str, Body)] = &[
    ("access_log", access_log::access_log),
    ("admin", admin::admin),
    ("answer", answer::answer),
    ("body", body::body),
    ("certificate", certificate::certificate),
    ("config", config::config),
    ("elf", inspect::elf),
    ("h2_frames", h2_frames::h2_frames),
    ("head", head::head),
    ("headers", headers::headers),
    ("macho", inspect::macho),
    ("metrics", metrics::metrics),
    ("negotiation", negotiation::negotiation),
    ("path", path::path),
    ("proxy_header", proxy_header::proxy_header),
    ("quarantine", quarantine::quarantine),
    ("srv", srv::srv),
    ("wire", wire::wire),
];

/// Whether a text can stand in a log or on a terminal as one line.
fn is_one_line(text: &str) -> bool {
    !text.contains(char::is_control)
}
