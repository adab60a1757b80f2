//! Moments as RFC 3339 writes them, in UTC with milliseconds.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Appends `2026-01-02T03:04:05.678Z`.
pub fn utc(out: &mut Vec<u8>, moment: SystemTime) {
    // A clock before 1970 is wrong, and whatever it says would be.
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let milli = since.subsec_millis();
    // Writing to a vector does not fail.
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
    );
}

/// Year, month and day of a day since 1970. Years are taken to begin in March, so that a leap day is the last of its year,
/// and eras of 400 years repeat (Hinnant, "chrono-compatible low-level date algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    #[track_caller]
    fn check(millis: u64, expected: &str) {
        let mut out = Vec::new();
        super::utc(&mut out, UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn moments_look_as_in_the_standard() {
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(951_868_799_999, "2000-02-29T23:59:59.999Z");
        check(1_709_164_800_001, "2024-02-29T00:00:00.001Z");
        check(1_735_689_599_000, "2024-12-31T23:59:59.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }
}
