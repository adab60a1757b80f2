//! What a word without quotes means: the core schema of YAML 1.2, kept to numbers that JSON can hold exactly.

use serde_json::Number;

use super::node::Data;

/// A scalar without quotes: `yes` and `on` are texts. The error is a number that cannot be kept exactly.
pub(super) fn plain(text: String) -> Result<Data, String> {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Data::Null),
        "true" | "True" | "TRUE" => return Ok(Data::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Data::Bool(false)),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(&text);
    if let Some(number) = radix(&text) {
        return number.map(Data::Number).ok_or(text);
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !is_number(digits) {
        return Ok(Data::Text(text));
    }
    let number = text.strip_prefix('+').unwrap_or(&text);
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        let unsigned = number.parse::<u64>().map(Number::from);
        let signed = || number.parse::<i64>().map(Number::from);
        return unsigned
            .or_else(|_| signed())
            .map(Data::Number)
            .map_err(|_| text);
    }
    let float = number.parse::<f64>().ok().and_then(whole);
    float.map(Data::Number).ok_or(text)
}

/// `0x1F` and `0o17`; the inner nothing is a number that is too large.
fn radix(text: &str) -> Option<Option<Number>> {
    let hexadecimal = text.strip_prefix("0x").map(|digits| (digits, 16));
    let octal = || text.strip_prefix("0o").map(|digits| (digits, 8));
    let (digits, base) = hexadecimal.or_else(octal)?;
    let fits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    fits.then(|| u64::from_str_radix(digits, base).ok().map(Number::from))
}

/// `1.0` counts as `1`, as JSON Schema has it.
fn whole(float: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if float.fract() == 0.0 && float.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits")]
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

/// `[0-9]* (. [0-9]*)? ([eE] [-+]? [0-9]+)?` with a digit somewhere.
fn is_number(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && all_digits(e)
    });
    before.len() + after.len() > 0 && all_digits(before) && all_digits(after) && exponent_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match plain(text.to_owned()) {
            Ok(Data::Null) => "null".to_owned(),
            Ok(Data::Bool(value)) => format!("bool {value}"),
            Ok(Data::Number(number)) => format!("number {number}"),
            Ok(Data::Text(text)) => format!("text {text}"),
            Ok(Data::List(_) | Data::Map(_)) => "tree".to_owned(),
            Err(_) => "inexact".to_owned(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_mean_what_the_core_schema_says() {
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("True", "bool true"),
            ("yes", "text yes"),
            ("off", "text off"),
            ("0", "number 0"),
            ("+7", "number 7"),
            ("-7", "number -7"),
            ("007", "number 7"),
            ("0x1F", "number 31"),
            ("0o17", "number 15"),
            ("0xZZ", "text 0xZZ"),
            ("1.0", "number 1"),
            (".5", "number 0.5"),
            ("1e3", "number 1000"),
            ("1e", "text 1e"),
            (".", "text ."),
            ("1.2.3", "text 1.2.3"),
            (".inf", "text .inf"),
            ("18446744073709551615", "number 18446744073709551615"),
            ("18446744073709551616", "inexact"),
            ("-9223372036854775809", "inexact"),
            ("1e999", "inexact"),
            ("0xFFFFFFFFFFFFFFFFF", "inexact"),
            ("é", "text é"),
        ] {
            check(text, expected);
        }
    }
}
