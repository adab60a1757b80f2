//! Hooks that wait. Write `async fn`; the gateway serves others meanwhile.

use std::future::Future;

use super::{Need, Plugin};
use crate::guest::error::Error;
use crate::guest::handle::waiting::{
    AsyncAccessCall, AsyncBodyFilterCall, AsyncHeaderFilterCall, AsyncRequestBodyCall,
    AsyncRewriteCall,
};
use crate::guest::response::{BodyFlow, Flow};

/// [`Rewrite`](super::Rewrite) for plugins that wait there. A type implements one of the two.
pub trait AsyncRewrite: Plugin {
    /// Looks at the request, changes it, answers it or lets it pass.
    ///
    /// # Errors
    ///
    /// As [`Rewrite::rewrite`](super::Rewrite::rewrite).
    fn rewrite(&self, request: AsyncRewriteCall) -> impl Future<Output = Result<Flow, Error>>;
}

/// [`Access`](super::Access) for plugins that wait there. A type implements one of the two.
///
/// The future is polled at once, on the worker's thread; if it is ready, nothing else happens. If not, the exchange waits, and
/// the worker serves others. What it waits for comes from [`ops`](crate::ops), or is woken by any other thread. It never
/// leaves its worker, so it need not be `Send`. When the client is gone or time is up it is dropped where it stands.
///
/// ```
/// # use swapgate_plugin::{AsyncAccess, AsyncAccessCall, ConfigError, Error, Flow, Plugin};
/// use std::time::Duration;
///
/// use swapgate_plugin::ops;
///
/// struct Slow;
/// # impl Plugin for Slow {
/// #     type Config = ();
/// #     fn configure((): ()) -> Result<Self, ConfigError> { Ok(Self) }
/// # }
///
/// impl AsyncAccess for Slow {
///     async fn access(&self, request: AsyncAccessCall) -> Result<Flow, Error> {
///         ops::sleep(Duration::from_millis(20)).await?;
///         request.set_header("x-waited", "20ms")?;
///         Ok(Flow::Continue)
///     }
/// }
/// ```
///
/// With both, the export does not compile:
///
/// ```compile_fail,E0080
/// # use swapgate_plugin::*;
/// # struct Both;
/// # impl Plugin for Both {
/// #     type Config = ();
/// #     fn configure((): ()) -> Result<Self, ConfigError> { Ok(Self) }
/// # }
/// impl Access for Both {
///     fn access(&self, _: &mut AccessCall<'_>) -> Result<Flow, Error> {
///         Ok(Flow::Continue)
///     }
/// }
///
/// impl AsyncAccess for Both {
///     async fn access(&self, _: AsyncAccessCall) -> Result<Flow, Error> {
///         Ok(Flow::Continue)
///     }
/// }
///
/// swapgate_plugin::export!(Both, id = "both");
/// ```
pub trait AsyncAccess: Plugin {
    /// Looks at the request, changes its headers, answers it or lets it pass.
    ///
    /// # Errors
    ///
    /// As [`Access::access`](super::Access::access).
    fn access(&self, request: AsyncAccessCall) -> impl Future<Output = Result<Flow, Error>>;
}

/// [`HeaderFilter`](super::HeaderFilter) for plugins that wait there. A type implements one of the two.
pub trait AsyncHeaderFilter: Plugin {
    /// Looks at the answer and changes its headers.
    ///
    /// # Errors
    ///
    /// As [`HeaderFilter::header_filter`](super::HeaderFilter::header_filter).
    fn header_filter(
        &self,
        response: AsyncHeaderFilterCall,
    ) -> impl Future<Output = Result<(), Error>>;
}

/// [`RequestBody`](super::RequestBody) for plugins that wait there: the client is not read meanwhile. A type implements one
/// of the two.
pub trait AsyncRequestBody: Plugin {
    /// What it needs of the bodies of requests.
    const REQUEST_NEED: Need;

    /// Looks at the window and says what becomes of it.
    ///
    /// # Errors
    ///
    /// As [`RequestBody::request_body`](super::RequestBody::request_body).
    fn request_body(
        &self,
        body: AsyncRequestBodyCall,
    ) -> impl Future<Output = Result<BodyFlow, Error>>;
}

/// [`BodyFilter`](super::BodyFilter) for plugins that wait there: the upstream is not read meanwhile. A type implements one
/// of the two.
pub trait AsyncBodyFilter: Plugin {
    /// What it needs of the bodies of answers.
    const RESPONSE_NEED: Need;

    /// Looks at the window and says what becomes of it.
    ///
    /// # Errors
    ///
    /// As [`BodyFilter::body_filter`](super::BodyFilter::body_filter).
    fn body_filter(
        &self,
        body: AsyncBodyFilterCall,
    ) -> impl Future<Output = Result<BodyFlow, Error>>;
}
