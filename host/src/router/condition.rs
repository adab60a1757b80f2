//! What a route asks of a request besides host, path and method: headers, parameters of the query, cookies, addresses.
//!
//! Each condition holds or does not; all of a route's must. Values are bytes, not text: a header or a decoded query may
//! hold anything, and what is not UTF-8 simply fits no pattern that asks for characters.

mod missed;
mod read;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use http::header::HeaderName;
use ipnet::IpNet;
use regex_automata::meta;
use regex_automata::util::syntax;

pub(crate) use read::cookies;
use read::{Buffer, decoded, pairs};

use super::pattern::{HostPattern, PatternError};
use super::regex::{self, SIZE_LIMIT};
use super::table::Request;

/// The further conditions of a route. Default: none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Headers that must be there; see [`FieldCondition::header`].
    pub headers: Vec<FieldCondition>,
    /// Parameters of the query, compared percent-decoded, with `+` for a space. A broken escape stands for itself.
    pub query: Vec<FieldCondition>,
    /// Cookies, as the client wrote them.
    pub cookies: Vec<FieldCondition>,
    /// Networks the client must be in; empty: any. IPv4 addresses written as IPv6 ones count as IPv4 as well.
    pub addresses: Vec<IpNet>,
    /// Names the client asked for in the TLS handshake; empty: any, also none.
    pub snis: Vec<HostPattern>,
}

impl Conditions {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many there are, for the order of choice: each header, parameter and cookie is one, all addresses are one,
    /// and so are all server names.
    #[must_use]
    pub fn count(&self) -> usize {
        let addresses = usize::from(!self.addresses.is_empty());
        let snis = usize::from(!self.snis.is_empty());
        self.headers.len() + self.query.len() + self.cookies.len() + addresses + snis
    }

    pub(super) fn hold(&self, request: &Request<'_>) -> bool {
        (self.addresses.is_empty() || self.admit(request.client))
            && (self.snis.is_empty() || self.know(request.sni))
            && self
                .headers
                .iter()
                .all(|one| one.in_headers(request.headers))
            && self.query.iter().all(|one| one.in_query(request.query))
            && self
                .cookies
                .iter()
                .all(|one| one.in_cookies(request.headers))
    }

    /// The same with expressions that share no pool of caches with these; see
    /// [`crate::router::table::RouteRule::unshared`].
    pub(super) fn unshared(&self) -> Self {
        let all = |fields: &[FieldCondition]| fields.iter().map(FieldCondition::unshared).collect();
        Self {
            headers: all(&self.headers),
            query: all(&self.query),
            cookies: all(&self.cookies),
            addresses: self.addresses.clone(),
            snis: self.snis.clone(),
        }
    }

    fn know(&self, sni: Option<&str>) -> bool {
        sni.is_some_and(|name| self.snis.iter().any(|pattern| pattern.takes(name)))
    }

    fn admit(&self, client: IpAddr) -> bool {
        let canonical = client.to_canonical();
        let holds = |net: &IpNet| net.contains(&client) || net.contains(&canonical);
        self.addresses.iter().any(holds)
    }
}

/// A header, a parameter or a cookie that must be there, with one of some values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldCondition {
    name: Name,
    values: Vec<ValuePattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Header(HeaderName),
    Text(Box<str>),
}

impl FieldCondition {
    /// A parameter of the query or a cookie; without values it must only be there. Upper and lower case differ.
    #[must_use]
    pub fn new(name: &str, values: Vec<ValuePattern>) -> Self {
        Self {
            name: Name::Text(name.into()),
            values,
        }
    }

    /// A header; without values it must only be there. It is looked at as plugins see it: headers of the connection are
    /// gone by then. Of a header that was sent more than once any value will do.
    ///
    /// # Errors
    /// The name is not one.
    pub fn header(name: &str, values: Vec<ValuePattern>) -> Result<Self, PatternError> {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| PatternError::HeaderName(name.to_owned()))?;
        Ok(Self {
            name: Name::Header(name),
            values,
        })
    }

    /// What must be there.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.name {
            Name::Header(name) => name.as_str(),
            Name::Text(name) => name,
        }
    }

    /// The values it may have; empty: any.
    #[must_use]
    pub fn values(&self) -> &[ValuePattern] {
        &self.values
    }

    fn unshared(&self) -> Self {
        Self {
            name: self.name.clone(),
            values: self.values.iter().map(ValuePattern::unshared).collect(),
        }
    }

    fn in_headers(&self, headers: &HeaderMap) -> bool {
        let mut values = match &self.name {
            Name::Header(name) => headers.get_all(name),
            Name::Text(name) => headers.get_all(&**name),
        }
        .iter();
        values.any(|value| self.takes(value.as_bytes()))
    }

    fn in_query(&self, query: &str) -> bool {
        pairs(query).any(|(name, value)| {
            *decoded(name, &mut Buffer::new()) == *self.name().as_bytes()
                && (self.values.is_empty() || self.takes(decoded(value, &mut Buffer::new())))
        })
    }

    fn in_cookies(&self, headers: &HeaderMap) -> bool {
        cookies(headers).any(|(name, value)| *name == *self.name().as_bytes() && self.takes(value))
    }

    fn takes(&self, value: &[u8]) -> bool {
        self.values.is_empty() || self.values.iter().any(|pattern| pattern.fits(value))
    }
}

/// One value a field may have. Displays as it is written in the configuration, except for a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ValuePattern(Kind);

#[derive(Clone)]
enum Kind {
    Exact(Box<str>),
    /// Exact as well, and shown to nobody.
    Secret(Box<str>),
    Regex(Box<str>, Arc<meta::Regex>),
}

/// What stands for a secret wherever values are shown.
const HIDDEN: &str = "a value that is not shown";

impl ValuePattern {
    /// Reads `text`, which is compared byte by byte, or `~regex`, which is searched anywhere in the value: write `^` and
    /// `$` where it should begin and end.
    ///
    /// # Errors
    /// Says what is wrong with the regular expression.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(text) = text.strip_prefix('~') else {
            return Ok(Self(Kind::Exact(text.into())));
        };
        let hir = regex::parse(text, syntax::Config::new().utf8(false))?;
        let config = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(SIZE_LIMIT));
        let regex = regex::compile(text, &hir, config)?;
        Ok(Self(Kind::Regex(text.into(), Arc::new(regex))))
    }

    /// A text that was filled in from outside the configuration. It is always compared byte by byte, whatever it begins
    /// with, for nobody who reads the configuration could tell an expression from a text; and it is never shown.
    #[must_use]
    pub fn secret(text: &str) -> Self {
        Self(Kind::Secret(text.into()))
    }

    pub(super) fn fits(&self, value: &[u8]) -> bool {
        match &self.0 {
            Kind::Exact(text) | Kind::Secret(text) => *text.as_bytes() == *value,
            Kind::Regex(_, regex) => regex.is_match(value),
        }
    }

    fn is_secret(&self) -> bool {
        matches!(self.0, Kind::Secret(_))
    }

    /// The same with a pool of caches of its own; see [`crate::router::table::RouteRule::unshared`].
    fn unshared(&self) -> Self {
        Self(match &self.0 {
            Kind::Regex(text, regex) => Kind::Regex(text.clone(), Arc::new((**regex).clone())),
            other => other.clone(),
        })
    }
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Exact(text) => f.write_str(text),
            Kind::Secret(_) => f.write_str(HIDDEN),
            Kind::Regex(text, _) => write!(f, "~{text}"),
        }
    }
}

impl fmt::Debug for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Secret(_) => f.write_str(HIDDEN),
            Kind::Exact(_) | Kind::Regex(..) => write!(f, "{:?}", self.to_string()),
        }
    }
}

/// The text is all there is to an expression.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(two))
            | (Self::Secret(one), Self::Secret(two))
            | (Self::Regex(one, _), Self::Regex(two, _)) => one == two,
            _ => false,
        }
    }
}

impl Eq for Kind {}

#[cfg(test)]
mod tests;
