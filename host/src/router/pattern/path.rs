//! One entry of `paths`.

use std::fmt;
use std::sync::Arc;

use super::PatternError;
use crate::router::path;
use crate::router::regex::PathRegex;

/// One entry of `paths`. Displays as its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    pub(in crate::router) kind: PathKind,
}

/// The two ways to write a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::router) enum PathKind {
    Plain(Plain),
    Regex(Arc<PathRegex>),
}

/// A pattern of whole segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::router) struct Plain {
    pub(in crate::router) segments: Vec<Segment>,
    /// Nothing may follow.
    pub(in crate::router) exact: bool,
    /// A slash must follow the segments.
    pub(in crate::router) slash: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::router) enum Segment {
    Literal(Box<str>),
    Parameter(Box<str>),
}

impl PathPattern {
    /// Reads `/users/{id}` (that path and everything below it, by whole segments), `=/users/{id}` (that path alone) or
    /// `~/users/[0-9]+` (a regular expression, anchored at the start of the path and nowhere else). `{name}` takes
    /// exactly one segment that is not empty. `/users/` asks for the slash: it does not match `/users`.
    ///
    /// # Errors
    /// Says what is not a path, what a parameter cannot be, and what is wrong with a regular expression.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let kind = match text.strip_prefix('~') {
            Some(regex) => PathKind::Regex(Arc::new(PathRegex::parse(regex)?)),
            None => PathKind::Plain(Plain::parse(text)?),
        };
        Ok(Self { kind })
    }

    /// The same with an expression that shares no pool of caches with this one; see
    /// [`crate::router::table::RouteRule::unshared`].
    pub(in crate::router) fn unshared(&self) -> Self {
        let kind = match &self.kind {
            PathKind::Regex(regex) => PathKind::Regex(Arc::new(PathRegex::clone(regex))),
            plain @ PathKind::Plain(_) => plain.clone(),
        };
        Self { kind }
    }

    /// The names of its parameters, from the left.
    #[must_use]
    pub fn parameters(&self) -> Vec<&str> {
        match &self.kind {
            PathKind::Regex(regex) => regex.names().iter().map(|(_, name)| &**name).collect(),
            PathKind::Plain(plain) => {
                let names = plain.segments.iter().filter_map(|segment| match segment {
                    Segment::Parameter(name) => Some(&**name),
                    Segment::Literal(_) => None,
                });
                names.collect()
            }
        }
    }
}

impl Plain {
    fn parse(text: &str) -> Result<Self, PatternError> {
        let (raw, exact) = text
            .strip_prefix('=')
            .map_or((text, false), |raw| (raw, true));
        if raw.is_empty() {
            return Err(PatternError::Empty);
        }
        if raw.contains("//") {
            return Err(PatternError::EmptySegment(text.to_owned()));
        }
        let refused = |source| PatternError::Path {
            text: text.to_owned(),
            source,
        };
        let normal = path::normalize(raw, false).map_err(refused)?;
        let inner = normal.strip_prefix('/').unwrap_or(&normal);
        let (inner, slash) = inner
            .strip_suffix('/')
            .map_or((inner, inner.is_empty()), |inner| (inner, true));
        let mut pattern = Self {
            segments: Vec::new(),
            exact,
            // The prefix `/` asks for nothing: every path begins with it.
            slash: slash && (exact || !inner.is_empty()),
        };
        for segment in inner.split('/').filter(|segment| !segment.is_empty()) {
            let segment = Segment::parse(segment)?;
            if let Segment::Parameter(name) = &segment
                && pattern.segments.contains(&segment)
            {
                return Err(PatternError::RepeatedParameter(name.to_string()));
            }
            pattern.segments.push(segment);
        }
        Ok(pattern)
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            PathKind::Plain(plain) => plain.fmt(f),
            PathKind::Regex(regex) => write!(f, "~{}", regex.text()),
        }
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exact {
            f.write_str("=")?;
        }
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Parameter(name) => write!(f, "/{{{name}}}")?,
            }
        }
        if self.slash || self.segments.is_empty() {
            f.write_str("/")?;
        }
        Ok(())
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, PatternError> {
        if !text.contains(['{', '}']) {
            return Ok(Self::Literal(text.into()));
        }
        let inner = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        match inner {
            Some(name) if !name.contains(['{', '}']) => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
                if name.is_empty() || !name.bytes().all(fits) {
                    return Err(PatternError::ParameterName(text.to_owned()));
                }
                Ok(Self::Parameter(name.into()))
            }
            _ => Err(PatternError::PartialParameter(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::pattern::tests::check_parsed;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        check_parsed(text, PathPattern::parse(text), expected);
    }

    #[test]
    fn paths() {
        check("/", Ok("/"));
        check("=/", Ok("=/"));
        check("/users", Ok("/users"));
        check("/users/", Ok("/users/"));
        check("=/users/{id}", Ok("=/users/{id}"));
        check("/{a}/b/{c-d}/", Ok("/{a}/b/{c-d}/"));
        check("/%7euser/%c3%a4/./x", Ok("/~user/%C3%A4/x"));
        check("~/users/[0-9]+", Ok("~/users/[0-9]+"));
        check("", Err("empty"));
        check("=", Err("empty"));
        check("users", Err("not a path"));
        check("/a//b", Err("empty segment"));
        check("/a%2fb", Err("not a path"));
        check("/a?x=1", Err("not a path"));
        check("/img-{id}.png", Err("whole segment"));
        check("/{a}{b}", Err("whole segment"));
        check("/{a", Err("whole segment"));
        check("/{}", Err("not a parameter name"));
        check("/{*rest}", Err("not a parameter name"));
        check("/{id}/x/{id}", Err("occurs twice"));
    }
}
