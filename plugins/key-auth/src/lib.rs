//! Lets a request pass when it carries a known key, and names its consumer.
//!
//! [`settings`] turns the configuration into something that cannot be wrong, [`index`] finds the consumer of a key, and
//! here is the decision: exactly one key must be presented, and it must be known.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::get_unwrap,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::unchecked_time_subtraction,
    )
)]

pub mod index;
pub mod query;
pub mod settings;

use index::Index;
use settings::{Config, Settings};
use swapgate_plugin::{
    Access, AccessCall, ConfigError, Error, Flow, Plugin, Response, Rewrite, RewriteCall,
};

/// An instance.
#[derive(Debug)]
pub struct KeyAuth {
    settings: Settings,
    index: Index,
}

/// Keys that `rewrite` took out of the query, for `access` to judge.
struct FromQuery(Vec<Vec<u8>>);

impl Plugin for KeyAuth {
    const PRIORITY: i32 = 1000;
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let (settings, credentials) = settings::validate(config)?;
        let index = Index::new(credentials)?;
        Ok(Self { settings, index })
    }
}

/// The query can be changed before routing only, so a key is taken out of it here, which happens for global instances.
impl Rewrite for KeyAuth {
    fn rewrite(&self, request: &mut RewriteCall<'_>) -> Result<Flow, Error> {
        let Some(name) = self.settings.query.as_ref().filter(|_| self.settings.strip) else {
            return Ok(Flow::Continue);
        };
        let (keys, rest) = query::split(request.query(), name);
        if !keys.is_empty() {
            request.set_query(&rest)?;
            request.set_state(FromQuery(keys))?;
        }
        Ok(Flow::Continue)
    }
}

impl Access for KeyAuth {
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
        match self.judge(request) {
            Ok(consumer) => {
                request.set_consumer(consumer)?;
                if let Some(header) = self
                    .settings
                    .header
                    .as_ref()
                    .filter(|_| self.settings.strip)
                {
                    request.remove_header(header)?;
                }
                Ok(Flow::Continue)
            }
            Err(why) => Ok(request.respond(&self.refusal(why))?),
        }
    }
}

impl KeyAuth {
    /// The consumer of the one key, or what to tell the client.
    fn judge(&self, request: &AccessCall<'_>) -> Result<&str, &'static str> {
        let (in_query, taken) = self.query_keys(request);
        let header = self.settings.header.as_ref();
        let in_header = header
            .into_iter()
            .flat_map(|name| request.header_values(name));
        let in_header = in_header.map(swapgate_plugin::Value::as_bytes);
        let mut keys = in_header
            .chain(taken.iter().map(Vec::as_slice))
            .chain(in_query.iter().map(Vec::as_slice));
        match (keys.next(), keys.next()) {
            (None, _) => Err("this request needs a key"),
            (Some(key), None) => self.index.find(key).ok_or("this key is not known"),
            (Some(_), Some(_)) => Err("this request carries more than one key"),
        }
    }

    /// The keys that stand in the query, and those that `rewrite` took out of it.
    fn query_keys<'r>(&self, request: &'r AccessCall<'_>) -> (Vec<Vec<u8>>, &'r [Vec<u8>]) {
        let Some(name) = &self.settings.query else {
            return (Vec::new(), &[]);
        };
        let taken = request.state().map_or(&[][..], |FromQuery(taken)| taken);
        (query::split(request.query(), name).0, taken)
    }

    fn refusal(&self, why: &str) -> Response {
        let challenge = format!("Key realm=\"{}\"", self.settings.realm);
        Response::problem(401, "Unauthorized", why).header("www-authenticate", challenge)
    }
}

swapgate_plugin::export!(KeyAuth, id = "key-auth");

#[cfg(test)]
mod tests {
    use swapgate_plugin::testing::{Exchange, Host, Outcome, Phase};

    use super::KeyAuth;

    const HEADER: &str = r#"{"header": "X-Api-Key", "realm": "shop", "keys": [
        {"key": "alpha", "consumer": "alice"}, {"key": "beta", "consumer": "bob"}]}"#;
    const QUERY: &str = r#"{"query": "apikey", "keys": [{"key": "a&b", "consumer": "alice"}]}"#;

    fn run(config: &str, exchange: Exchange) -> Outcome {
        let host = Host::of::<KeyAuth>();
        host.configure(config).unwrap().run(exchange)
    }

    #[track_caller]
    fn check_refused(outcome: &Outcome, detail: &str) {
        assert_eq!(outcome.status(), 401);
        assert!(!outcome.reached_upstream());
        assert_eq!(outcome.consumer(), None);
        let body = String::from_utf8_lossy(outcome.body());
        assert!(body.contains(detail), "{body}");
    }

    #[test]
    fn a_known_key_names_its_consumer_and_is_stripped() {
        for (key, consumer) in [("alpha", "alice"), ("beta", "bob")] {
            let outcome = run(HEADER, Exchange::new().header("x-api-key", key));
            assert!(outcome.reached_upstream());
            assert_eq!(outcome.consumer(), Some(consumer));
            assert_eq!(outcome.request_header("x-api-key"), None);
        }
    }

    #[test]
    fn without_strip_the_key_reaches_the_upstream() {
        let config = HEADER.replacen('{', r#"{"strip": false, "#, 1);
        let outcome = run(&config, Exchange::new().header("x-api-key", "alpha"));
        assert_eq!(outcome.request_header("x-api-key").unwrap(), "alpha");
    }

    #[test]
    fn no_key_an_unknown_one_and_several_are_refused() {
        let none = run(HEADER, Exchange::new());
        check_refused(&none, "needs a key");
        assert_eq!(
            none.response_header("www-authenticate").unwrap(),
            "Key realm=\"shop\""
        );
        assert_eq!(
            none.response_header("content-type").unwrap(),
            "application/problem+json"
        );
        for unknown in ["", "alph", "alphaa", "ALPHA", "alice"] {
            let outcome = run(HEADER, Exchange::new().header("x-api-key", unknown));
            check_refused(&outcome, "not known");
        }
        let twice = Exchange::new()
            .header("x-api-key", "alpha")
            .header("x-api-key", "alpha");
        check_refused(&run(HEADER, twice), "more than one");
    }

    #[test]
    fn a_global_instance_takes_the_key_out_of_the_query() {
        let outcome = run(QUERY, Exchange::new().path("/x?a=1&api%6bey=a%26b&b=2"));
        assert_eq!(outcome.consumer(), Some("alice"));
        assert_eq!(outcome.query(), "a=1&b=2");
    }

    #[test]
    fn a_scoped_instance_leaves_the_query_alone() {
        let outcome = run(QUERY, Exchange::new().path("/x?apikey=a%26b").scoped());
        assert_eq!(outcome.consumer(), Some("alice"));
        assert_eq!(outcome.query(), "apikey=a%26b");
    }

    #[test]
    fn a_key_in_header_and_query_is_one_too_many() {
        let config = QUERY.replacen('{', r#"{"header": "x-api-key", "#, 1);
        let both = Exchange::new()
            .path("/?apikey=a%26b")
            .header("x-api-key", "a&b");
        check_refused(&run(&config, both), "more than one");
    }

    #[test]
    fn only_the_phases_it_needs() {
        let phases = Host::of::<KeyAuth>().phases();
        assert_eq!(phases, [Phase::Rewrite, Phase::Access]);
    }

    #[test]
    fn keys_never_print() {
        let (settings, credentials) =
            super::settings::validate(swapgate_plugin::serde_json::from_str(HEADER).unwrap())
                .unwrap();
        let index = super::Index::new(credentials).unwrap();
        let printed = format!("{:?}", KeyAuth { settings, index });
        assert!(!printed.contains("alpha"), "{printed}");
        let config: super::Config = swapgate_plugin::serde_json::from_str(HEADER).unwrap();
        let printed = format!("{config:?}");
        assert!(!printed.contains("alpha"), "{printed}");
    }
}
