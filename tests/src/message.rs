//! Heads and what they say about the body.
//!
//! httparse reads them, and they are then judged more strictly than a tolerant peer would: what the harness accepts, every
//! sensible peer accepts.

/// More header fields than any test sends.
const MAX_HEADERS: usize = 2048;

/// Header fields in the order of the wire. Names are in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Vec<u8>)>);

impl Headers {
    /// The value of a field that occurs once.
    ///
    /// # Panics
    /// When it occurs more than once, because a test that asks for one value would not notice the other.
    #[must_use]
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<String> {
        let mut all = self.all(name);
        assert!(
            all.len() < 2,
            "`{name}` occurs {} times: {all:?}",
            all.len()
        );
        all.pop()
    }

    /// All values of a field.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.escape_ascii().to_string())
            .collect()
    }
}

/// The status, reason and header fields of a response head.
///
/// # Errors
/// When it is not the head of a response, or holds a bare CR or LF.
pub fn parse_response_head(head: &[u8]) -> Result<(u16, String, Headers), String> {
    refuse_bare_line_ends(head)?;
    let mut fields = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut fields);
    response.parse(head).map_err(|error| error.to_string())?;
    let status = response.code.ok_or("no status")?;
    let reason = response.reason.unwrap_or_default().to_owned();
    Ok((status, reason, collect(response.headers)))
}

/// The method, target, version and header fields of a request head.
///
/// # Errors
/// When it is not the head of a request, or holds a bare CR or LF.
pub fn parse_request_head(head: &[u8]) -> Result<(String, String, u8, Headers), String> {
    refuse_bare_line_ends(head)?;
    let mut fields = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(head).map_err(|error| error.to_string())?;
    let method = request.method.ok_or("no method")?.to_owned();
    let target = request.path.ok_or("no target")?.to_owned();
    let version = request.version.ok_or("no version")?;
    Ok((method, target, version, collect(request.headers)))
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// `Content-Length`.
    Length(usize),
    /// Neither.
    Unsaid,
}

/// How these header fields frame a body.
///
/// # Errors
/// When they say it twice or in a way this harness never accepts from a gateway.
pub fn framing(headers: &Headers) -> Result<Framing, String> {
    let (codings, lengths) = (
        headers.all("transfer-encoding"),
        headers.all("content-length"),
    );
    match (codings.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(Framing::Unsaid),
        ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        ([], [length]) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
            .parse()
            .map(Framing::Length)
            .map_err(|error| format!("content-length `{length}`: {error}")),
        _ => Err(format!(
            "ambiguous framing: transfer-encoding {codings:?}, content-length {lengths:?}"
        )),
    }
}

fn collect(fields: &[httparse::Header<'_>]) -> Headers {
    let own = |field: &httparse::Header<'_>| (field.name.to_lowercase(), field.value.to_vec());
    Headers(fields.iter().map(own).collect())
}

fn refuse_bare_line_ends(head: &[u8]) -> Result<(), String> {
    let mut before = None;
    for (&byte, after) in head.iter().zip(head.iter().skip(1).map(Some).chain([None])) {
        if (byte == b'\n' && before != Some(b'\r')) || (byte == b'\r' && after != Some(&b'\n')) {
            return Err("a bare CR or LF stands in the head".to_owned());
        }
        before = Some(byte);
    }
    Ok(())
}
