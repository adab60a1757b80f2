//! Header values with places to fill in: `${consumer}`, `${param.NAME}`, `${header.NAME}`.

use std::borrow::Cow;

use swapgate_plugin::{AccessCall, HeaderFilterCall, header};

use crate::Kept;

/// A value, parsed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Consumer,
    Param(String),
    Header(String),
}

/// Where values come from.
pub trait Source {
    /// The authenticated consumer.
    fn consumer(&self) -> Option<&[u8]>;
    /// A parameter of the matched path.
    fn param(&self, name: &str) -> Option<&[u8]>;
    /// The first value of a header of the request.
    fn header(&self, name: &str) -> Option<&[u8]>;
}

impl Template {
    /// Reads a template. `$${` stands for `${` itself.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        header::check_value(text.as_bytes())
            .map_err(|_| "has control characters: a header value is one line of text".to_owned())?;
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut plain = String::new();
        while let Some((before, place)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                plain.push_str(before);
                plain.push_str("${");
                rest = place;
                continue;
            }
            plain.push_str(before);
            let Some((name, after)) = place.split_once('}') else {
                return Err(format!(
                    "`${{{place}` is never closed: add a }}, or write $${{ for the text ${{"
                ));
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::parse(name)?);
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// The headers of the request it is made of.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Header(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The value for this exchange; what is missing is empty. A value without places is lent and not copied.
    pub fn fill(&self, source: &impl Source) -> Cow<'_, [u8]> {
        if let [Piece::Text(text)] = self.0.as_slice() {
            return Cow::Borrowed(text.as_bytes());
        }
        let mut value = Vec::new();
        for piece in &self.0 {
            let part = match piece {
                Piece::Text(text) => Some(text.as_bytes()),
                Piece::Consumer => source.consumer(),
                Piece::Param(name) => source.param(name),
                Piece::Header(name) => source.header(name),
            };
            value.extend_from_slice(part.unwrap_or_default());
        }
        Cow::Owned(value)
    }
}

impl Piece {
    fn parse(name: &str) -> Result<Self, String> {
        match name.split_once('.') {
            None if name == "consumer" => Ok(Self::Consumer),
            Some(("param", name)) if !name.is_empty() => Ok(Self::Param(name.to_owned())),
            Some(("header", name)) if header::is_token(name) => Ok(Self::Header(name.to_owned())),
            _ => Err(format!(
                "`${{{name}}}` is unknown: there are ${{consumer}}, ${{param.NAME}} and ${{header.NAME}}"
            )),
        }
    }
}

macro_rules! source {
    ($call:ident, $header:expr) => {
        impl Source for $call<'_> {
            fn consumer(&self) -> Option<&[u8]> {
                (**self).consumer().map(str::as_bytes)
            }

            fn param(&self, name: &str) -> Option<&[u8]> {
                $call::param(self, name).map(str::as_bytes)
            }

            fn header(&self, name: &str) -> Option<&[u8]> {
                $header(self, name)
            }
        }
    };
}

source!(AccessCall, present);
source!(HeaderFilterCall, kept);

fn present<'c>(call: &'c AccessCall<'_>, name: &str) -> Option<&'c [u8]> {
    (**call).header(name).map(swapgate_plugin::Value::as_bytes)
}

/// What was kept in `access`, so that the value does not depend on what runs after it. Where `access` did not run, the
/// request was not forwarded and has its headers still.
fn kept<'c>(call: &'c HeaderFilterCall<'_>, name: &str) -> Option<&'c [u8]> {
    match call.state::<Kept>() {
        Some(kept) => kept.get(name),
        None => (**call).header(name).map(swapgate_plugin::Value::as_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::{Source, Template};

    struct Fixed;

    impl Source for Fixed {
        fn consumer(&self) -> Option<&[u8]> {
            Some(b"alice")
        }

        fn param(&self, name: &str) -> Option<&[u8]> {
            (name == "id").then_some(b"42")
        }

        fn header(&self, name: &str) -> Option<&[u8]> {
            (name == "x-a").then_some(b"\xff")
        }
    }

    #[track_caller]
    fn check(template: &str, expected: Result<&[u8], &str>) {
        let found = Template::parse(template).map(|template| template.fill(&Fixed).into_owned());
        assert_eq!(found, expected.map(<[u8]>::to_vec).map_err(str::to_owned));
    }

    #[test]
    fn templates_are_filled_in() {
        check("", Ok(b""));
        check("plain $ text }", Ok(b"plain $ text }"));
        check("${consumer}", Ok(b"alice"));
        check("a${param.id}b${header.x-a}${param.x}c", Ok(b"a42b\xffc"));
        check("$${consumer} ${consumer}", Ok(b"${consumer} alice"));
    }

    #[test]
    fn mistakes_are_said() {
        check(
            "${consumers}",
            Err(
                "`${consumers}` is unknown: there are ${consumer}, ${param.NAME} and ${header.NAME}",
            ),
        );
        check(
            "a ${param.}",
            Err("`${param.}` is unknown: there are ${consumer}, ${param.NAME} and ${header.NAME}"),
        );
        check(
            "a ${consumer",
            Err("`${consumer` is never closed: add a }, or write $${ for the text ${"),
        );
        check(
            "a\nb",
            Err("has control characters: a header value is one line of text"),
        );
    }
}
