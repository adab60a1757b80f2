//! What there is to be logged. The one list of names: the schema, the format and the errors are made from it.

use schemars::JsonSchema;
use serde::Deserialize;

/// Something every exchange has, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// When the exchange was over, in UTC (RFC 3339).
    Time,
    /// The id of the exchange.
    RequestId,
    /// The client, as trusted proxies report it.
    Client,
    /// The other end of the connection, with port.
    Peer,
    /// This end of the connection, with port.
    Local,
    /// The authenticated consumer.
    Consumer,
    /// The method.
    Method,
    /// The scheme.
    Scheme,
    /// The protocol of the request.
    Protocol,
    /// The version of TLS.
    TlsVersion,
    /// The name the client asked for in TLS.
    Sni,
    /// The subject of the client's certificate.
    ClientSubject,
    /// The host the client asked for.
    Host,
    /// The normalised path.
    Path,
    /// The query, without its question mark; secrets in it are masked.
    Query,
    /// The status of the answer; none where there was no answer.
    Status,
    /// Body bytes received from the client.
    RequestBytes,
    /// Body bytes sent to the client.
    ResponseBytes,
    /// Milliseconds from the parsed head to the end of the answer.
    DurationMs,
    /// Milliseconds from the choice of a target to the head of its answer.
    UpstreamMs,
    /// The target that answered.
    Target,
    /// The route that matched.
    Route,
    /// Its service.
    Service,
    /// The header User-Agent.
    UserAgent,
    /// The header Referer; secrets in its query are masked.
    Referer,
}

impl Field {
    /// All of them, in the order in which they are documented.
    pub const ALL: [(&'static str, Self); 25] = [
        ("time", Self::Time),
        ("request_id", Self::RequestId),
        ("client", Self::Client),
        ("peer", Self::Peer),
        ("local", Self::Local),
        ("consumer", Self::Consumer),
        ("method", Self::Method),
        ("scheme", Self::Scheme),
        ("protocol", Self::Protocol),
        ("tls_version", Self::TlsVersion),
        ("sni", Self::Sni),
        ("client_subject", Self::ClientSubject),
        ("host", Self::Host),
        ("path", Self::Path),
        ("query", Self::Query),
        ("status", Self::Status),
        ("request_bytes", Self::RequestBytes),
        ("response_bytes", Self::ResponseBytes),
        ("duration_ms", Self::DurationMs),
        ("upstream_ms", Self::UpstreamMs),
        ("target", Self::Target),
        ("route", Self::Route),
        ("service", Self::Service),
        ("user_agent", Self::UserAgent),
        ("referer", Self::Referer),
    ];

    /// What a line of JSON has unless the configuration says otherwise.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        let left_out = [
            Self::Peer,
            Self::Local,
            Self::Scheme,
            Self::TlsVersion,
            Self::Sni,
            Self::ClientSubject,
            Self::Referer,
        ];
        let all = Self::ALL.iter().map(|(_, field)| *field);
        all.filter(|field| !left_out.contains(field)).collect()
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, field)| *field == self);
        found.map_or("", |(name, _)| name)
    }

    /// The field of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, field)| *field)
    }
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text of the format, written as it is.
    Text(String),
    /// A field.
    Field(Field),
    /// Every value of a header of the request.
    RequestHeader(Shown),
    /// Every value of a header of the answer.
    ResponseHeader(Shown),
}

/// A header that is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its name, in lower case.
    pub name: String,
    /// Whether it is known to carry secrets, so that only its presence is logged.
    pub masked: bool,
}

#[cfg(test)]
mod tests {
    use swapgate_plugin::serde_json;

    use super::Field;

    #[test]
    fn the_list_has_every_field_under_the_name_the_schema_knows() {
        for (name, field) in Field::ALL {
            let read: Field = serde_json::from_value(name.into()).unwrap();
            assert_eq!(read, field);
            assert_eq!((field.name(), Field::of(name)), (name, Some(field)));
        }
        let schema = schemars::schema_for!(Field).as_value().to_string();
        assert_eq!(schema.matches("\"const\"").count(), Field::ALL.len());
    }
}
