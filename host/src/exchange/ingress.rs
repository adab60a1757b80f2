//! Reading a request once, strictly, before anybody acts on it.
//!
//! hyper has parsed the head; this is what it leaves to a proxy. Whatever two parsers could read in two ways is refused
//! here, so that what is matched and authorised is what the upstream will read.

use std::borrow::Cow;

use http::header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Uri, Version};

use crate::context::HostName;
use crate::context::headers::Survey;
use crate::respond::failure::RequestFault;

/// The host a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Host {
    /// Lower case, no port, no trailing dot; for routing.
    pub name: HostName,
    /// What the upstream is told, if the client said anything.
    pub field: Option<HeaderValue>,
    /// Whether an absolute-form target said it, in the place of the `Host` field (RFC 9112, 3.2.2).
    pub from_target: bool,
}

/// Whether `OPTIONS *` was asked for; it is about the server and matches no route.
#[must_use]
fn is_asterisk(uri: &Uri) -> bool {
    uri.path() == "*"
}

/// Checks method and target.
///
/// # Errors
/// What the fault says.
pub fn target(method: &Method, uri: &Uri) -> Result<(), RequestFault> {
    if *method == Method::CONNECT {
        return Err(RequestFault::Connect);
    }
    if is_asterisk(uri) {
        return if *method == Method::OPTIONS {
            Ok(())
        } else {
            Err(RequestFault::Target)
        };
    }
    // Nothing decodes a query on the way, but what is no URI is none (RFC 3986, 3.4); hyper admits bytes beyond ASCII.
    let query = uri.query().unwrap_or_default();
    if !query.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(RequestFault::Target);
    }
    match (uri.scheme_str(), uri.authority()) {
        (None, None) if uri.path().starts_with('/') => Ok(()),
        (Some("http" | "https"), Some(_)) => Ok(()),
        _ => Err(RequestFault::Target),
    }
}

/// Checks how long the target is: path and query (RFC 9112, 3).
///
/// # Errors
/// Longer than `limit` bytes.
pub fn target_length(uri: &Uri, limit: usize) -> Result<(), RequestFault> {
    match uri.path_and_query() {
        Some(target) if target.as_str().len() > limit => Err(RequestFault::TargetTooLong { limit }),
        _ => Ok(()),
    }
}

/// What the scheme of a target may say.
#[derive(Debug, Clone, Copy)]
pub struct Schemes {
    /// The connection's own.
    pub own: &'static str,
    /// Whether it may be `https` without TLS: behind what ends TLS and passes the bytes on, clients write what they see.
    pub https: bool,
}

impl Schemes {
    /// Whether a client says that it speaks TLS where the connection has none, and may.
    ///
    /// # Errors
    /// It says what it may not: upstreams would be told another scheme than the client asked for (RFC 9110, 7.4).
    pub fn judge(self, said: Option<&str>) -> Result<bool, RequestFault> {
        match said {
            None => Ok(false),
            Some(said) if said == self.own => Ok(false),
            Some("https") if self.https => Ok(true),
            Some(_) => Err(RequestFault::Scheme),
        }
    }
}

/// Checks and reads the host (RFC 9112, 3.2; RFC 9110, 7.2).
///
/// # Errors
/// Missing, repeated or malformed.
pub fn host(uri: &Uri, version: Version, headers: &HeaderMap) -> Result<Host, RequestFault> {
    let mut fields = headers.get_all(HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (Some(one), None) => Some(one),
        (None, _) if version < Version::HTTP_11 => None,
        _ => return Err(RequestFault::HostCount),
    };
    let name = field
        .map(|field| host_name(field.to_str().unwrap_or_default()))
        .transpose()?;
    if let Some(authority) = uri.authority() {
        let name = host_name(authority.as_str())?;
        let field =
            HeaderValue::from_str(authority.as_str()).map_err(|_| RequestFault::HostSyntax)?;
        return Ok(Host {
            name,
            field: Some(field),
            from_target: true,
        });
    }
    Ok(Host {
        name: name.unwrap_or_default(),
        field: field.cloned(),
        from_target: false,
    })
}

/// The host of `uri-host [ ":" port ]`, without userinfo (RFC 9110, 4.2.4), lower case.
fn host_name(text: &str) -> Result<HostName, RequestFault> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']').ok_or(RequestFault::HostSyntax)?;
            inside
                .parse::<std::net::Ipv6Addr>()
                .map_err(|_| RequestFault::HostSyntax)?;
            (text.get(..inside.len() + 2).unwrap_or(text), after)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port_fits = match port.strip_prefix(':') {
        Some(digits) => {
            digits.is_empty()
                || (digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok())
        }
        None => port.is_empty(),
    };
    let name_fits = name.starts_with('[') || name.bytes().all(is_reg_name);
    let bare = name.strip_suffix('.').unwrap_or(name);
    if !port_fits || !name_fits || bare.is_empty() || name.len() > 255 {
        return Err(RequestFault::HostSyntax);
    }
    Ok(HostName::lower(bare))
}

/// `reg-name` of RFC 3986, 3.2.2, without percent-encoding, which no host that resolves has.
fn is_reg_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b';' | b'=')
}

/// Checks the framing fields that hyper admits and a proxy must not (RFC 9112, 6.1 and 6.3).
///
/// # Errors
/// Any Transfer-Encoding but one final `chunked`; an expectation nobody meets.
pub fn framing(headers: &mut HeaderMap, survey: Survey) -> Result<Framing, RequestFault> {
    if survey.expect {
        let fits = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        if !headers.get_all(EXPECT).iter().all(fits) {
            return Err(RequestFault::Expectation);
        }
        // hyper answers it when the body is first read; upstream nobody waits for it.
        headers.remove(EXPECT);
    }
    if !survey.transfer_encoding {
        if survey.content_length {
            plain_length(headers);
        }
        return Ok(Framing::Length);
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (Some(one), None) if one.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => {
            headers.remove(CONTENT_LENGTH);
            Ok(Framing::Chunked)
        }
        _ => Err(RequestFault::TransferEncoding),
    }
}

/// Says a length once and without zeros before it, which somebody might read in octal. That it is one number was checked; said
/// twice it is the same number by then (RFC 9110, 8.6), and hyper gives up an answer to HEAD that has two.
pub fn plain_length(headers: &mut HeaderMap) {
    let mut all = headers.get_all(CONTENT_LENGTH).iter();
    let Some(said) = all.next() else {
        return;
    };
    let has_zeros = said.len() > 1 && said.as_bytes().first() == Some(&b'0');
    if all.next().is_none() && !has_zeros {
        return;
    }
    let length = said.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// How the body of a request is delimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Framing {
    /// By `Content-Length`, or there is none.
    #[default]
    Length,
    /// By chunks.
    Chunked,
}

/// The path in its normal form; borrowed if it already is. The asterisk of `OPTIONS *` stays.
///
/// # Errors
/// What the normal form refuses.
pub fn path(uri: &Uri, merge_slashes: bool) -> Result<Cow<'_, str>, RequestFault> {
    if is_asterisk(uri) {
        return Ok(Cow::Borrowed("*"));
    }
    Ok(crate::router::path::normalize(uri.path(), merge_slashes)?)
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod tests;
