//! What is shown of a request that was refused: enough to see what is wrong with it, and nothing that could be a secret.
//!
//! Of the target the path and the names in the query; of fields the names, and the values of those few that say how a message
//! is to be read. What does not look like a request at all is not shown, for it may be the body of one. A line is shown up to its
//! first control byte, so that nothing hides behind one.

use std::fmt::Write as _;

/// How much of a head is looked at.
pub const LOOKED_AT: usize = 1024;

/// Most bytes of a request line, of a field, and of all of it.
const LINE: usize = 512;
const FIELD: usize = 160;
const ALL: usize = 1536;
/// Longest name of a field.
const NAME: usize = 64;

/// What stands for what is not shown.
const HIDDEN: &str = "***";

/// What is shown of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The request line.
    pub line: String,
    /// The fields, in their order.
    pub headers: Vec<String>,
    /// Whether there was more.
    pub cut: bool,
}

/// Of a head as it came, or the beginning of one.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> Shown {
    let start = bytes
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(bytes.len());
    let bytes = bytes.get(start..).unwrap_or_default();
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Some(line) = lines.next().and_then(request_line) else {
        return Shown {
            line: no_request(bytes),
            headers: Vec::new(),
            cut: true,
        };
    };
    let mut shown = Shown::of(line);
    let mut ended = false;
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            ended = true;
            break;
        }
        if !shown.add(field(line)) {
            break;
        }
    }
    shown.cut |= !ended;
    shown
}

/// Of a head that was parsed.
pub fn of_parts<'a>(
    line: (&str, &str, &str),
    fields: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Shown {
    let (method, target, version) = line;
    let line = format!("{method} {target} {version}");
    let line = request_line(line.as_bytes()).unwrap_or_else(|| no_request(line.as_bytes()));
    let mut shown = Shown::of(line);
    for (name, value) in fields {
        if !shown.add(named(name.as_bytes(), value)) {
            break;
        }
    }
    shown
}

impl Shown {
    fn of(line: String) -> Self {
        Self {
            line,
            headers: Vec::new(),
            cut: false,
        }
    }

    /// Adds a field, if there is room.
    fn add(&mut self, field: String) -> bool {
        let all: usize = self.headers.iter().map(String::len).sum();
        let fits = self.line.len() + all + field.len() <= ALL;
        if fits {
            self.headers.push(field);
        }
        self.cut |= !fits;
        fits
    }
}

/// The line, if it looks like that of a request.
fn request_line(line: &[u8]) -> Option<String> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let (method, rest) = line.split_at(line.iter().position(blank)?);
    let is_method = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    if method.is_empty() || method.len() > 20 || !method.iter().all(is_method) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let scheme = rest.split(|byte| *byte == b':').next().unwrap_or_default();
    let absolute = rest.get(scheme.len()..)?.starts_with(b"://")
        && scheme.len() <= 16
        && scheme.iter().all(u8::is_ascii_alphanumeric);
    let is_target = rest.starts_with(b"/") || rest.starts_with(b"*") || absolute;
    if !is_target && !method.eq_ignore_ascii_case(b"CONNECT") {
        return None;
    }
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    let (target, version) = match rest.windows(6).rposition(|part| part == b" HTTP/") {
        Some(at) => rest.split_at(at),
        None => (rest, &[][..]),
    };
    let mut shown = format!("{} {}", escaped(method, 20), redacted(target));
    if is_version(version) {
        shown.push_str(&escaped(version, 16));
    } else if !version.is_empty() {
        shown.push_str(" HTTP/");
        shown.push_str(HIDDEN);
    }
    Some(shown)
}

fn is_version(text: &[u8]) -> bool {
    let number = text.strip_prefix(b" HTTP/").unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    (1..=4).contains(&number.len()) && number.iter().all(plain)
}

/// A target without userinfo, fragment, and what the query says.
fn redacted(target: &[u8]) -> String {
    let anonymous = without_userinfo(target);
    let target = anonymous.as_slice();
    let whole = until_control(target);
    let end = whole.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let (path, rest) = whole.split_at(end.unwrap_or(whole.len()));
    let mut shown = escaped(path, LINE / 2);
    if let Some(query) = rest.strip_prefix(b"?") {
        let query = query.split(|byte| *byte == b'#').next().unwrap_or_default();
        shown.push('?');
        for (at, pair) in query.split(|byte| *byte == b'&').enumerate() {
            if shown.len() > LINE {
                shown.push_str("...");
                break;
            }
            if at > 0 {
                shown.push('&');
            }
            // What has no value may be one: a token is often all of a query.
            if let Some(equals) = pair.iter().position(|byte| *byte == b'=') {
                let name = pair.get(..equals).unwrap_or_default();
                let _ = write!(shown, "{}=", escaped(name, NAME));
            }
            shown.push_str(HIDDEN);
        }
    }
    if whole.len() < target.len() {
        // Where the control byte stands is what is wrong with it; what follows is not shown.
        let control = target.get(whole.len()..whole.len() + 1).unwrap_or_default();
        let _ = write!(shown, "{}...", control.escape_ascii());
    }
    shown
}

/// What stands before an `@` in the authority is a name and a password. Either may hold what would end an authority, and whoever
/// sends it so thinks of it as part of them: so all that stands before the last `@` is hidden, wherever that is.
fn without_userinfo(path: &[u8]) -> Vec<u8> {
    let scheme = path.iter().position(|byte| !byte.is_ascii_alphanumeric());
    let authority = match scheme {
        Some(at) if path.get(at..).is_some_and(|rest| rest.starts_with(b"://")) => at + 3,
        _ if path.starts_with(b"/") || path.starts_with(b"*") => return path.to_vec(),
        _ => 0,
    };
    let (scheme, rest) = path.split_at(authority);
    let mut shown = scheme.to_vec();
    shown.extend_from_slice(&host_alone(rest));
    shown
}

fn host_alone(host: &[u8]) -> Vec<u8> {
    match host.iter().rposition(|byte| *byte == b'@') {
        Some(at) => [HIDDEN.as_bytes(), host.get(at..).unwrap_or_default()].concat(),
        None => host.to_vec(),
    }
}

/// What is said of bytes that are no request.
fn no_request(bytes: &[u8]) -> String {
    if bytes.starts_with(b"\x16\x03") {
        return "(a TLS handshake)".to_owned();
    }
    if bytes.is_empty() {
        return "(nothing)".to_owned();
    }
    let more = if bytes.len() >= LOOKED_AT {
        " or more"
    } else {
        ""
    };
    format!("({}{more} bytes that are no request)", bytes.len())
}

/// A line of a head.
fn field(line: &[u8]) -> String {
    if line
        .first()
        .is_some_and(|byte| matches!(byte, b' ' | b'\t'))
    {
        return "(a folded line)".to_owned();
    }
    match line.iter().position(|byte| *byte == b':') {
        Some(at) => {
            let (name, value) = line.split_at(at);
            named(name, value.get(1..).unwrap_or_default())
        }
        None => "(a line without a colon)".to_owned(),
    }
}

fn named(name: &[u8], value: &[u8]) -> String {
    let shown = escaped(name, NAME);
    let value = value.trim_ascii();
    let lower = name.trim_ascii().to_ascii_lowercase();
    let room = FIELD.saturating_sub(shown.len());
    match &*lower {
        b"host" => format!(
            "{shown}: {}",
            value_of(until_control(&host_alone(value)), value, room)
        ),
        name if is_harmless(name) => {
            format!("{shown}: {}", value_of(until_control(value), value, room))
        }
        _ => format!("{shown}: {HIDDEN}"),
    }
}

/// A value up to its first control byte.
fn value_of(shown: &[u8], whole: &[u8], room: usize) -> String {
    let mut text = escaped(shown, room);
    if let Some(control) = whole.iter().find(|byte| is_control(**byte)) {
        let _ = write!(text, "{}...", [*control].escape_ascii());
    }
    text
}

/// Fields that say how a message is to be read, and nothing about who sent it.
fn is_harmless(name: &[u8]) -> bool {
    matches!(
        name,
        b"accept"
            | b"connection"
            | b"content-encoding"
            | b"content-length"
            | b"content-type"
            | b"expect"
            | b"keep-alive"
            | b"proxy-connection"
            | b"sec-websocket-version"
            | b"te"
            | b"trailer"
            | b"transfer-encoding"
            | b"upgrade"
            | b"user-agent"
    )
}

fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}

fn until_control(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| is_control(*byte));
    bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()
}

/// As text, with everything that is not a visible character written out.
fn escaped(bytes: &[u8], most: usize) -> String {
    let mut text = String::new();
    for byte in bytes {
        if text.len() >= most {
            text.push_str("...");
            break;
        }
        match byte {
            b' '..=b'~' => text.push(char::from(*byte)),
            other => {
                let _ = write!(text, "\\x{other:02x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], line: &str, headers: &[&str]) {
        let shown = of_bytes(bytes);
        assert_eq!(
            (shown.line.as_str(), &shown.headers[..]),
            (
                line,
                &headers
                    .iter()
                    .map(|one| (*one).to_owned())
                    .collect::<Vec<_>>()[..]
            )
        );
        let all = format!("{shown:?}");
        assert!(!all.contains("secret"), "{all}");
        assert!(all.len() < 3000, "{}", all.len());
        assert!(!all.bytes().any(is_control), "{all}");
    }

    #[test]
    fn what_a_request_says_about_itself_is_shown() {
        check(
            b"\r\nPOST /a/b?key=secret&flag&x=secret%3D=secret#secret HTTP/1.1\r\nHost: user:secret@a.test\r\nCookie: secret\r\nX-Api-Key : secret\r\nContent-Length: 3\r\nTransfer-Encoding: gzip, chunked\r\n\r\nsecret",
            "POST /a/b?key=***&***&x=*** HTTP/1.1",
            &[
                "Host: ***@a.test",
                "Cookie: ***",
                "X-Api-Key : ***",
                "Content-Length: 3",
                "Transfer-Encoding: gzip, chunked",
            ],
        );
        check(
            b"GET http://user:secret@a.test/x?secret HTTP/1.1\nAuthorization: secret",
            "GET http://***@a.test/x?*** HTTP/1.1",
            &["Authorization: ***"],
        );
        check(
            b"CONNECT user:secret@a.test:443 HTTP/1.1\r\n\r\n",
            "CONNECT ***@a.test:443 HTTP/1.1",
            &[],
        );
        check(b"OPTIONS * HTTP/3.7\r\n\r\n", "OPTIONS * HTTP/3.7", &[]);
        check(b"GET  /a HTTP/1.1\r\n\r\n", "GET /a HTTP/1.1", &[]);
        check(b"GET /a b HTTP/1.1\r\n\r\n", "GET /a b HTTP/1.1", &[]);
        check(
            b"GET /?a=secret with a blank&b=secret HTTP/1.1\r\n",
            "GET /?a=***&b=*** HTTP/1.1",
            &[],
        );
        check(b"GET /?a=secret", "GET /?a=***", &[]);
        check(b"GET /a HTTP/1.1 secret\r\n", "GET /a HTTP/***", &[]);
    }

    #[test]
    fn a_password_may_hold_anything() {
        for delimiter in ["?", "#", "/", ":", "@", " ", "\0", "\x7f"] {
            let target = format!("bob:secret{delimiter}secret@a.test/x?a=secret");
            let shown = "***@a.test/x?a=***";
            let line = format!("GET http://{target} HTTP/1.1\r\n\r\n");
            check(
                line.as_bytes(),
                &format!("GET http://{shown} HTTP/1.1"),
                &[],
            );
            let line = format!("CONNECT {target} HTTP/1.1\r\n\r\n");
            check(line.as_bytes(), &format!("CONNECT {shown} HTTP/1.1"), &[]);
        }
        check(
            b"GET /a@b HTTP/1.1\r\nHost: bob:secret\x01secret@a.test\r\n\r\n",
            "GET /a@b HTTP/1.1",
            &["Host: ***@a.test\\x01..."],
        );
    }

    #[test]
    fn nothing_hides_behind_control_bytes() {
        check(
            b"GET /a\0secret?b HTTP/1.1\r\n\r\n",
            "GET /a\\x00... HTTP/1.1",
            &[],
        );
        check(
            b"GET /\rCookie: secret HTTP/1.1\r\n\r\n",
            "GET /\\r... HTTP/1.1",
            &[],
        );
        check(
            b"GET / HTTP/1.1\r\nHost: a\rCookie: secret\r\n secret\r\nsecret\r\nContent-Length: 1\x01secret\r\nB\xc3\xa4r: secret\r\n\r\n",
            "GET / HTTP/1.1",
            &[
                "Host: a\\r...",
                "(a folded line)",
                "(a line without a colon)",
                "Content-Length: 1\\x01...",
                "B\\xc3\\xa4r: ***",
            ],
        );
    }

    #[test]
    fn what_is_no_request_may_be_a_body() {
        check(
            b"password=secret&user=a\r\nHost: secret\r\n\r\n",
            "(40 bytes that are no request)",
            &[],
        );
        check(
            b"{\"password\": \"secret\"}",
            "(22 bytes that are no request)",
            &[],
        );
        check(b"the secret is this", "(18 bytes that are no request)", &[]);
        check(b"\x16\x03\x01\x02\x00\x01secret", "(a TLS handshake)", &[]);
        check(b"", "(nothing)", &[]);
        check(
            &[b's'; LOOKED_AT],
            "(1024 or more bytes that are no request)",
            &[],
        );
    }

    #[test]
    fn there_is_a_bound_on_all_of_it() {
        let head = format!(
            "GET /{}?{} HTTP/1.1\r\n{}\r\n",
            "p".repeat(5000),
            "k=secret&".repeat(500),
            "Content-Type: \u{7f}\u{1f}x\r\n".repeat(500)
        );
        let shown = of_bytes(head.as_bytes());
        let all = shown.line.len() + shown.headers.iter().map(String::len).sum::<usize>();
        assert!(all <= 2048, "{all}");
        assert!(shown.cut);
    }

    #[test]
    fn a_parsed_head_is_shown_in_the_same_way() {
        let fields = [("cookie", &b"secret"[..]), ("user-agent", b"curl")];
        let shown = of_parts(("GET", "/a?b=secret", "HTTP/2"), fields.into_iter());
        assert_eq!(shown.line, "GET /a?b=*** HTTP/2");
        assert_eq!(shown.headers, ["cookie: ***", "user-agent: curl"]);
        assert!(!shown.cut);
    }
}
