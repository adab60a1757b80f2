//! What every path that an expression fits begins with, where that is sure.

use regex_syntax::hir::{Hir, HirKind, Look};

/// Appends what every text this fits begins with; whether it says all there is to this part, so that the next part goes
/// on behind it. What looks around takes nothing, so what follows it still comes next; the end of the path is written
/// as a slash, because like one it ends a segment.
pub(super) fn literal(hir: &Hir, text: &mut Vec<u8>) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => {
            text.extend_from_slice(&literal.0);
            true
        }
        HirKind::Look(Look::End) => {
            text.push(b'/');
            false
        }
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Capture(group) => literal(&group.sub, text),
        HirKind::Concat(parts) => parts.iter().all(|part| literal(part, text)),
        HirKind::Repetition(repetition) => {
            if repetition.min > 0 {
                literal(&repetition.sub, text);
            }
            false
        }
        HirKind::Alternation(branches) => {
            text.extend_from_slice(&shared(branches));
            false
        }
        HirKind::Class(_) => false,
    }
}

/// What all of these begin with.
fn shared(branches: &[Hir]) -> Vec<u8> {
    let mut texts = branches.iter().map(|branch| {
        let mut text = Vec::new();
        literal(branch, &mut text);
        text
    });
    let mut common = texts.next().unwrap_or_default();
    for text in texts {
        let same = common.iter().zip(&text).take_while(|(one, two)| one == two);
        common.truncate(same.count());
    }
    common
}

/// The segments in this beginning of a path that are surely whole, because a slash follows. Stops where the table would
/// not find its way: at an empty segment, and at bytes that no segment of a table has.
pub(super) fn whole_segments(begins: &[u8]) -> Box<[Box<str>]> {
    let mut parts: Vec<&[u8]> = begins.split(|&byte| byte == b'/').skip(1).collect();
    parts.pop();
    let plain = |part: &&[u8]| {
        let fits = |&byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}');
        !part.is_empty() && part.iter().all(fits)
    };
    let texts = parts.into_iter().take_while(plain);
    texts
        .filter_map(|part| std::str::from_utf8(part).ok())
        .map(Into::into)
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::router::regex::PathRegex;

    #[track_caller]
    fn check_leading(text: &str, expected: &[&str]) {
        let regex = PathRegex::parse(text).unwrap();
        let found: Vec<&str> = regex.leading().iter().map(|part| &**part).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn leading_segments_are_sure() {
        check_leading("/users/[0-9]+", &["users"]);
        check_leading("^/a/b/c", &["a", "b"]);
        check_leading("/a/b$", &["a", "b"]);
        check_leading("/a(/b)/(c|d)", &["a", "b"]);
        check_leading("/a/b?", &["a"]);
        check_leading("/ab*/c", &[]);
        check_leading("/a(/b/){2}x", &["a", "b"]);
        check_leading("/a(/b)?/c", &[]);
        check_leading("(/a|/b)/c", &[]);
        check_leading("(/a/b$|/a/c)", &["a"]);
        check_leading("(?i)/a/b/", &[]);
        check_leading("/a//b/", &["a"]);
        check_leading(r"/a/\{x\}/", &["a"]);
        check_leading("/x/(?:y/z|y/w)", &["x", "y"]);
        check_leading(".*", &[]);
        check_leading(r"/a\b/b/", &["a", "b"]);
    }
}
