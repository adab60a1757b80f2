//! Attributes of an exchange and parameters of its pattern: which there are, and who may read and set them when.

use http::Method;
use swapgate_abi as abi;

use super::connection::Of;
use super::{Denied, Frame, Phase, RouteNames};
use crate::router::path;

/// Longest path or query a plugin may set, in bytes.
const TARGET_BYTES: usize = 32 * 1024;

/// A text attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// `SG_ATTR_METHOD`
    Method,
    /// `SG_ATTR_SCHEME`
    Scheme,
    /// `SG_ATTR_HOST`
    Host,
    /// `SG_ATTR_PATH`
    Path,
    /// `SG_ATTR_QUERY`
    Query,
    /// `SG_ATTR_CLIENT_ADDRESS`
    ClientAddress,
    /// `SG_ATTR_PEER_ADDRESS`
    PeerAddress,
    /// `SG_ATTR_LOCAL_ADDRESS`
    LocalAddress,
    /// `SG_ATTR_ROUTE`
    Route,
    /// `SG_ATTR_SERVICE`
    Service,
    /// `SG_ATTR_REQUEST_ID`
    RequestId,
    /// Of the connection.
    Connection(Of),
    /// `SG_ATTR_TARGET`
    Target,
}

impl Attribute {
    /// The attribute with this number in the contract, if it is a text.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            abi::SG_ATTR_METHOD => Self::Method,
            abi::SG_ATTR_SCHEME => Self::Scheme,
            abi::SG_ATTR_HOST => Self::Host,
            abi::SG_ATTR_PATH => Self::Path,
            abi::SG_ATTR_QUERY => Self::Query,
            abi::SG_ATTR_CLIENT_ADDRESS => Self::ClientAddress,
            abi::SG_ATTR_PEER_ADDRESS => Self::PeerAddress,
            abi::SG_ATTR_LOCAL_ADDRESS => Self::LocalAddress,
            abi::SG_ATTR_ROUTE => Self::Route,
            abi::SG_ATTR_SERVICE => Self::Service,
            abi::SG_ATTR_REQUEST_ID => Self::RequestId,
            abi::SG_ATTR_TARGET => Self::Target,
            _ => match Of::from_number(number) {
                Some(of) => Self::Connection(of),
                None => return None,
            },
        })
    }
}

/// A number attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// `SG_ATTR_STATUS`
    Status,
    /// `SG_ATTR_REQUEST_BYTES`
    RequestBytes,
    /// `SG_ATTR_RESPONSE_BYTES`
    ResponseBytes,
    /// `SG_ATTR_DURATION_NS`
    Duration,
    /// `SG_ATTR_UPSTREAM_NS`
    Upstream,
}

impl Number {
    /// The attribute with this number in the contract, if it is a number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            abi::SG_ATTR_STATUS => Self::Status,
            abi::SG_ATTR_REQUEST_BYTES => Self::RequestBytes,
            abi::SG_ATTR_RESPONSE_BYTES => Self::ResponseBytes,
            abi::SG_ATTR_DURATION_NS => Self::Duration,
            abi::SG_ATTR_UPSTREAM_NS => Self::Upstream,
            _ => return None,
        })
    }
}

impl Frame<'_> {
    /// The text of an attribute.
    ///
    /// # Errors
    /// Not known in this exchange, or not yet.
    pub fn text(&self, attribute: Attribute) -> Result<&[u8], Denied> {
        let context = &*self.context;
        Ok(match attribute {
            Attribute::Method => context.method.as_str().as_bytes(),
            Attribute::Scheme => context.connection.scheme().as_bytes(),
            Attribute::Host => context.host.as_str().as_bytes(),
            Attribute::Path => context.path().as_bytes(),
            Attribute::Query => context.query().as_bytes(),
            Attribute::ClientAddress => context
                .texts()
                .client
                .get_or_init(|| context.client.to_string().into())
                .as_bytes(),
            Attribute::PeerAddress => context
                .texts()
                .peer
                .get_or_init(|| context.peer.to_string().into())
                .as_bytes(),
            Attribute::LocalAddress => context
                .texts()
                .local
                .get_or_init(|| context.local.to_string().into())
                .as_bytes(),
            Attribute::RequestId => context.request_id.as_str().as_bytes(),
            Attribute::Connection(of) => {
                let connection = &*context.connection;
                of.read(connection, context.version)
                    .ok_or(Denied::NotFound)?
            }
            Attribute::Route => self.routed()?.route.as_bytes(),
            Attribute::Service => self.routed()?.service.ok_or(Denied::NotFound)?.as_bytes(),
            Attribute::Target => {
                self.response_known()?;
                let target = context.figures.target.as_ref().ok_or(Denied::NotFound)?;
                context
                    .texts()
                    .target
                    .get_or_init(|| target.to_string().into())
                    .as_bytes()
            }
        })
    }

    /// The value of a number attribute.
    ///
    /// # Errors
    /// Not known in this exchange, or not yet.
    pub fn number(&self, number: Number) -> Result<u64, Denied> {
        self.response_known()?;
        let figures = &self.context.figures;
        let over = matches!(self.phase, Phase::Log | Phase::RequestEnd);
        match number {
            Number::Status => self
                .context
                .response
                .as_ref()
                .map(|head| u64::from(head.status.as_u16()))
                .ok_or(Denied::NotFound),
            Number::Upstream => figures.upstream.map(nanos).ok_or(Denied::NotFound),
            _ if !over => Err(Denied::WrongPhase),
            Number::RequestBytes => Ok(figures.request_bytes),
            Number::ResponseBytes => Ok(figures.response_bytes),
            Number::Duration => Ok(nanos(figures.duration)),
        }
    }

    /// Sets method, path or query.
    ///
    /// # Errors
    /// Outside `rewrite`; not settable or malformed; too long.
    pub fn set_text(&mut self, attribute: Attribute, value: &[u8]) -> Result<(), Denied> {
        if !matches!(
            attribute,
            Attribute::Method | Attribute::Path | Attribute::Query
        ) {
            return Err(Denied::Invalid);
        }
        if self.phase != Phase::Rewrite {
            return Err(Denied::WrongPhase);
        }
        if value.len() > TARGET_BYTES {
            return Err(Denied::TooLarge);
        }
        let text = std::str::from_utf8(value).map_err(|_| Denied::Invalid)?;
        match attribute {
            Attribute::Method => {
                let method = Method::from_bytes(value).map_err(|_| Denied::Invalid)?;
                if method == Method::CONNECT {
                    return Err(Denied::Invalid);
                }
                self.context.method = method;
            }
            Attribute::Path => {
                let path = path::normalize(text, false).map_err(|_| Denied::Invalid)?;
                self.context.set_path(path.into());
            }
            _ => {
                // What the target may hold (RFC 3986, 3.4); `http` checks it once more when the target is built.
                let fits = value
                    .iter()
                    .all(|byte| byte.is_ascii_graphic() && *byte != b'#');
                if !fits {
                    return Err(Denied::Invalid);
                }
                self.context.set_query(text.into());
            }
        }
        Ok(())
    }

    /// A parameter of the matched pattern.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn param(&self, name: &str) -> Result<&str, Denied> {
        self.context
            .params
            .get(self.table, self.context.path(), name)
            .ok_or(Denied::NotFound)
    }

    /// A parameter by position.
    ///
    /// # Errors
    /// The position is past the end.
    pub fn param_at(&self, index: usize) -> Result<(&str, &str), Denied> {
        self.context
            .params
            .nth(self.table, index, self.context.path())
            .ok_or(Denied::NotFound)
    }

    fn routed(&self) -> Result<RouteNames<'_>, Denied> {
        if self.phase == Phase::Rewrite {
            return Err(Denied::WrongPhase);
        }
        self.names.ok_or(Denied::NotFound)
    }
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
