//! A gateway in memory, for the unit tests of plugins.
//!
//! The plugin is linked into the test and called through the same table of hooks as in the gateway; the gateway's side is
//! a model that keeps the rules of the contract (phases, forbidden headers, limits, stale tokens). It has no router and no
//! upstream: a test says what a request looks like after routing, and what the upstream would answer.
//!
//! Nothing in it takes time. The clock stands until a test [advances](Host::advance) it, or until [`Instance::run`] goes on to
//! whatever a plugin waits for next; callouts are answered by the test; ticks and work for other threads happen on this one.
//!
//! ```
//! # use schemars::JsonSchema;
//! # use serde::Deserialize;
//! # use swapgate_plugin::{AsyncAccess, AsyncAccessCall, ConfigError, Error, Flow, Plugin, Response};
//! # use swapgate_plugin::ops::http::Request;
//! # struct Ask;
//! # #[derive(Deserialize, JsonSchema)]
//! # struct Config {}
//! # impl Plugin for Ask {
//! #     type Config = Config;
//! #     fn configure(_: Config) -> Result<Self, ConfigError> { Ok(Self) }
//! # }
//! impl AsyncAccess for Ask {
//!     async fn access(&self, request: AsyncAccessCall) -> Result<Flow, Error> {
//!         let answer = Request::to_service("accounts", "/check").send().await?;
//!         if answer.status() == 200 {
//!             return Ok(Flow::Continue);
//!         }
//!         Ok(request.respond(&Response::new(403))?)
//!     }
//! }
//! # swapgate_plugin::export!(Ask, id = "ask");
//!
//! use swapgate_plugin::testing::{Exchange, Host};
//!
//! let host = Host::of::<Ask>();
//! let instance = host.configure("{}").unwrap();
//!
//! // All at once, with something that answers callouts.
//! host.answer_with(|callout| {
//!     assert_eq!(callout.url, "/check");
//!     Ok(Response::new(200))
//! });
//! assert!(instance.run(Exchange::new()).reached_upstream());
//!
//! // Step by step.
//! host.answer_by_hand();
//! let flight = instance.begin(Exchange::new());
//! assert!(flight.is_waiting());
//! let callout = host.callouts().remove(0);
//! host.answer(callout.id, Ok(Response::new(404)));
//! assert_eq!(flight.finish().status(), 403);
//! ```

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::guest::export::alloc::Usage;
use crate::guest::export::{self, Exported};
use crate::guest::response::Response;
use crate::status::HostError;

#[allow(
    unsafe_code,
    reason = "plays the gateway: is called by the plugin through its own table"
)]
mod area;
#[allow(
    unsafe_code,
    reason = "plays the gateway: is called by the plugin through its own table"
)]
mod body;
mod connection;
#[allow(
    unsafe_code,
    reason = "plays the gateway: is called by the plugin through its own table"
)]
mod count;
mod course;
mod drive;
mod event;
mod exchange;
mod flight;
mod headers;
#[allow(
    unsafe_code,
    reason = "plays the gateway: calls the plugin through its table"
)]
mod image;
mod instance;
mod live;
mod metrics;
mod outcome;
mod room;
#[allow(
    unsafe_code,
    reason = "plays the gateway: releases what the plugin left with it"
)]
mod shared;
mod slot;
#[allow(
    unsafe_code,
    reason = "plays the gateway: is called by the plugin through its own table"
)]
mod table;
#[allow(
    unsafe_code,
    reason = "plays the gateway: is called by the plugin through its own table"
)]
mod waiting;
mod window;
mod world;

pub use connection::{ClientCertificate, Tls};
use drive::Answers;
pub use exchange::{Exchange, Phase};
pub use flight::Flight;
use image::Image;
pub use instance::Instance;
pub use metrics::Series;
pub use outcome::{Failure, Outcome};
pub use world::Callout;

pub use crate::guest::hooks::Lane;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How bad it is.
    pub level: log::Level,
    /// What it says.
    pub text: String,
}

/// A gateway with one plugin in it. Dropped, it unloads the plugin.
pub struct Host {
    image: Image,
    answers: RefCell<Option<Box<Answers>>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = &self.image;
        f.debug_struct("Host")
            .field("image", image)
            .finish_non_exhaustive()
    }
}

impl Host {
    fn new(image: Image) -> Self {
        let answers = RefCell::new(None);
        Self { image, answers }
    }

    /// Negotiates with the plugin and loads it.
    ///
    /// # Panics
    ///
    /// When the plugin refuses; see [`try_of`](Self::try_of).
    #[must_use]
    pub fn of<P: Exported>() -> Self {
        match Self::try_of::<P>() {
            Ok(host) => host,
            Err(text) => panic!("the plugin cannot be loaded: {text}"),
        }
    }

    /// Negotiates with the plugin and loads it.
    ///
    /// # Errors
    ///
    /// Why the plugin refuses.
    pub fn try_of<P: Exported>() -> Result<Self, String> {
        export::linked_in();
        let image = Image::enter(P::definition())?;
        image.load()?;
        Ok(Self::new(image))
    }

    /// Makes an instance out of a configuration in JSON. Like the real gateway this does not start it.
    ///
    /// # Errors
    ///
    /// What the plugin says is wrong.
    pub fn configure(&self, config: &str) -> Result<Instance<'_>, String> {
        let made = self.image.configure(config)?;
        Ok(Instance {
            host: self,
            made,
            token: Cell::new(None),
        })
    }

    /// The JSON Schema of the configuration.
    ///
    /// # Panics
    ///
    /// When it is no JSON.
    #[must_use]
    pub fn schema(&self) -> serde_json::Value {
        match serde_json::from_str(self.image.schema()) {
            Ok(schema) => schema,
            Err(error) => panic!("the schema of the plugin is no JSON: {error}"),
        }
    }

    /// The phases the plugin has hooks for, in their order.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        self.image.phases()
    }

    /// Everything the plugin counts, in the order in which it was declared.
    #[must_use]
    pub fn metrics(&self) -> Vec<Series> {
        self.image.metrics()
    }

    /// One series by the name and the labels it was declared with, in any order.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<Series> {
        let mut labels = labels.to_vec();
        labels.sort_unstable();
        self.metrics().into_iter().find(|series| {
            let pairs = series.labels.iter();
            series.name == name
                && pairs
                    .map(|(name, value)| (&**name, &**value))
                    .eq(labels.iter().copied())
        })
    }

    /// What time it is: how long the host has been there.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.image.shared().lock().world.now()
    }

    /// Lets time pass. Whatever is due happens, in its order.
    pub fn advance(&self, duration: Duration) {
        let until = self.now() + duration;
        self.settle();
        while self.image.go_on(until) {
            self.image.tick();
            self.settle();
        }
    }

    /// Goes on with everything that can go on, such as what another thread has woken.
    pub fn settle(&self) {
        let mut answers = self.answers.take();
        self.image.settle(&mut answers);
        if answers.is_some() {
            self.answers.replace(answers);
        }
    }

    /// Answers every callout from now on, at once; an error is one of the callout's event.
    pub fn answer_with(
        &self,
        answers: impl FnMut(&Callout) -> Result<Response, HostError> + 'static,
    ) {
        self.answers.replace(Some(Box::new(answers)));
        self.settle();
    }

    /// Answers no callout by itself any more.
    pub fn answer_by_hand(&self) {
        self.answers.replace(None);
    }

    /// The callouts that wait for an answer, in the order in which they began.
    #[must_use]
    pub fn callouts(&self) -> Vec<Callout> {
        self.image.shared().lock().world.callouts()
    }

    /// Answers one of them. False: it is over already.
    pub fn answer(&self, id: u64, answer: Result<Response, HostError>) -> bool {
        let answered = self.image.answer(id, answer);
        self.settle();
        answered
    }

    /// Makes a host name known.
    pub fn name(&self, name: &str, addresses: &[IpAddr]) {
        let mut state = self.image.shared().lock();
        state
            .world
            .names
            .insert(name.to_owned(), addresses.to_vec());
    }

    /// Whether work for other threads stays where it is until [`work`](Self::work) does it. It is done at once otherwise.
    pub fn hold_work(&self, hold: bool) {
        self.image.shared().lock().world.hold_work = hold;
        self.settle();
    }

    /// Does one piece of work, on this thread. False: there is none.
    pub fn work(&self) -> bool {
        let did = self.image.work_one();
        self.settle();
        did
    }

    /// How many operations run.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.image.shared().lock().world.running()
    }

    /// Reports the end of every operation twice from now on, which no gateway does.
    pub fn complete_twice(&self, twice: bool) {
        self.image.shared().lock().world.twice = twice;
    }

    /// How much memory the plugin says it uses, if it says so; see [`alloc`](crate::alloc).
    #[must_use]
    pub fn memory(&self) -> Option<Usage> {
        let memory = self.image.memory()?;
        Some(Usage {
            bytes: memory.bytes,
            peak_bytes: memory.peak_bytes,
            allocations: memory.allocations,
        })
    }

    /// Everything logged so far.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.image.logs()
    }
}
