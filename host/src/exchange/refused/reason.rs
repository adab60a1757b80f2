//! What a fault of a request is counted as once it is refused, and where it is written that it may be.

use crate::refused::Reason;
use crate::respond::failure::RequestFault;

/// What a fault is counted as.
#[must_use]
pub(super) fn reason(fault: &RequestFault) -> Reason {
    match fault {
        RequestFault::HostCount
        | RequestFault::HostSyntax
        | RequestFault::HostDiffers
        | RequestFault::NoHost => Reason::Host,
        RequestFault::Scheme | RequestFault::Target => Reason::Target,
        RequestFault::Path(_) | RequestFault::Rewrite => Reason::Path,
        RequestFault::FieldSyntax
        | RequestFault::Underscore
        | RequestFault::MaxForwards
        | RequestFault::TraceEnds => Reason::Header,
        RequestFault::ContentLength | RequestFault::TransferEncoding => Reason::Framing,
        RequestFault::TooManyFields { .. } => Reason::HeadTooLarge,
        RequestFault::TargetTooLong { .. } => Reason::TargetTooLong,
        RequestFault::Expectation => Reason::Expectation,
        RequestFault::Misdirected => Reason::Misdirected,
        RequestFault::Connect
        | RequestFault::Protocol
        | RequestFault::WebSocket(_)
        | RequestFault::WebSocketVersion
        | RequestFault::NoUpgrade => Reason::Upgrade,
        RequestFault::BodyTooLarge { .. } => Reason::BodyTooLarge,
        RequestFault::Body | RequestFault::TraceBody => Reason::Body,
        RequestFault::BodySlow => Reason::Slow,
    }
}

/// The section that says so.
#[must_use]
pub(super) fn rule(fault: &RequestFault) -> &'static str {
    match fault {
        RequestFault::HostCount | RequestFault::NoHost | RequestFault::Target => "RFC 9112, 3.2",
        RequestFault::HostSyntax => "RFC 9110, 7.2; RFC 3986, 3.2.2",
        RequestFault::HostDiffers | RequestFault::Scheme => "RFC 9113, 8.3.1",
        RequestFault::FieldSyntax => "RFC 9113, 8.2.1",
        RequestFault::Underscore => "RFC 3875, 4.1.18",
        RequestFault::Protocol => "RFC 8441, 4",
        RequestFault::ContentLength => "RFC 9110, 8.6",
        RequestFault::TransferEncoding => "RFC 9112, 6.1",
        RequestFault::TooManyFields { .. } => "RFC 6585, 5",
        RequestFault::TargetTooLong { .. } => "RFC 9110, 15.5.15",
        RequestFault::Path(_) | RequestFault::Rewrite => "RFC 3986, 6.2.2",
        RequestFault::Expectation => "RFC 9110, 10.1.1",
        RequestFault::TraceBody => "RFC 9110, 9.3.8",
        RequestFault::MaxForwards | RequestFault::TraceEnds => "RFC 9110, 7.6.2",
        RequestFault::Misdirected => "RFC 9110, 15.5.20",
        RequestFault::Connect => "RFC 9110, 9.3.6",
        RequestFault::WebSocket(_) => "RFC 6455, 4.2.1",
        RequestFault::WebSocketVersion => "RFC 6455, 4.4",
        RequestFault::NoUpgrade => "RFC 9110, 7.8",
        RequestFault::BodyTooLarge { .. } => "RFC 9110, 15.5.14",
        RequestFault::Body => "RFC 9112, 7.1",
        RequestFault::BodySlow => "RFC 9110, 15.5.9",
    }
}
