//! Reading and changing a context, phase by phase.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use swapgate_abi as abi;

use super::connection::Of;
use super::scope::Place;
use super::{Answer, Choice, Frame, Lane, Phase, ResponseHead, State, Waits, headers};
use crate::endpoint::{Endpoint, UNIX};
use crate::ops::{Begin, next_token, wake};
use crate::router::path;

/// Longest path or query a plugin may set, in bytes.
const TARGET_BYTES: usize = 32 * 1024;
/// Longest name of a consumer, in bytes.
const CONSUMER_BYTES: usize = 256;
/// Longest error text kept, in bytes.
const ERROR_BYTES: usize = 4 * 1024;

/// Why a plugin does not get what it asked for; each has its code in the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Malformed argument.
    Invalid,
    /// No such thing in this exchange.
    NotFound,
    /// Not in this phase.
    WrongPhase,
    /// Longer than the gateway takes.
    TooLarge,
    /// Belongs to the gateway, or is not on a list of what is allowed.
    Forbidden,
    /// The token belongs to nobody any more, or to somebody else.
    Stale,
    /// No hook is running on this thread.
    WrongThread,
    /// Not here: in a preflight, or the gateway has no room for it now.
    Unavailable,
    /// Somebody else was first.
    Conflict,
}

impl Denied {
    /// The code in the contract.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Invalid => abi::SG_E_INVALID,
            Self::NotFound => abi::SG_E_NOT_FOUND,
            Self::WrongPhase => abi::SG_E_WRONG_PHASE,
            Self::TooLarge => abi::SG_E_TOO_LARGE,
            Self::Forbidden => abi::SG_E_FORBIDDEN,
            Self::Stale => abi::SG_E_STALE,
            Self::WrongThread => abi::SG_E_WRONG_THREAD,
            Self::Unavailable => abi::SG_E_UNAVAILABLE,
            Self::Conflict => abi::SG_E_CONFLICT,
        }
    }
}

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

    /// A header map.
    ///
    /// # Errors
    /// Unknown map, or there is no response yet.
    pub fn headers(&self, map: u32) -> Result<&HeaderMap, Denied> {
        match map {
            abi::SG_HEADERS_REQUEST => Ok(&self.context.request_headers),
            abi::SG_HEADERS_RESPONSE => {
                self.response_known()?;
                self.context
                    .response
                    .as_ref()
                    .map(|head| &head.headers)
                    .ok_or(Denied::NotFound)
            }
            abi::SG_TRAILERS_REQUEST => self.trailers(Lane::Request),
            abi::SG_TRAILERS_RESPONSE => self.trailers(Lane::Response),
            _ => Err(Denied::Invalid),
        }
    }

    /// A header map, for a change.
    ///
    /// # Errors
    /// Unknown map, or it does not change any more, or not yet.
    pub fn headers_mut(&mut self, map: u32) -> Result<&mut HeaderMap, Denied> {
        let phase = self.phase;
        match map {
            abi::SG_HEADERS_REQUEST
                if matches!(phase, Phase::Rewrite | Phase::Access) || self.head_waits() =>
            {
                Ok(&mut self.context.request_headers)
            }
            abi::SG_HEADERS_RESPONSE if phase == Phase::HeaderFilter => self
                .context
                .response
                .as_mut()
                .map(|head| &mut head.headers)
                .ok_or(Denied::WrongPhase),
            abi::SG_HEADERS_REQUEST | abi::SG_HEADERS_RESPONSE => Err(Denied::WrongPhase),
            abi::SG_TRAILERS_REQUEST => self.trailers_mut(Lane::Request),
            abi::SG_TRAILERS_RESPONSE => self.trailers_mut(Lane::Response),
            _ => Err(Denied::Invalid),
        }
    }

    /// Takes an answer made by a plugin.
    ///
    /// # Errors
    /// Outside `rewrite`, `access`, and `request_body` before an answer began; or a status that ends no exchange.
    pub fn respond<'h>(
        &mut self,
        status: u32,
        lines: impl Iterator<Item = (&'h [u8], &'h [u8])>,
        body: &[u8],
    ) -> Result<(), Denied> {
        let early = match self.phase {
            Phase::Rewrite | Phase::Access => true,
            Phase::RequestBody => self.context.response.is_none(),
            _ => false,
        };
        if !early {
            return Err(Denied::WrongPhase);
        }
        let status = u16::try_from(status)
            .ok()
            .filter(|status| (200..=599).contains(status))
            .and_then(|status| StatusCode::from_u16(status).ok())
            .ok_or(Denied::Invalid)?;
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            let (name, value): (HeaderName, HeaderValue) =
                (headers::changeable(name, false)?, headers::value(value)?);
            headers::append(&mut map, name, value)?;
        }
        self.context.answer = Some(Answer {
            head: ResponseHead {
                status,
                headers: map,
            },
            body: Bytes::copy_from_slice(body),
        });
        Ok(())
    }

    /// Names the consumer.
    ///
    /// # Errors
    /// Outside `rewrite` and `access`; empty, not UTF-8, or too long.
    pub fn set_consumer(&mut self, name: &[u8]) -> Result<(), Denied> {
        if !matches!(self.phase, Phase::Rewrite | Phase::Access) {
            return Err(Denied::WrongPhase);
        }
        if name.len() > CONSUMER_BYTES {
            return Err(Denied::TooLarge);
        }
        let name = std::str::from_utf8(name).map_err(|_| Denied::Invalid)?;
        if name.is_empty() {
            return Err(Denied::Invalid);
        }
        self.context.consumer = Some(name.into());
        Ok(())
    }

    /// The state the running instance left here last.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.context
            .states
            .iter()
            .rfind(|state| state.owner == self.owner)
            .copied()
    }

    /// Leaves a state. An earlier one stays in the list, because it is released when the exchange ends.
    pub fn set_state(&mut self, state: State) {
        self.context.states.push(state);
    }

    /// Keeps the reason why the running hook is about to fail.
    pub fn set_error(&mut self, text: &[u8]) {
        let cut = text.get(..ERROR_BYTES).unwrap_or(text);
        self.context.error = Some(String::from_utf8_lossy(cut).into_owned());
    }

    /// Begins an operation of this exchange, which starts once the hook has returned. `make` is asked only if there is
    /// room for one more.
    ///
    /// # Errors
    /// Nobody could be told what it came to, too many run already, or what `make` says.
    pub fn begin(
        &mut self,
        make: impl FnOnce() -> Result<Begin, Denied>,
    ) -> Result<abi::OpTok, Denied> {
        let place = self.place()?;
        let scope = self.context.scope.get_or_insert_default();
        scope.room(place)?;
        let token = next_token();
        scope.begin(token, place, make()?);
        Ok(token)
    }

    /// Ends an operation of the running instance.
    ///
    /// # Errors
    /// It has none of that name.
    pub fn cancel(&mut self, token: abi::OpTok) -> Result<(), Denied> {
        let owner = self.owner;
        let scope = self.context.scope.as_mut().ok_or(Denied::NotFound)?;
        scope.cancel(token, owner)
    }

    /// The token that wakes the running instance in this lane.
    ///
    /// # Errors
    /// Nobody could be told, or the worker takes nothing any more.
    pub fn waker(&mut self) -> Result<abi::WakeTok, Denied> {
        let place = self.place()?;
        let exchange = self.context.token;
        let scope = self.context.scope.get_or_insert_default();
        if let Some(token) = scope.waker(place) {
            return Ok(token);
        }
        let token = wake::issue(exchange).map_err(|_| Denied::Unavailable)?;
        scope.keep_waker(token, place);
        Ok(token)
    }

    /// Chooses where the request goes, instead of the service of the route.
    ///
    /// # Errors
    /// In another phase; no such service or target; an address that is not allowed; malformed; the route does not forward.
    pub fn choose_upstream(&mut self, kind: u32, value: &[u8]) -> Result<(), Denied> {
        if self.waits == Waits::Preflight {
            return Err(Denied::Unavailable);
        }
        let early = match self.phase {
            Phase::Access => true,
            Phase::RequestBody => !self.context.forwarded,
            _ => false,
        };
        if !early {
            return Err(Denied::WrongPhase);
        }
        let own = self.names.and_then(|names| names.service);
        let (Some(leads), Some(own)) = (self.leads, own) else {
            return Err(Denied::Invalid);
        };
        let text = std::str::from_utf8(value).map_err(|_| Denied::Invalid)?;
        let tcp = || text.parse::<SocketAddr>().map_err(|_| Denied::Invalid);
        let choice = match kind {
            abi::SG_UPSTREAM_SERVICE => {
                Choice::Service(leads.service(text).ok_or(Denied::NotFound)?)
            }
            abi::SG_UPSTREAM_TARGET => {
                let service = match self.context.choice {
                    Some(Choice::Service(service) | Choice::Target { service, .. }) => service,
                    _ => leads.service(own).ok_or(Denied::NotFound)?,
                };
                let address = match text.strip_prefix(UNIX) {
                    Some(path) => Endpoint::Unix(Path::new(path).into()),
                    None => Endpoint::Tcp(tcp()?),
                };
                let target = leads.target(service, &address).ok_or(Denied::NotFound)?;
                Choice::Target { service, target }
            }
            abi::SG_UPSTREAM_ADDRESS => {
                let address = tcp()?;
                if !leads.admits(address) {
                    return Err(Denied::Forbidden);
                }
                Choice::Address(address)
            }
            _ => return Err(Denied::Invalid),
        };
        self.context.choice = Some(choice);
        Ok(())
    }

    /// Where operations of the running hook belong.
    fn place(&self) -> Result<Place, Denied> {
        match self.waits {
            Waits::Never => Err(Denied::WrongPhase),
            Waits::Preflight => Err(Denied::Unavailable),
            Waits::May => Ok(Place {
                owner: self.owner,
                lane: self.lane,
            }),
        }
    }

    fn routed(&self) -> Result<super::RouteNames<'_>, Denied> {
        if self.phase == Phase::Rewrite {
            return Err(Denied::WrongPhase);
        }
        self.names.ok_or(Denied::NotFound)
    }

    fn response_known(&self) -> Result<(), Denied> {
        match self.phase {
            Phase::Rewrite | Phase::Access => Err(Denied::WrongPhase),
            // Both ways at once: the head of the answer may be there already, and may not.
            Phase::RequestBody | Phase::Trailers | Phase::OnEvent
                if self.context.response.is_none() =>
            {
                Err(Denied::WrongPhase)
            }
            _ => Ok(()),
        }
    }
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
