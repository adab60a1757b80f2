//! Why something was refused.

use crate::metrics::tally::labels;

labels! {
    /// Why something was refused; a value of the label `reason`.
    pub enum Reason {
        /// The head could not be parsed.
        Parser "parser",
        /// The target, its form or its scheme.
        Target "target",
        /// The path has no normal form, or what a route makes of it has none.
        Path "path",
        /// The host, or that hosts differ.
        Host "host",
        /// A header field.
        Header "header",
        /// Fields that say where the message ends.
        Framing "framing",
        /// The body is malformed.
        Body "body",
        /// `limits.uri_bytes`
        TargetTooLong "target_too_long",
        /// `limits.headers`, `limits.header_bytes`
        HeadTooLarge "head_too_large",
        /// `limits.body_bytes`, or that of a route or of a plugin.
        BodyTooLarge "body_too_large",
        /// A head or a body came too slowly.
        Slow "slow",
        /// `Expect`
        Expectation "expectation",
        /// The connection was opened for another host.
        Misdirected "misdirected",
        /// CONNECT, or a change of protocol that is malformed or not for this route.
        Upgrade "upgrade",
        /// A version that is not spoken here.
        Version "version",
        /// A stream or a connection of HTTP/2 that broke the rules.
        Http2 "http2",
        /// Too many frames of HTTP/2 that ask for nothing.
        Flood "flood",
    }
}
