//! One exchange as one line.

use std::io::Write;
use std::time::{Duration, SystemTime};

use swapgate_plugin::{ClientCertificate, LogCall, Tls, Value};

use crate::field::{Field, Piece, Shown};
use crate::redact::{MASK, Names};
use crate::{escape, stamp};

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Texts in quotes, numbers without, `null` where there is nothing.
    Json,
    /// Escaped as by nginx, `-` where there is nothing.
    Text,
}

/// A line that is being made.
#[derive(Debug)]
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    encoding: Encoding,
}

impl<'a> Line<'a> {
    /// Begins a line at the end of `out`.
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>, encoding: Encoding) -> Self {
        Self { out, encoding }
    }

    /// Ends it.
    pub fn end(self) {
        self.out.push(b'\n');
    }

    /// Adds a piece.
    pub fn piece(&mut self, piece: &Piece, exchange: &LogCall<'_>, redact: &Names) {
        match piece {
            Piece::Text(text) => self.out.extend_from_slice(text.as_bytes()),
            Piece::Field(field) => self.field(*field, exchange, redact),
            Piece::RequestHeader(header) => {
                self.header(header, redact, exchange.header_values(&header.name));
            }
            Piece::ResponseHeader(header) => {
                self.header(
                    header,
                    redact,
                    exchange.response_header_values(&header.name),
                );
            }
        }
    }

    fn field(&mut self, field: Field, exchange: &LogCall<'_>, redact: &Names) {
        match field {
            Field::Time => self.time(),
            Field::RequestId => self.text(exchange.request_id()),
            Field::Client => self.text(exchange.client_address()),
            Field::Peer => self.text(exchange.peer_address()),
            Field::Local => self.text(exchange.local_address()),
            Field::Consumer => self.optional(exchange.consumer()),
            Field::Method => self.text(exchange.method()),
            Field::Scheme => self.text(exchange.scheme()),
            Field::Protocol => self.text(exchange.connection().protocol()),
            Field::TlsVersion => {
                self.optional(exchange.connection().tls().map(Tls::version));
            }
            Field::Sni => self.optional(exchange.connection().tls().and_then(Tls::sni)),
            Field::ClientSubject => {
                let certificate = exchange.connection().client_certificate();
                self.optional(certificate.map(ClientCertificate::subject));
            }
            Field::Host => self.text(exchange.host()),
            Field::Path => self.text(exchange.path()),
            Field::Query => self.query(exchange.query(), redact),
            Field::Status => self.status(exchange.status()),
            Field::RequestBytes => self.number(exchange.request_bytes()),
            Field::ResponseBytes => self.number(exchange.response_bytes()),
            Field::DurationMs => self.millis(Some(exchange.duration())),
            Field::UpstreamMs => self.millis(exchange.upstream_time()),
            Field::Target => self.optional(exchange.target()),
            Field::Route => self.optional(exchange.route()),
            Field::Service => self.optional(exchange.service()),
            Field::UserAgent => self.values(exchange.header_values("user-agent")),
            Field::Referer => self.addresses(exchange.header_values("referer"), redact),
        }
    }

    fn text(&mut self, text: &str) {
        self.optional(Some(text).filter(|text| !text.is_empty()));
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.quoted(|line| line.raw(text.as_bytes())),
            None => self.nothing(),
        }
    }

    fn query(&mut self, query: &str, redact: &Names) {
        if query.is_empty() {
            return self.nothing();
        }
        self.quoted(|line| redact.mask_query(query.as_bytes(), |piece| line.raw(piece)));
    }

    fn header<'v>(
        &mut self,
        header: &Shown,
        redact: &Names,
        values: impl Iterator<Item = Value<'v>>,
    ) {
        let mut values = values.peekable();
        if header.masked && values.peek().is_some() {
            return self.quoted(|line| line.raw(MASK));
        }
        match header.name.as_str() {
            "referer" | "location" | "content-location" => self.addresses(values, redact),
            _ => self.values(values),
        }
    }

    /// Several values as one (RFC 9110, 5.3).
    fn values<'v>(&mut self, values: impl Iterator<Item = Value<'v>>) {
        self.joined(values, |line, value| line.raw(&value));
    }

    /// The same for values that may have a query.
    fn addresses<'v>(&mut self, values: impl Iterator<Item = Value<'v>>, redact: &Names) {
        self.joined(values, |line, value| {
            redact.mask_address(&value, |piece| line.raw(piece));
        });
    }

    fn joined<'v>(
        &mut self,
        values: impl Iterator<Item = Value<'v>>,
        write: impl Fn(&mut Self, Value<'v>),
    ) {
        let mut values = values.peekable();
        if values.peek().is_none() {
            return self.nothing();
        }
        self.quoted(|line| {
            for (index, value) in values.enumerate() {
                if index > 0 {
                    line.raw(b", ");
                }
                write(line, value);
            }
        });
    }

    fn status(&mut self, status: u16) {
        match status {
            0 => self.nothing(),
            status => self.number(u64::from(status)),
        }
    }

    fn number(&mut self, number: u64) {
        // Writing to a vector does not fail, here and below.
        let _ = write!(self.out, "{number}");
    }

    fn millis(&mut self, time: Option<Duration>) {
        let Some(micros) = time.map(|time| time.as_micros()) else {
            return self.nothing();
        };
        let _ = write!(self.out, "{}.{:03}", micros / 1000, micros % 1000);
    }

    fn time(&mut self) {
        self.quoted(|line| stamp::utc(line.out, SystemTime::now()));
    }

    fn nothing(&mut self) {
        self.out.extend_from_slice(match self.encoding {
            Encoding::Json => b"null",
            Encoding::Text => b"-",
        });
    }

    fn quoted(&mut self, write: impl FnOnce(&mut Self)) {
        let quote: &[u8] = match self.encoding {
            Encoding::Json => b"\"",
            Encoding::Text => b"",
        };
        self.out.extend_from_slice(quote);
        write(self);
        self.out.extend_from_slice(quote);
    }

    /// Bytes that somebody else chose.
    fn raw(&mut self, bytes: &[u8]) {
        match self.encoding {
            Encoding::Json => escape::json(self.out, bytes),
            Encoding::Text => escape::text(self.out, bytes),
        }
    }
}
