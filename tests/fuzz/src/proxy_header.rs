//! The first bytes of a connection: a PROXY header, and which version of HTTP follows.

use std::net::SocketAddr;

use swapgate::door::{self, Header};

/// The bytes a client or a balancer sends first.
pub fn proxy_header(data: &[u8]) {
    versions(data);
    let whole = door::proxy_header(data);
    match &whole {
        Ok(Header::Whole(ends, length)) => {
            assert!((8..=4096).contains(length) && *length <= data.len());
            let (header, _) = data.split_at(*length);
            assert_eq!(door::proxy_header(header), whole, "what follows counts");
            for cut in 0..*length {
                let part = door::proxy_header(&header[..cut]);
                let fits =
                    matches!(part, Ok(Header::More(needed)) if cut < needed && needed <= *length);
                assert!(fits, "{cut} of {length}: {part:?}");
            }
            if let Some(ends) = ends {
                assert_eq!(Some(*ends), told(header), "another reading of it");
            }
        }
        Ok(Header::More(needed)) => assert!(data.len() < *needed && *needed <= 4096),
        Ok(Header::Absent) => {
            assert!(!data.starts_with(b"PROXY ") && !data.starts_with(b"\r\n\r\n\0\r\nQUIT\n"));
        }
        Err(sentence) => assert!(crate::is_one_line(sentence)),
    }
}

/// A second and simpler reading of a header that is known to be whole.
fn told(header: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    if let Some(line) = header.strip_prefix(b"PROXY ") {
        let line = std::str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?;
        let words: Vec<&str> = line.split(' ').collect();
        let [family, source, destination, from, to] = words[..] else {
            return None;
        };
        let end = |address: &str, port: &str| {
            let text = match family {
                "TCP4" => format!("{address}:{port}"),
                "TCP6" => format!("[{address}]:{port}"),
                _ => return None,
            };
            text.parse().ok()
        };
        return Some((end(source, from)?, end(destination, to)?));
    }
    let address = |from: usize, len: usize, port: usize| {
        let port = u16::from_be_bytes([*header.get(port)?, *header.get(port + 1)?]);
        let bytes = header.get(from..from + len)?;
        match len {
            4 => Some(SocketAddr::from((<[u8; 4]>::try_from(bytes).ok()?, port))),
            _ => Some(SocketAddr::from((<[u8; 16]>::try_from(bytes).ok()?, port))),
        }
    };
    match header.get(13)? {
        0x11 => Some((address(16, 4, 24)?, address(20, 4, 26)?)),
        0x21 => Some((address(16, 16, 48)?, address(32, 16, 50)?)),
        _ => None,
    }
}

/// Once the version is known it stays so, and it is HTTP/2 for the whole preface alone.
fn versions(data: &[u8]) {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut known = None;
    for end in 0..=data.len().min(PREFACE.len()) {
        let now = door::is_http2(&data[..end]);
        let possible = PREFACE.starts_with(&data[..end]);
        assert_eq!(now.is_none(), possible && end < PREFACE.len());
        assert!(known.is_none() || known == now);
        assert!(now != Some(true) || &data[..end] == PREFACE);
        known = now;
        if now == Some(true) {
            break;
        }
    }
}
