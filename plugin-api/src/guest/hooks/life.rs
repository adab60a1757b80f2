//! Work outside of exchanges.

use std::time::Duration;

use super::Plugin;
use crate::guest::error::Error;
use crate::guest::task::background::Background;

/// Work outside of exchanges: tasks that fetch, refresh, report.
///
/// ```
/// # use swapgate_plugin::{Background, Begin, ConfigError, Error, Plugin};
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
///
/// use swapgate_plugin::ops::{self, http};
///
/// struct Keys {
///     known: Arc<Mutex<Vec<u8>>>,
/// }
/// # impl Plugin for Keys {
/// #     type Config = ();
/// #     fn configure((): ()) -> Result<Self, ConfigError> { Ok(Self { known: Arc::default() }) }
/// # }
///
/// impl Begin for Keys {
///     fn begin(&self, background: Background) -> Result<(), Error> {
///         let known = Arc::clone(&self.known);
///         background.spawn(async move {
///             loop {
///                 match http::Request::to_service("keys", "/current").send().await {
///                     Ok(answer) => *known.lock().unwrap() = answer.into_body(),
///                     Err(error) => log::warn!("the keys stay as they are: {error}"),
///                 }
///                 if ops::sleep(Duration::from_secs(60)).await.is_err() {
///                     return;
///                 }
///             }
///         })?;
///         Ok(())
///     }
/// }
/// ```
pub trait Begin: Plugin {
    /// Called once, right after [`Plugin::start`], in the serving process only. Everything that runs in the background
    /// ends when the instance is destroyed.
    ///
    /// # Errors
    ///
    /// Why it cannot serve; the change that brought this instance is refused.
    fn begin(&self, background: Background) -> Result<(), Error>;
}

/// Something done again and again, on the thread the gateway keeps for control calls; never twice at the same time.
pub trait Tick: Plugin {
    /// How often, from the start. Zero: not before [`Background::tick_every`] says so.
    fn period(&self) -> Duration;

    /// A period is over.
    ///
    /// # Errors
    ///
    /// Counted and logged; the next one comes all the same.
    fn tick(&self) -> Result<(), Error>;
}
