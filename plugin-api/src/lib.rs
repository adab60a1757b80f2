//! Write Swapgate plugins in Rust.
//!
//! A plugin is a library (`crate-type = ["cdylib"]`) with one type that implements [`Plugin`] and one trait for each
//! phase it takes part in: [`Rewrite`], [`Access`], [`RequestBody`], [`HeaderFilter`], [`BodyFilter`], [`Trailers`], [`Log`],
//! [`RequestEnd`]. Its life:
//!
//! 1. The gateway reads the descriptor from the file; no code runs.
//! 2. A throw-away process does steps 3 to 6 with every configuration in use; a crash there is a refusal.
//! 3. The gateway opens a private copy of the file and negotiates the [`version`].
//! 4. [`Plugin::load`], once per image.
//! 5. [`Plugin::configure`], once per configuration: what comes out is an instance.
//! 6. [`Plugin::start`], in the serving process only.
//! 7. The hooks of the phases, for every exchange, on several threads at once.
//! 8. The instance is dropped when the last exchange that used it is over.
//! 9. [`Plugin::unload`], when the last instance is gone.
//!
//! This one lets a request pass when it carries the right word:
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use swapgate_plugin::{Access, AccessCall, ConfigError, Error, Flow, Plugin, Response};
//!
//! struct Password {
//!     word: String,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     /// What a request has to say.
//!     word: String,
//! }
//!
//! impl Plugin for Password {
//!     type Config = Config;
//!
//!     fn configure(config: Config) -> Result<Self, ConfigError> {
//!         if config.word.is_empty() {
//!             return Err(ConfigError::at("word", "is empty: name the word a request has to say"));
//!         }
//!         Ok(Self { word: config.word })
//!     }
//! }
//!
//! impl Access for Password {
//!     fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
//!         if request.header("x-word").is_some_and(|word| word == self.word.as_str()) {
//!             request.remove_header("x-word")?;
//!             return Ok(Flow::Continue);
//!         }
//!         log::info!("no word from {}", request.client_address());
//!         Ok(request.respond(&Response::problem(401, "Unauthorized", "say the word"))?)
//!     }
//! }
//!
//! swapgate_plugin::export!(Password, id = "password");
//!
//! // And this is how its tests look: the same table of hooks, a gateway in memory.
//! use swapgate_plugin::testing::{Exchange, Host};
//!
//! let host = Host::of::<Password>();
//! let instance = host.configure(r#"{"word": "please"}"#).unwrap();
//!
//! let passed = instance.run(Exchange::new().path("/x").header("x-word", "please"));
//! assert!(passed.reached_upstream());
//! assert_eq!(passed.request_header("x-word"), None);
//!
//! let refused = instance.run(Exchange::new().path("/x"));
//! assert_eq!(refused.status(), 401);
//!
//! let error = host.configure(r#"{"word": ""}"#).unwrap_err();
//! assert_eq!(error, "word: is empty: name the word a request has to say");
//! ```
//!
//! # Where to look
//!
//! - [`guest`]: the traits, the handles hooks get, the way they cross the line;
//! - [`ops`]: what a hook or a task can wait for; [`AsyncAccess`] and its kin wait;
//! - [`RequestBody`], [`BodyFilter`], [`Trailers`]: hooks that see bodies;
//! - [`Begin`], [`Tick`], [`Background`]: work outside of exchanges;
//! - [`State`]: what the next version is told; [`kv`]: values that outlive versions; [`alloc`]: memory counted;
//! - [`view`]: borrowed header values and lists;
//! - [`header`]: which header names and values the gateway takes;
//! - [`guest::metric`]: counters, gauges and histograms; [`metric`]: what the gateway takes of them;
//! - [`status`]: result codes and what they mean;
//! - [`version`]: "may these two talk?", asked by plugin and gateway alike;
//! - [`testing`]: the gateway in memory.
//!
//! # Logging and panics
//!
//! Records of `log` and events of `tracing` arrive in the gateway's log under the plugin's name, from `Info` on; a
//! plugin that wants more calls `log::set_max_level` in [`Plugin::load`]. A panic becomes an error of that exchange with
//! its text and place; the instance is left out of the rest of the exchange, and the gateway goes on. So build plugins
//! with `panic = "unwind"`, which is the default: the gateway refuses files built with `abort`.

#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::get_unwrap,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::unchecked_time_subtraction,
    )
)]

pub mod flags;
pub mod guest;
pub mod header;
pub mod kv;
pub mod metric;
pub mod ops;
pub mod status;
#[allow(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "runs in the tests of plugins, where a panic is how a test fails"
)]
pub mod testing;
pub mod version;
#[allow(
    unsafe_code,
    reason = "views come over the line as a pointer and a length"
)]
pub mod view;

pub use guest::error::{ConfigError, Error};
pub use guest::export::alloc;
pub use guest::handle::waiting::{
    AsyncAccessCall, AsyncBodyFilterCall, AsyncHeaderFilterCall, AsyncRequestBodyCall,
    AsyncRewriteCall,
};
pub use guest::handle::{
    AccessCall, BodyFilterCall, ClientCertificate, Connection, EndCall, HeaderFilterCall, LogCall,
    RequestBodyCall, RewriteCall, Tls, TrailersCall, Upstream,
};
pub use guest::hooks::{
    Access, AsyncAccess, AsyncBodyFilter, AsyncHeaderFilter, AsyncRequestBody, AsyncRewrite, Begin,
    BodyFilter, HeaderFilter, Lane, Log, Need, Plugin, RequestBody, RequestEnd, Rewrite, Tick,
    Trailers,
};
pub use guest::metric::{Counter, DeclareError, Gauge, Histogram};
pub use guest::response::{BodyFlow, Flow, Response};
pub use guest::state::{ImportError, State};
pub use guest::task::background::Background;
pub use status::HostError;
pub use view::Value;
// What plugins meet in this crate's own interface, so that versions always fit.
pub use {log, schemars, serde, serde_json};
