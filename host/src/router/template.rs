//! Texts that a route makes of a request: the path it forwards, or the location it redirects to.
//!
//! `{name}` is a parameter of the matched pattern. What begins with `$` is of the request: `{$host}`, `{$path}` (in its
//! normal form), `{$rest}` (what follows the matched prefix: empty, or begins with a slash) and `{$query}` (empty, or begins
//! with a question mark, so that a template never has to ask whether there is one).

use std::fmt;

/// Why a template is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{id`, `id}`.
    #[error("the brace at byte {0} has no partner")]
    Brace(usize),
    /// `{}`, `{a b}`.
    #[error("'{{{0}}}' is not a parameter; use letters, digits, '_' and '-', as in '{{id}}'")]
    Name(String),
    /// `{$foo}`.
    #[error(
        "there is no '{{${0}}}'; what a request has is {{$host}}, {{$path}}, {{$rest}} and {{$query}}"
    )]
    Unknown(String),
    /// Control bytes, spaces and what is not ASCII cannot stand in a URI.
    #[error("the character {0:?} cannot stand in a URI; write it percent-encoded")]
    Character(char),
    /// `/v2/{$rest}` would have two slashes.
    #[error("'{{${0}}}' begins with a slash itself; leave out the one before it")]
    Slash(&'static str),
}

/// A text with places to fill in. Displays as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Parameter(Box<str>),
    Variable(Variable),
}

/// What a template can take from a request besides parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// The host the client asked for, without port.
    Host,
    /// The path in its normal form.
    Path,
    /// What follows the matched prefix.
    Rest,
    /// The query with its question mark.
    Query,
}

/// What is filled in, besides parameters.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// The host the client asked for; empty if it said none.
    pub host: &'a str,
    /// The path in its normal form.
    pub path: &'a str,
    /// The query without question mark.
    pub query: &'a str,
    /// How much of the path the pattern took.
    pub prefix_len: usize,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Says which place cannot be filled in, and what cannot stand in a URI.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let uri = |c: &char| {
            c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '|')
        };
        if let Some(other) = text.chars().find(|c| !uri(c)) {
            return Err(TemplateError::Character(other));
        }
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let brace = rest.find(['{', '}']).unwrap_or(rest.len());
            let (plain, place) = rest.split_at(brace);
            if !plain.is_empty() {
                parts.push(Part::Text(plain.into()));
            }
            at += brace;
            let Some(inside) = place.strip_prefix('{') else {
                if place.is_empty() {
                    break;
                }
                return Err(TemplateError::Brace(at));
            };
            let named = inside.split_once('}').map(|(name, _)| name);
            let Some(name) = named.filter(|name| !name.contains('{')) else {
                return Err(TemplateError::Brace(at));
            };
            parts.push(Part::place(name, plain.ends_with('/'))?);
            at += name.len() + 2;
        }
        Ok(Self(parts))
    }

    /// The parameters it names.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Parameter(name) => Some(&**name),
            _ => None,
        })
    }

    /// Whether it takes this from the request.
    #[must_use]
    pub fn uses(&self, variable: Variable) -> bool {
        self.0.contains(&Part::Variable(variable))
    }

    /// Whether what it makes is a path: it begins with a slash of its own or of the request, and has neither a query nor
    /// a host.
    #[must_use]
    pub fn is_path(&self) -> bool {
        let begins = match self.0.first() {
            Some(Part::Text(text)) => text.starts_with('/'),
            Some(Part::Variable(Variable::Path | Variable::Rest)) => true,
            _ => false,
        };
        begins
            && self.0.iter().all(|part| match part {
                Part::Text(text) => !text.contains(['?', '#']),
                Part::Variable(variable) => matches!(variable, Variable::Path | Variable::Rest),
                Part::Parameter(_) => true,
            })
    }

    /// Whether it begins with `//` and a host of its own.
    #[must_use]
    pub fn names_authority(&self) -> bool {
        matches!(self.0.first(), Some(Part::Text(text)) if text.starts_with("//"))
    }

    /// A parameter that could say which host this location leads to: one that stands before the slash after the host, or
    /// before any slash at all. A request could make another host of `https://example.com{x}`.
    #[must_use]
    pub fn names_host_by(&self) -> Option<&str> {
        let mut before = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => before.push_str(text),
                Part::Variable(Variable::Path) => before.push_str("/p"),
                Part::Variable(Variable::Host) => before.push('h'),
                // They may be empty, and then part nothing.
                Part::Variable(Variable::Rest | Variable::Query) => {}
                Part::Parameter(name) => {
                    let parts = before.split_once("//");
                    let absolute =
                        parts.filter(|(scheme, _)| scheme.is_empty() || scheme.ends_with(':'));
                    let settled = match absolute {
                        Some((_, host)) => host.contains('/'),
                        None => before.starts_with('/'),
                    };
                    return (!settled).then_some(name);
                }
            }
        }
        None
    }

    /// Fills it in. A group of a regular expression that took no part is empty.
    #[must_use]
    pub fn render<'v>(
        &self,
        values: &Values<'v>,
        parameter: impl Fn(&str) -> Option<&'v str>,
    ) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Parameter(name) => out.push_str(parameter(name).unwrap_or("")),
                Part::Variable(Variable::Host) => out.push_str(values.host),
                Part::Variable(Variable::Path) => out.push_str(values.path),
                Part::Variable(Variable::Rest) => {
                    let rest = values.path.get(values.prefix_len..).unwrap_or("");
                    // A regular expression may end inside a segment.
                    if !rest.is_empty() && !rest.starts_with('/') {
                        out.push('/');
                    }
                    out.push_str(rest);
                }
                Part::Variable(Variable::Query) if !values.query.is_empty() => {
                    out.push('?');
                    out.push_str(values.query);
                }
                Part::Variable(Variable::Query) => {}
            }
        }
        out
    }
}

impl Part {
    fn place(name: &str, after_slash: bool) -> Result<Self, TemplateError> {
        let Some(variable) = name.strip_prefix('$') else {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            if name.is_empty() || !name.bytes().all(fits) {
                return Err(TemplateError::Name(name.to_owned()));
            }
            return Ok(Self::Parameter(name.into()));
        };
        let variable = match variable {
            "host" => Variable::Host,
            "query" => Variable::Query,
            "path" if after_slash => return Err(TemplateError::Slash("path")),
            "path" => Variable::Path,
            "rest" if after_slash => return Err(TemplateError::Slash("rest")),
            "rest" => Variable::Rest,
            other => return Err(TemplateError::Unknown(other.to_owned())),
        };
        Ok(Self::Variable(variable))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Parameter(name) => write!(f, "{{{name}}}")?,
                Part::Variable(variable) => write!(f, "{{${}}}", variable.name())?,
            }
        }
        Ok(())
    }
}

impl Variable {
    const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Path => "path",
            Self::Rest => "rest",
            Self::Query => "query",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &Result<(), TemplateError>) {
        let found = Template::parse(text);
        if let Ok(template) = &found {
            assert_eq!(template.to_string(), text);
        }
        assert_eq!(&found.map(|_| ()), expected, "{text:?}");
    }

    #[test]
    fn no_parameter_says_which_host() {
        let check = |text: &str, expected| {
            assert_eq!(
                Template::parse(text).unwrap().names_host_by(),
                expected,
                "{text}"
            );
        };
        check("https://a.test/{x}{y}", None);
        check("/{x}", None);
        check("https://{$host}{$path}{x}", None);
        check("{$path}/{x}", None);
        check("https://a.test{x}", Some("x"));
        check("https://a.test{$rest}{x}", Some("x"));
        check("https://{x}/", Some("x"));
        check("//{x}/", Some("x"));
        check("{x}", Some("x"));
        check("a{x}//", Some("x"));
    }

    #[test]
    fn templates() {
        check("/v2/users/{id}{$rest}", &Ok(()));
        check("https://{$host}{$path}{$query}", &Ok(()));
        check("{$rest}", &Ok(()));
        check("", &Ok(()));
        check("/{id", &Err(TemplateError::Brace(1)));
        check("/a}b", &Err(TemplateError::Brace(2)));
        check("/{a{b}}", &Err(TemplateError::Brace(1)));
        check("/{}", &Err(TemplateError::Name(String::new())));
        check("/{a.b}", &Err(TemplateError::Name("a.b".to_owned())));
        check("/{$hots}", &Err(TemplateError::Unknown("hots".to_owned())));
        check("/v2/{$rest}", &Err(TemplateError::Slash("rest")));
        check("/a b", &Err(TemplateError::Character(' ')));
        check("/ä", &Err(TemplateError::Character('ä')));
        check("/a\r\nx: y", &Err(TemplateError::Character('\r')));
    }
}
