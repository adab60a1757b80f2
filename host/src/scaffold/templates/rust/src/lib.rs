//! @name@: a plugin for the Swapgate gateway.
//!
//! It does the two things most plugins do. It edits answers: each gets the header `x-greeting`. And it answers some
//! requests itself: those below the path `deny` get 403 and never reach the upstream. Read it from top to bottom, then
//! make it yours.

use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::{
    Access, AccessCall, ConfigError, Error, Flow, HeaderFilter, HeaderFilterCall, Plugin, Response,
    header, log,
};

/// What stands under `config:` where the gateway's configuration uses this plugin.
///
/// Types and comments become a JSON Schema inside the library. The gateway checks each configuration against it before
/// it calls `configure`, so a missing key or a number in place of a text is told without any code here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)] // A typo is an error that names the key, and not a setting without effect.
pub struct Config {
    /// The value of the header `x-greeting`.
    greeting: String,
    /// Requests to this path, and below it, are answered with 403.
    #[serde(default)]
    deny: Option<String>,
}

/// An instance: what one configuration became. All workers of the gateway share it and call it at the same time, so it
/// is `Send + Sync`, and its methods get `&self`. What changes while it serves goes into an atomic or behind a lock.
#[derive(Debug)]
pub struct Greeter {
    greeting: String,
    deny: Option<String>,
}

impl Plugin for Greeter {
    /// Where it stands among other plugins; the highest comes first. A use of the plugin may say otherwise.
    const PRIORITY: i32 = 100;

    type Config = Config;

    /// Called once for each configuration, before any request. What it refuses is never served: the gateway keeps the
    /// configuration it had and logs the text. So check everything here that a schema cannot say.
    ///
    /// The gateway tries this in a throw-away process first. Connections and threads belong into `start`.
    fn configure(config: Config) -> Result<Self, ConfigError> {
        if header::check_value(config.greeting.as_bytes()).is_err() {
            return Err(ConfigError::at(
                "greeting",
                "has control characters: a header value is one line of text",
            ));
        }
        let mut deny = config.deny;
        if let Some(path) = &mut deny {
            if !path.starts_with('/') {
                return Err(ConfigError::at("deny", "is no path: begin it with a slash"));
            }
            // "/private/" means the same as "/private".
            path.truncate(path.trim_end_matches('/').len());
        }
        Ok(Self {
            greeting: config.greeting,
            deny,
        })
    }
}

/// Runs when the route is known and before anything is sent to the upstream. It must not wait: the thread serves other
/// requests as well.
impl Access for Greeter {
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
        let Some(deny) = &self.deny else {
            return Ok(Flow::Continue);
        };
        // The path is normalised, so there is no way round this by `/a/../private`. `/privateer` is not below `/private`.
        let below = request.path().strip_prefix(deny.as_str());
        if !below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Ok(Flow::Continue);
        }
        // Arrives in the gateway's log under the plugin's name.
        log::info!("denied {} to {}", request.path(), request.client_address());
        let answer = Response::problem(403, "Forbidden", "nobody gets in here");
        Ok(request.respond(&answer)?)
    }
}

/// Runs when the head of the answer is there, whoever made it: the upstream, another plugin, or the gateway itself.
impl HeaderFilter for Greeter {
    fn header_filter(&self, answer: &mut HeaderFilterCall<'_>) -> Result<(), Error> {
        // `?` is enough: an error goes to the log, and the client gets what `on_error` says.
        answer.set_response_header("x-greeting", &self.greeting)?;
        Ok(())
    }
}

// Makes a plugin out of it. The gateway finds out by itself which hooks there are; the version stands in Cargo.toml.
swapgate_plugin::export!(Greeter, id = "@name@");

/// A gateway in memory runs the plugin through the same table of functions as the real one.
#[cfg(test)]
mod tests {
    use swapgate_plugin::testing::{Exchange, Host};

    use super::Greeter;

    #[test]
    fn every_answer_is_greeted() {
        let host = Host::of::<Greeter>();
        let instance = host.configure(r#"{"greeting": "hello"}"#).unwrap();
        for exchange in [Exchange::new(), Exchange::new().no_route()] {
            let outcome = instance.run(exchange);
            assert_eq!(outcome.response_header("x-greeting").unwrap(), "hello");
            assert_eq!(outcome.failures(), []);
        }
    }

    #[test]
    fn a_path_and_what_is_below_it_is_denied() {
        let host = Host::of::<Greeter>();
        let config = r#"{"greeting": "hello", "deny": "/private/"}"#;
        let instance = host.configure(config).unwrap();
        for path in ["/private", "/private/", "/private/a"] {
            let outcome = instance.run(Exchange::new().path(path));
            assert_eq!(outcome.status(), 403, "{path}");
            assert!(!outcome.reached_upstream(), "{path}");
        }
        for path in ["/", "/privateer", "/a/private"] {
            let outcome = instance.run(Exchange::new().path(path));
            assert!(outcome.reached_upstream(), "{path}");
        }
    }

    #[test]
    fn bad_configurations_name_the_place() {
        let host = Host::of::<Greeter>();
        let table = [
            (
                r#"{"greeting": "a\nb"}"#,
                "greeting: has control characters: a header value is one line of text",
            ),
            (
                r#"{"greeting": "a", "deny": "private"}"#,
                "deny: is no path: begin it with a slash",
            ),
        ];
        for (config, expected) in table {
            assert_eq!(host.configure(config).map(drop).unwrap_err(), expected);
        }
    }
}
