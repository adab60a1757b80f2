//! Doors to private parts that read bytes, for `tests/fuzz`. Nothing in the gateway goes through them.

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Bytes;

use crate::admin::{self, Admin};
use crate::plugin::inspect::{self, Descriptor};
use crate::plugin::refusal::Reason;

pub use crate::exchange::door::{forwarded_head, forwarded_target, relayed_head};
pub use crate::listener::door::{Guard, Header, certificate, is_http2, proxy_header};

/// Reads the descriptor of a plugin, and decides whether gateway and plugin may talk.
///
/// # Errors
/// Why not.
pub fn descriptor(bytes: &[u8], has_entry: bool) -> Result<Descriptor, Reason> {
    inspect::descriptor(bytes, has_entry)
}

/// What the admin listener answers.
pub async fn admin(admin: &Admin, request: Request<Full<Bytes>>) -> Response<Full<Bytes>> {
    admin::answered(admin, request).await
}
