//! The head of an HTTP/2 request, brought into the form in which everything else reads heads: that of HTTP/1.1.
//!
//! The pseudo-fields become method, target and `Host`, so routes, plugins and upstreams see the same in every version.
//! h2 has refused by then what makes a message malformed by itself: upper-case names, fields of the connection
//! (`connection`, `transfer-encoding` and so on), pseudo-fields that are missing, repeated, unknown or late, control
//! characters, a body that is not as long as it says. Here is what it leaves to a proxy.

use http::header::{CONTENT_LENGTH, COOKIE, HOST, TE, TRAILER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Uri, uri};
use hyper::body::{Body, Incoming};
use hyper::ext::Protocol;

use super::ingress::{Framing, Schemes};
use crate::context::trailers;
use crate::respond::failure::RequestFault;

/// What the head says about its body, and what an HTTP/1.1 message would have said in other words.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) framing: Framing,
    /// The trailers it announces.
    pub(super) trailer: Option<HeaderValue>,
    pub(super) takes_trailers: bool,
    /// Whether a plain connection's client says that it speaks TLS, and may: something before the gateway then does.
    pub(super) secure: bool,
    /// The protocol that an extended CONNECT (RFC 8441, 4) wants its stream to change over to.
    pub(super) connect: Option<HeaderValue>,
}

/// Brings the head into the form of HTTP/1.1. `headers` is how many fields are admitted.
///
/// # Errors
/// What is malformed, or could be read in two ways once it is forwarded.
pub(super) fn prepare(
    head: &mut Parts,
    body: &Incoming,
    headers: usize,
    schemes: Schemes,
) -> Result<Shape, RequestFault> {
    if head.headers.len() > headers {
        return Err(RequestFault::TooManyFields { limit: headers });
    }
    if head.headers.values().any(is_padded) {
        return Err(RequestFault::FieldSyntax);
    }
    lengths(&mut head.headers)?;
    crumbs(&mut head.headers);
    let connect = head.extensions.remove::<Protocol>();
    let connect = connect.as_ref().map(protocol).transpose()?;
    if connect.is_some() {
        // What HTTP/1.1 says with a GET, and plugins know as one.
        head.method = Method::GET;
    }
    let secure = head.method != Method::CONNECT && target(head, schemes)?;
    let has_length = head.headers.contains_key(CONTENT_LENGTH);
    let empty = body.is_end_stream();
    if empty && !has_length && expects_a_body(&head.method) {
        // Servers refuse these without a length (RFC 9110, 8.6); here it is known that there is nothing.
        head.headers
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let framing = if empty || has_length {
        Framing::Length
    } else {
        Framing::Chunked
    };
    let announces = framing == Framing::Chunked && head.headers.contains_key(TRAILER);
    Ok(Shape {
        framing,
        trailer: announces
            .then(|| trailers::announced(&head.headers))
            .flatten(),
        // h2 admits no other value than "trailers" (RFC 9113, 8.2.2).
        takes_trailers: head.headers.contains_key(TE),
        secure,
        connect,
    })
}

/// `:protocol` holds what `Upgrade` would (RFC 8441, 4): a name, which may have a version behind it (RFC 9110, 7.8). h2 admits
/// any text. What is none must not go on as the GET that it would be without.
fn protocol(said: &Protocol) -> Result<HeaderValue, RequestFault> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&byte);
    let text = said.as_str();
    if text.is_empty() || !text.bytes().all(fits) {
        return Err(RequestFault::Protocol);
    }
    HeaderValue::from_str(text).map_err(|_| RequestFault::Protocol)
}

/// A value must not begin or end with white space (RFC 9113, 8.2.1), which HTTP/1.1 would take off.
fn is_padded(value: &HeaderValue) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    blank(bytes.first()) || blank(bytes.last())
}

/// h2 compares the first `content-length` with the body; several must agree with it, and become one.
fn lengths(headers: &mut HeaderMap) -> Result<(), RequestFault> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next().cloned() else {
        return Ok(());
    };
    let digits = !first.is_empty() && first.as_bytes().iter().all(u8::is_ascii_digit);
    let mut repeated = false;
    for other in lengths {
        if *other != first {
            return Err(RequestFault::ContentLength);
        }
        repeated = true;
    }
    if !digits {
        return Err(RequestFault::ContentLength);
    }
    if repeated {
        headers.insert(CONTENT_LENGTH, first);
    }
    Ok(())
}

/// The pieces of `cookie` become one again (RFC 9113, 8.2.3).
fn crumbs(headers: &mut HeaderMap) {
    let mut pieces = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (pieces.next(), pieces.next()) else {
        return;
    };
    let mut whole = first.as_bytes().to_vec();
    for piece in std::iter::once(second).chain(pieces) {
        whole.extend_from_slice(b"; ");
        whole.extend_from_slice(piece.as_bytes());
    }
    if let Ok(whole) = HeaderValue::from_maybe_shared(bytes::Bytes::from(whole)) {
        headers.insert(COOKIE, whole);
    }
}

/// `:scheme`, `:authority` and `:path` become a target in origin form and `Host` (RFC 9113, 8.3.1). Gives back whether
/// the client says that it speaks TLS where the connection has none.
fn target(head: &mut Parts, schemes: Schemes) -> Result<bool, RequestFault> {
    let target = std::mem::take(&mut head.uri).into_parts();
    // h2 gives no scheme where there is no authority.
    let said = target.scheme.as_ref().map(uri::Scheme::as_str);
    let secure = schemes.judge(said)?;
    let mut origin = uri::Parts::default();
    origin.path_and_query = target.path_and_query;
    head.uri = Uri::from_parts(origin).map_err(|_| RequestFault::Target)?;
    let Some(authority) = target.authority else {
        return Ok(secure);
    };
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => {
            let host =
                HeaderValue::from_str(authority.as_str()).map_err(|_| RequestFault::HostSyntax)?;
            head.headers.insert(HOST, host);
            Ok(secure)
        }
        (Some(host), None) if same(host, &authority) => Ok(secure),
        (Some(_), None) => Err(RequestFault::HostDiffers),
        (Some(_), Some(_)) => Err(RequestFault::HostCount),
    }
}

fn same(host: &HeaderValue, authority: &uri::Authority) -> bool {
    host.as_bytes()
        .eq_ignore_ascii_case(authority.as_str().as_bytes())
}

fn expects_a_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, Request};

    fn head(uri: &str, fields: &[(&str, &str)]) -> Parts {
        let (mut head, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            head.headers.append(name, value.parse().unwrap());
        }
        head
    }

    /// The target and the host it becomes; none: it is refused.
    #[track_caller]
    fn check(uri: &str, fields: &[(&str, &str)], expected: Option<(&str, &str)>) {
        let mut head = head(uri, fields);
        let schemes = Schemes {
            own: "http",
            https: false,
        };
        let read = target(&mut head, schemes).is_ok();
        let host = head.headers.get(HOST).map(|host| host.to_str().unwrap());
        let became = (head.uri.to_string(), host.unwrap_or_default().to_owned());
        let expected = expected.map(|(uri, host)| (uri.to_owned(), host.to_owned()));
        assert_eq!(read.then_some(became), expected, "{uri} {fields:?}");
    }

    #[test]
    fn pseudo_fields_become_a_target_and_a_host() {
        check("http://a.test:81/x?y=1", &[], Some(("/x?y=1", "a.test:81")));
        check(
            "http://a.test/",
            &[("host", "A.test")],
            Some(("/", "A.test")),
        );
        check("/only", &[("host", "b.test")], Some(("/only", "b.test")));
        check("http://a.test/", &[("host", "b.test")], None);
        check("http://a.test/", &[("host", "a.test:80")], None);
        check(
            "http://a.test/",
            &[("host", "a.test"), ("host", "a.test")],
            None,
        );
        check("https://a.test/", &[], None);
        check("ftp://a.test/", &[], None);
    }

    #[test]
    fn who_stands_behind_the_end_of_tls_may_say_so() {
        for (own, uri, expected) in [
            ("http", "https://a.test/", Some(true)),
            ("http", "http://a.test/", Some(false)),
            ("http", "ftp://a.test/", None),
            ("https", "https://a.test/", Some(false)),
            ("https", "http://a.test/", None),
        ] {
            let schemes = Schemes { own, https: true };
            let said = target(&mut head(uri, &[]), schemes);
            assert_eq!(said.ok(), expected, "{own} {uri}");
        }
    }

    #[test]
    fn lengths_that_agree_become_one() {
        for (values, expected) in [
            (&["3"][..], Some(1)),
            (&["3", "3"], Some(1)),
            (&[], Some(0)),
            (&["3", "4"], None),
            (&["3", "03"], None),
            (&["+3"], None),
            (&["3,3"], None),
            (&[""], None),
        ] {
            let fields: Vec<_> = values
                .iter()
                .map(|value| ("content-length", *value))
                .collect();
            let mut headers = head("/", &fields).headers;
            let read = lengths(&mut headers).is_ok();
            assert_eq!(read.then_some(headers.len()), expected, "{values:?}");
        }
    }

    #[test]
    fn crumbs_of_cookies_become_one_piece() {
        let fields = [
            ("cookie", "a=1"),
            ("x", "y"),
            ("cookie", "b=2"),
            ("cookie", "c"),
        ];
        let mut headers = head("/", &fields).headers;
        crumbs(&mut headers);
        let cookies: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1; b=2; c"]);
    }

    #[test]
    fn values_have_no_white_space_around_them() {
        for (value, expected) in [("a b", false), ("", false), (" a", true), ("a\t", true)] {
            assert_eq!(
                is_padded(&HeaderValue::from_static(value)),
                expected,
                "{value:?}"
            );
        }
    }
}
