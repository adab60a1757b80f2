//! Lets every body go through its hooks and changes nothing: what remains is what hooks of bodies cost.
//!
//! It observes both bodies, so their lengths stay.
#![forbid(unsafe_code)]

use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::{
    BodyFilter, BodyFilterCall, BodyFlow, ConfigError, Error, Need, Plugin, RequestBody,
    RequestBodyCall,
};

/// An instance.
#[derive(Debug)]
pub struct Pass;

/// Nothing to say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl Plugin for Pass {
    type Config = Config;

    fn configure(Config {}: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl RequestBody for Pass {
    const REQUEST_NEED: Need = Need::Observe;

    fn request_body(&self, _: &mut RequestBodyCall<'_>) -> Result<BodyFlow, Error> {
        Ok(BodyFlow::Continue)
    }
}

impl BodyFilter for Pass {
    const RESPONSE_NEED: Need = Need::Observe;

    fn body_filter(&self, _: &mut BodyFilterCall<'_>) -> Result<BodyFlow, Error> {
        Ok(BodyFlow::Continue)
    }
}

swapgate_plugin::export!(Pass, id = "pass");

#[cfg(test)]
mod tests {
    use swapgate_plugin::testing::{Exchange, Host};

    use super::Pass;

    #[test]
    fn bodies_pass_as_they_came() {
        let host = Host::of::<Pass>();
        let instance = host.configure("{}").unwrap();
        let exchange = Exchange::new()
            .method("POST")
            .body(["as", "ked"])
            .upstream_body(["answ", "ered"]);
        let outcome = instance.run(exchange);
        assert_eq!(outcome.request_body(), b"asked");
        assert_eq!(outcome.body(), b"answered");
    }
}
