//! One configuration of a plugin in the gateway in memory.

use std::cell::Cell;

use swapgate_abi::InstanceTok;

use super::image::Made;
use super::{Exchange, Flight, Host, Outcome, Phase};
use crate::status::HostError;

/// One configuration of the plugin. Dropped, it is destroyed.
#[derive(Debug)]
pub struct Instance<'h> {
    pub(super) host: &'h Host,
    pub(super) made: Made,
    /// Its name in the background, once it is started.
    pub(super) token: Cell<Option<InstanceTok>>,
}

impl Instance<'_> {
    /// Tells the instance that it is about to serve. Its background begins.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn start(&self) -> Result<(), String> {
        let token = self.host.image.start(&self.made)?;
        self.token.set(Some(token));
        self.host.settle();
        Ok(())
    }

    /// What the instance hands over: the version of its format, and the bytes; none if it has nothing.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn export_state(&self) -> Result<Option<(u32, Vec<u8>)>, String> {
        match self.host.image.export_state(&self.made) {
            Ok(state) => Ok(Some(state)),
            Err(HostError::NotFound) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Lets the instance take over what another one handed over, as the gateway does before it starts it.
    ///
    /// # Errors
    ///
    /// Why it is not taken.
    pub fn import_state(&mut self, format: u32, state: &[u8]) -> Result<(), String> {
        self.host.image.import_state(&self.made, format, state)
    }

    /// Runs one exchange through every hook, as the gateway would with this one plugin and `on_error: closed`. Where it waits,
    /// time goes on.
    ///
    /// # Panics
    ///
    /// When it waits for something that never comes; see [`Flight::finish`].
    #[must_use]
    pub fn run(&self, exchange: Exchange) -> Outcome {
        self.begin(exchange).finish()
    }

    /// Lets one exchange begin, to look at it on its way.
    #[must_use]
    pub fn begin(&self, exchange: Exchange) -> Flight<'_> {
        Flight::new(self, exchange)
    }

    /// Calls the hook of one phase so many times in a row within one exchange, for measurements; what it answers is not
    /// looked at, and one that waits is told that the client is gone. The sum of the answers.
    pub fn repeat(&self, phase: Phase, exchange: Exchange, times: u32) -> i64 {
        self.host.image.repeat(&self.made, phase, exchange, times)
    }
}

impl Drop for Instance<'_> {
    fn drop(&mut self) {
        self.host.image.destroy(&self.made, self.token.get());
    }
}
