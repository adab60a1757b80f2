//! The first line of a head: whether it came to an end.
//!
//! hyper gives up a head that is longer than it may be with 431, whatever of it was too long. Where not even the first line came
//! to an end it is the target that was, which is 414 (RFC 9112, 3).

const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\n";
const TOO_LONG: &[u8] = b"HTTP/1.1 414 URI Too Long\r\n";

/// What was read of the first line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum FirstLine {
    /// Nothing but line ends, which may stand before it.
    #[default]
    Nothing,
    /// Not all of it.
    Begun,
    /// All of it.
    Over,
}

impl FirstLine {
    /// These bytes of its head came.
    pub(super) fn reads(&mut self, mut bytes: &[u8]) {
        if *self == Self::Over {
            return;
        }
        if *self == Self::Nothing {
            let ends = bytes
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'));
            bytes = bytes.get(ends.count()..).unwrap_or_default();
        }
        if bytes.contains(&b'\n') {
            *self = Self::Over;
        } else if !bytes.is_empty() {
            *self = Self::Begun;
        }
    }

    /// What takes the place of an answer of the parser, if it is about the target.
    pub(super) fn instead_of(self, answer: &[u8]) -> Option<Vec<u8>> {
        if self != Self::Begun {
            return None;
        }
        let rest = answer.strip_prefix(TOO_LARGE)?;
        Some([TOO_LONG, rest].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[&str], expected: FirstLine) {
        let mut line = FirstLine::default();
        for piece in pieces {
            line.reads(piece.as_bytes());
        }
        assert_eq!(line, expected, "{pieces:?}");
    }

    #[test]
    fn a_line_ends_with_its_end() {
        check(&[], FirstLine::Nothing);
        check(&["\r", "\n"], FirstLine::Nothing);
        check(&["\r\n", "GET /a"], FirstLine::Begun);
        check(&["GET /a HTTP/1.1\r\n"], FirstLine::Over);
        check(&["G", "ET / HTTP/1.1\r", "\nHost"], FirstLine::Over);
    }

    #[test]
    fn only_what_is_about_the_target_is_told_otherwise() {
        let large = [TOO_LARGE, b"content-length: 0\r\n\r\n"].concat();
        let long = [TOO_LONG, b"content-length: 0\r\n\r\n"].concat();
        assert_eq!(FirstLine::Begun.instead_of(&large), Some(long));
        assert_eq!(FirstLine::Over.instead_of(&large), None);
        assert_eq!(
            FirstLine::Begun.instead_of(b"HTTP/1.1 400 Bad Request\r\n"),
            None
        );
    }
}
