//! Marks every exchange: the request hook stamps the request, the response hook the answer, both with the same text.
//!
//! The text lies in the file behind a marker, in a field of fixed length. Tests write another text there and so get any
//! number of distinct files without a compiler; an exchange whose two stamps differ was served by two versions.
#![forbid(unsafe_code)]

use std::hint::black_box;

use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::{
    Access, AccessCall, ConfigError, Error, Flow, HeaderFilter, HeaderFilterCall, Plugin,
};

/// What the request carries to the upstream.
pub const REQUEST_HEADER: &str = "x-stamp-request";
/// What the answer carries to the client.
pub const RESPONSE_HEADER: &str = "x-stamp-response";

/// How long the marker in the field is.
const MARKER_LEN: usize = 15;

/// The field to patch: after the marker up to 48 bytes of text, padded with zeros.
static STAMP: [u8; 64] = {
    let text = b"SWAPGATE-STAMP:unset";
    let mut field = [0; 64];
    let mut index = 0;
    while index < text.len() {
        field[index] = text[index];
        index += 1;
    }
    field
};

/// An instance.
#[derive(Debug)]
pub struct Stamp {
    text: String,
}

/// Nothing to configure.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl Plugin for Stamp {
    const PRIORITY: i32 = 100;
    type Config = Config;

    fn configure(_: Config) -> Result<Self, ConfigError> {
        Ok(Self { text: stamp()? })
    }
}

impl Access for Stamp {
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
        request.set_header(REQUEST_HEADER, &self.text)?;
        Ok(Flow::Continue)
    }
}

impl HeaderFilter for Stamp {
    fn header_filter(&self, response: &mut HeaderFilterCall<'_>) -> Result<(), Error> {
        response.set_response_header(RESPONSE_HEADER, &self.text)?;
        Ok(())
    }
}

swapgate_plugin::export!(Stamp, id = "stamp");

/// Reads the field as it is in the running image; without the fence the compiler would use what it saw in the source.
fn stamp() -> Result<String, ConfigError> {
    let field = black_box(&STAMP);
    let text = field[MARKER_LEN..].split(|byte| *byte == 0).next();
    std::str::from_utf8(text.unwrap_or_default())
        .map(str::to_owned)
        .map_err(|_| {
            ConfigError::new("the stamp in the file is not UTF-8: patch it with plain text")
        })
}

#[cfg(test)]
mod tests {
    use swapgate_plugin::testing::{Exchange, Host};

    use super::Stamp;

    #[test]
    fn both_sides_carry_the_same_stamp() {
        let host = Host::of::<Stamp>();
        let outcome = host.configure("{}").unwrap().run(Exchange::new());
        assert_eq!(outcome.request_header("x-stamp-request").unwrap(), "unset");
        assert_eq!(
            outcome.response_header("x-stamp-response").unwrap(),
            "unset"
        );
    }
}
