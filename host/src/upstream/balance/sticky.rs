//! The cookie that keeps a client at its target.
//!
//! Its value is a hash of the names of upstream and target with keys that never change: it says nothing by itself, every
//! gateway of a fleet reads it, and it means the same after a restart. It is no secret: whoever knows the name of the
//! upstream can try addresses.

use std::fmt::Write as _;

use http::HeaderValue;

use super::ring::hash;
use crate::config::ready::Sticky;
use crate::endpoint::Endpoint;

/// Digits of a value.
const DIGITS: usize = 16;

/// The targets of a group by the values of the cookie.
#[derive(Debug, Default)]
pub struct Names(Box<[(u64, usize)]>);

impl Names {
    /// Those of an upstream's targets, in their order.
    #[must_use]
    pub fn new<'a>(upstream: &str, targets: impl Iterator<Item = &'a Endpoint>) -> Self {
        let names = targets
            .enumerate()
            .map(|(at, target)| (name(upstream, target), at));
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        Self(names.into())
    }

    /// The target that a value of the cookie names.
    #[must_use]
    pub fn find(&self, value: &[u8]) -> Option<usize> {
        let name = read(value)?;
        let place = self.0.binary_search_by_key(&name, |(name, _)| *name).ok()?;
        self.0.get(place).map(|(_, at)| *at)
    }

    /// The field that makes a client come back to a target.
    #[must_use]
    pub fn cookie(&self, at: usize, sticky: &Sticky, secure: bool) -> Option<HeaderValue> {
        let (name, _) = self.0.iter().find(|(_, target)| *target == at)?;
        let mut text = format!(
            "{}={name:016x}; Path=/; HttpOnly; SameSite=Lax",
            sticky.cookie
        );
        if let Some(age) = sticky.max_age {
            // A String takes everything.
            let _ = write!(text, "; Max-Age={}", age.as_secs());
        }
        if secure {
            text.push_str("; Secure");
        }
        HeaderValue::try_from(text).ok()
    }
}

fn name(upstream: &str, target: &Endpoint) -> u64 {
    // No name of an upstream contains a line end.
    hash(&[upstream.as_bytes(), b"\n", target.to_string().as_bytes()])
}

/// The number that a value is.
fn read(value: &[u8]) -> Option<u64> {
    if value.len() != DIGITS || !value.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(value).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;

    fn targets() -> Vec<Endpoint> {
        let target = |port| Endpoint::from(SocketAddr::from(([10, 0, 0, 1], port)));
        (1..=20).map(target).collect()
    }

    #[test]
    fn a_client_is_led_back_by_what_it_was_given() {
        let targets = targets();
        let names = Names::new("users", targets.iter());
        let others = Names::new("orders", targets.iter());
        let sticky = Sticky {
            cookie: "at".into(),
            max_age: None,
        };
        for at in 0..targets.len() {
            let cookie = names.cookie(at, &sticky, false).unwrap();
            let text = cookie.to_str().unwrap();
            let value = text.split(['=', ';']).nth(1).unwrap();
            assert_eq!(names.find(value.as_bytes()), Some(at));
            assert_eq!(others.find(value.as_bytes()), None, "another upstream's");
        }
    }

    #[test]
    fn what_is_no_value_names_nobody() {
        let names = Names::new("users", targets().iter());
        let values: [&[u8]; 6] = [
            b"",
            b"0",
            b"+000000000000000",
            b"zzzzzzzzzzzzzzzz",
            &[0xff; 16],
            &[b'f'; 17],
        ];
        for value in values {
            assert_eq!(names.find(value), None, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn the_field_is_written_as_browsers_want_it() {
        let target = Endpoint::from(SocketAddr::from(([10, 0, 0, 1], 1)));
        let names = Names::new("users", std::iter::once(&target));
        let field = |max_age, secure| {
            let sticky = Sticky {
                cookie: "at".into(),
                max_age,
            };
            let field = names.cookie(0, &sticky, secure).unwrap();
            field.to_str().unwrap().to_owned()
        };
        let value = format!("{:016x}", name("users", &target));
        assert_eq!(
            field(None, false),
            format!("at={value}; Path=/; HttpOnly; SameSite=Lax")
        );
        assert_eq!(
            field(Some(Duration::from_secs(3600)), true),
            format!("at={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600; Secure")
        );
        assert_eq!(
            names.cookie(
                1,
                &Sticky {
                    cookie: "at".into(),
                    max_age: None
                },
                false
            ),
            None
        );
    }
}
