//! Single values: from a text to a type that cannot be wrong.
//!
//! Each function says in words what it expects; the caller knows the place and what was found.

mod address;

use std::time::Duration;

use http::Method;

pub(super) use address::{address, allowed, allowed_address, endpoint, network, target};

use super::error::nearest;

/// What a duration looks like.
pub(super) const DURATION: &str = "a time with a unit such as 250ms, 5s or 1m";
/// What a size looks like.
pub(super) const SIZE: &str = "a number of bytes, or a text with a unit such as 64KiB or 10MB";

/// Why a value was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) expected: String,
    pub(super) advice: Option<String>,
}

impl Flaw {
    pub(super) fn new(expected: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            advice: None,
        }
    }

    fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// `250ms`, `5s`, `1m`, `2h`; never zero, at most a year.
pub(super) fn duration(text: &str) -> Result<Duration, Flaw> {
    const YEAR_MS: u64 = 365 * 24 * 3_600_000;
    let (number, unit) = number_and_unit(text).ok_or_else(|| Flaw::new(DURATION))?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" => return Err(Flaw::new(DURATION).advice("add the unit")),
        _ => return Err(Flaw::new(DURATION).advice("use one of the units ms, s, m and h")),
    };
    match number.checked_mul(factor) {
        Some(0) => Err(Flaw::new("a time longer than zero")),
        Some(ms) if ms <= YEAR_MS => Ok(Duration::from_millis(ms)),
        _ => Err(Flaw::new("at most 8760h")),
    }
}

/// `65536`, `64KiB`, `10MB`.
pub(super) fn size(text: &str) -> Result<u64, Flaw> {
    let (number, unit) = number_and_unit(text).ok_or_else(|| Flaw::new(SIZE))?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => {
            return Err(
                Flaw::new(SIZE).advice("use one of the units B, KB, MB, GB, KiB, MiB and GiB")
            );
        }
    };
    number
        .checked_mul(factor)
        .filter(|bytes| *bytes <= i64::MAX as u64)
        .ok_or_else(|| Flaw::new("at most 8589934591GiB"))
}

/// A method; the standard ones must be in capitals, for methods are compared letter by letter.
pub(super) fn method(text: &str) -> Result<Method, Flaw> {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ];
    let flaw = || Flaw::new("a method such as GET or POST");
    if KNOWN.contains(&text) {
        return Method::from_bytes(text.as_bytes()).map_err(|_| flaw());
    }
    let capitals = text.to_ascii_uppercase();
    if let Some(near) = nearest(&capitals, KNOWN) {
        return Err(flaw().advice(format!("did you mean {near}?")));
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| flaw())
}

/// A name of an entity: it stands in logs, in status and later in metric labels.
pub(super) fn name(text: &str) -> Result<(), Flaw> {
    const LONGEST: usize = 128;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    if text.is_empty() || text.chars().count() > LONGEST || !text.chars().all(fits) {
        return Err(Flaw::new(format!(
            "1 to {LONGEST} letters, digits, \"-\", \"_\", \".\" or \"~\""
        )));
    }
    Ok(())
}

/// A token (RFC 9110, 5.6.2).
pub(super) fn token(text: &str) -> Result<(), Flaw> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || text.len() > 255 || !text.bytes().all(fits) {
        return Err(Flaw::new(
            "a token: letters, digits and !#$%&'*+-.^_`|~ without spaces",
        ));
    }
    Ok(())
}

/// A bearer token (RFC 6750, 2.1) that is not trivially short.
pub(super) fn bearer(text: &str) -> Result<(), Flaw> {
    let fits = |b: u8| b.is_ascii_graphic();
    if text.len() < 8 || text.len() > 4096 || !text.bytes().all(fits) {
        return Err(Flaw::new(
            "8 to 4096 visible ASCII characters without spaces",
        ));
    }
    Ok(())
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.strip_prefix(' ').unwrap_or(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_units_that_are_known() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for wrong in [
            "",
            "5",
            "s",
            "0s",
            "1d",
            "-1s",
            "1.5s",
            "99999999999999999999s",
            "18446744073709551615h",
            "9000h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("10MB"), Ok(10_000_000));
        assert_eq!(size("7"), Ok(7));
        for wrong in [
            "",
            "KiB",
            "1kib",
            "1 TB",
            "-1",
            "18446744073709551615",
            "99999999999GiB",
        ] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn methods_are_compared_letter_by_letter() {
        assert_eq!(method("GET"), Ok(Method::GET));
        assert!(method("PURGE").is_ok());
        for wrong in ["get", "GETT", "", "A B"] {
            assert!(method(wrong).is_err(), "{wrong}");
        }
    }
}
