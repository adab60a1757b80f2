//! What the gateway counts, and how it is shown.
//!
//! Workers count, and do it without sharing anything they write; control and the admin listener read. What is counted by
//! route, listener or target is attached to the snapshot or the socket that a worker is given, so nothing is looked up.
//!
//! - [`cell`]: numbers that workers write without getting in one another's way; [`tally`]: those that a label tells apart;
//! - [`route`]: exchanges, by route; [`traffic`]: connections and attempts; [`mod@handshake`]: TLS;
//!   [`proxy`]: PROXY headers; [`retries`]: requests that were sent again; [`mirror`]: copies of requests;
//!   [`event`]: what control did;
//! - [`book`], [`series`]: the metrics that plugins declare through the contract;
//! - [`names`]: every metric of the gateway's own; [`page`]: the text that is shown; [`process`]: what the system says.
//!
//! What is absent here: the configuration, sockets, plugins, and who is let in or well. Others bring their figures to the
//! [`page`]; one of each for the process stands in [`crate::counted`].

pub mod book;
pub mod cell;
pub mod event;
pub mod handshake;
pub mod mirror;
pub mod names;
pub mod page;
pub mod process;
pub mod proxy;
pub mod retries;
pub mod route;
pub mod series;
pub mod tally;
pub mod traffic;
