//! The one table from failure to answer.
//!
//! What the client reads and what the log says are two texts: the client learns what it can mend and nothing of the
//! inside; the log has the target, the plugin and the cause.

use http::StatusCode;

use crate::admission::refusal::Refusal;
use crate::context::Lane;

use super::failure::{Failure, RequestFault, UpstreamFault};
use super::plugin::PluginFault;

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescue {
    /// The status.
    pub status: StatusCode,
    /// One sentence for the client.
    pub detail: String,
    /// Whether the connection cannot go on, because nobody knows where the next request would begin.
    pub close: bool,
}

/// What the client is told about a failure.
#[must_use]
pub fn rescue(failure: &Failure) -> Rescue {
    match failure {
        Failure::Request(fault) => {
            let (status, close) = request(fault);
            Rescue {
                status,
                detail: fault.to_string(),
                close,
            }
        }
        Failure::NoRoute => open(StatusCode::NOT_FOUND, "no route matches this host and path"),
        Failure::MethodNotAllowed { .. } => open(
            StatusCode::METHOD_NOT_ALLOWED,
            "this method is not served here; see Allow",
        ),
        Failure::Unavailable(_)
        | Failure::Plugin(PluginFault {
            left_alone: true, ..
        }) => open(
            StatusCode::SERVICE_UNAVAILABLE,
            "this route cannot be served at the moment",
        ),
        // In HTTP/1.1 nobody knows any more where the next request begins.
        Failure::Panicked(_) => Rescue {
            close: true,
            ..open(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the gateway could not process the request",
            )
        },
        Failure::Plugin(_) => open(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the gateway could not process the request",
        ),
        Failure::KeepsTooMuch { lane, limit, .. } => match lane {
            Lane::Request => Rescue {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                detail: format!("the request body is larger than {limit} bytes"),
                close: true,
            },
            Lane::Response => open(
                StatusCode::BAD_GATEWAY,
                &format!("the answer is larger than the {limit} bytes that can be processed here"),
            ),
        },
        Failure::Refused(refusal) => open(StatusCode::SERVICE_UNAVAILABLE, refused(refusal)),
        Failure::Upstream(fault) => match fault {
            UpstreamFault::NoTargets { .. } => open(
                StatusCode::SERVICE_UNAVAILABLE,
                "no target of the upstream is known",
            ),
            UpstreamFault::NoSocket { .. } => open(
                StatusCode::SERVICE_UNAVAILABLE,
                "the gateway has no room for a connection to the upstream; try again after the time in Retry-After",
            ),
            UpstreamFault::Connect { .. } => {
                open(StatusCode::BAD_GATEWAY, "the upstream cannot be reached")
            }
            UpstreamFault::TimedOut { .. } | UpstreamFault::Overdue { .. } => open(
                StatusCode::GATEWAY_TIMEOUT,
                "the upstream did not answer in time",
            ),
            UpstreamFault::Died { .. } | UpstreamFault::Malformed { .. } => {
                open(StatusCode::BAD_GATEWAY, "the upstream gave no valid answer")
            }
            UpstreamFault::NoUpgrade { .. } => open(
                StatusCode::NOT_IMPLEMENTED,
                "the upstream cannot be asked to change over to another protocol",
            ),
            UpstreamFault::Unwritable { .. } => open(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the gateway could not process the request",
            ),
        },
    }
}

fn request(fault: &RequestFault) -> (StatusCode, bool) {
    match fault {
        RequestFault::HostCount
        | RequestFault::HostSyntax
        | RequestFault::HostDiffers
        | RequestFault::Scheme
        | RequestFault::FieldSyntax
        | RequestFault::Protocol
        | RequestFault::ContentLength
        | RequestFault::Underscore
        | RequestFault::Target
        | RequestFault::Path(_)
        | RequestFault::TransferEncoding
        | RequestFault::TraceBody
        | RequestFault::MaxForwards
        | RequestFault::WebSocket(_)
        | RequestFault::Body => (StatusCode::BAD_REQUEST, true),
        RequestFault::Rewrite | RequestFault::NoHost => (StatusCode::BAD_REQUEST, false),
        RequestFault::BodySlow => (StatusCode::REQUEST_TIMEOUT, true),
        RequestFault::Expectation => (StatusCode::EXPECTATION_FAILED, true),
        RequestFault::Connect | RequestFault::NoUpgrade => (StatusCode::NOT_IMPLEMENTED, true),
        RequestFault::TraceEnds => (StatusCode::NOT_IMPLEMENTED, false),
        RequestFault::Misdirected => (StatusCode::MISDIRECTED_REQUEST, false),
        RequestFault::WebSocketVersion => (StatusCode::UPGRADE_REQUIRED, true),
        RequestFault::TargetTooLong { .. } => (StatusCode::URI_TOO_LONG, true),
        RequestFault::TooManyFields { .. } => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, true),
        RequestFault::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, true),
    }
}

fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Full { .. } | Refusal::Late { .. } => {
            "too many requests are under way here; try again after the time in Retry-After"
        }
        Refusal::Shed { .. } => {
            "the gateway has more to do than it can; try again after the time in Retry-After"
        }
        Refusal::Open { .. } => {
            "the upstream fails and is left alone for a while; try again after the time in Retry-After"
        }
    }
}

fn open(status: StatusCode, detail: &str) -> Rescue {
    Rescue {
        status,
        detail: detail.to_owned(),
        close: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_never_learns_of_the_inside() {
        let failure = Failure::Upstream(UpstreamFault::Malformed {
            target: std::net::SocketAddr::from(([10, 0, 0, 7], 9001)).into(),
            text: "conflicting lengths".to_owned(),
        });
        let told = rescue(&failure);
        assert_eq!(told.status, StatusCode::BAD_GATEWAY);
        assert!(!told.detail.contains("10.0.0.7"));
        assert!(failure.to_string().contains("10.0.0.7"));
        assert!(rescue(&Failure::Request(RequestFault::TransferEncoding)).close);
    }
}
