//! A gateway in memory, for the unit tests of plugins.
//!
//! The plugin is linked into the test and called through the same table of hooks as in the gateway; the gateway's side is
//! a model that keeps the rules of the contract (phases, forbidden headers, limits, stale tokens). It has no router and no
//! upstream: a test says what a request looks like after routing, and what the upstream would answer.

use std::marker::PhantomData;

use crate::guest::export::{self, Exported};

#[allow(
    unsafe_code,
    reason = "plays the gateway: is called by the plugin through its own table"
)]
mod body;
mod exchange;
#[allow(
    unsafe_code,
    reason = "plays the gateway: calls the plugin through its table"
)]
mod image;
mod live;
mod metrics;
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

pub use exchange::{Exchange, Failure, Outcome, Phase};
use image::{Image, Made};
pub use metrics::Series;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How bad it is.
    pub level: log::Level,
    /// What it says.
    pub text: String,
}

/// A gateway with one plugin in it. Dropped, it unloads the plugin.
#[derive(Debug)]
pub struct Host {
    image: Image,
}

impl Host {
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
        Ok(Self { image })
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
            life: PhantomData,
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

    /// Everything logged so far.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.image.logs()
    }
}

/// One configuration of the plugin. Dropped, it is destroyed.
#[derive(Debug)]
pub struct Instance<'h> {
    host: &'h Host,
    made: Made,
    life: PhantomData<&'h Host>,
}

impl Instance<'_> {
    /// Tells the instance that it is about to serve.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn start(&self) -> Result<(), String> {
        self.host.image.start(&self.made)
    }

    /// What the instance hands over: the version of its format, and the bytes; none if it has nothing.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn export_state(&self) -> Result<Option<(u32, Vec<u8>)>, String> {
        self.host.image.export_state(&self.made)
    }

    /// Lets the instance take over what another one handed over, as the gateway does before it starts it.
    ///
    /// # Errors
    ///
    /// Why it is not taken.
    pub fn import_state(&mut self, format: u32, state: &[u8]) -> Result<(), String> {
        self.host.image.import_state(&self.made, format, state)
    }

    /// Runs one exchange through every hook, as the gateway would with this one plugin and `on_error: closed`.
    #[must_use]
    pub fn run(&self, exchange: Exchange) -> Outcome {
        self.host.image.run(&self.made, exchange)
    }
}

impl Drop for Instance<'_> {
    fn drop(&mut self) {
        self.host.image.destroy(&self.made);
    }
}
