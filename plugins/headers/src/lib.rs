//! Edits the headers of requests and answers: remove, rename, set, append, in this order.
//!
//! [`settings`] turns the configuration into [`Edits`] that cannot be wrong, [`template`] makes values out of the exchange,
//! and here they are applied.
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

pub mod settings;
pub mod template;

use settings::{Config, Edits};
use swapgate_plugin::{
    Access, AccessCall, ConfigError, Error, Flow, HeaderFilter, HeaderFilterCall, HostError,
    Plugin, Value, flags, header,
};
use template::Source;

/// An instance.
#[derive(Debug)]
pub struct Headers {
    request: Edits,
    response: Edits,
    /// Headers of the request that values of the answer are made of.
    kept: Vec<String>,
}

/// Headers of the request as this plugin leaves them, kept for the answer: the request is forwarded with its headers.
#[derive(Debug)]
pub struct Kept(Vec<(String, Vec<u8>)>);

impl Kept {
    fn get(&self, name: &str) -> Option<&[u8]> {
        let mut kept = self.0.iter();
        kept.find_map(|(other, value)| (other == name).then_some(value.as_slice()))
    }
}

impl Plugin for Headers {
    const PRIORITY: i32 = 800;
    /// What the answer takes from the request's headers is kept in `access`.
    const FLAGS: u32 = flags::REQUEST_HEADERS_EARLY;
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        let response = Edits::validate(&config.response, "response", header::check_response_name)?;
        Ok(Self {
            request: Edits::validate(&config.request, "request", header::check_request_name)?,
            kept: response.headers().map(str::to_owned).collect(),
            response,
        })
    }
}

impl Access for Headers {
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
        apply(&self.request, request)?;
        if !self.kept.is_empty() {
            let value = |name: &String| Some((name.clone(), request.header(name)?.to_vec()));
            let kept = Kept(self.kept.iter().filter_map(value).collect());
            request.set_state(kept)?;
        }
        Ok(Flow::Continue)
    }
}

impl HeaderFilter for Headers {
    fn header_filter(&self, response: &mut HeaderFilterCall<'_>) -> Result<(), Error> {
        apply(&self.response, response)
    }
}

swapgate_plugin::export!(Headers, id = "headers");

/// A header map that can be edited, and the exchange its values come from.
trait Editable: Source {
    fn values(&self, name: &str) -> Vec<Vec<u8>>;
    fn remove(&mut self, name: &str) -> Result<(), HostError>;
    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), HostError>;
    fn append(&mut self, name: &str, value: &[u8]) -> Result<(), HostError>;
}

fn apply<E: Editable>(edits: &Edits, map: &mut E) -> Result<(), Error> {
    for name in &edits.remove {
        map.remove(name)?;
    }
    for (old, new) in &edits.rename {
        let values = map.values(old);
        if values.is_empty() {
            continue;
        }
        map.remove(old)?;
        map.remove(new)?;
        for value in &values {
            map.append(new, value)?;
        }
    }
    for (name, template) in &edits.set {
        let value = template.fill(map);
        map.set(name, &value)?;
    }
    for (name, template) in &edits.append {
        let value = template.fill(map);
        map.append(name, &value)?;
    }
    Ok(())
}

fn owned<'v>(values: impl Iterator<Item = Value<'v>>) -> Vec<Vec<u8>> {
    values.map(|value| value.to_vec()).collect()
}

impl Editable for AccessCall<'_> {
    fn values(&self, name: &str) -> Vec<Vec<u8>> {
        owned(self.header_values(name))
    }

    fn remove(&mut self, name: &str) -> Result<(), HostError> {
        self.remove_header(name)
    }

    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), HostError> {
        self.set_header(name, value)
    }

    fn append(&mut self, name: &str, value: &[u8]) -> Result<(), HostError> {
        self.append_header(name, value)
    }
}

impl Editable for HeaderFilterCall<'_> {
    fn values(&self, name: &str) -> Vec<Vec<u8>> {
        owned(self.response_header_values(name))
    }

    fn remove(&mut self, name: &str) -> Result<(), HostError> {
        self.remove_response_header(name)
    }

    fn set(&mut self, name: &str, value: &[u8]) -> Result<(), HostError> {
        self.set_response_header(name, value)
    }

    fn append(&mut self, name: &str, value: &[u8]) -> Result<(), HostError> {
        self.append_response_header(name, value)
    }
}

#[cfg(test)]
mod tests {
    use swapgate_plugin::Response;
    use swapgate_plugin::testing::{Exchange, Host, Outcome};

    use super::Headers;

    fn run(config: &str, exchange: Exchange) -> Outcome {
        let host = Host::of::<Headers>();
        let outcome = host.configure(config).unwrap().run(exchange);
        assert_eq!(outcome.failures(), []);
        outcome
    }

    #[test]
    fn the_order_is_remove_rename_set_append() {
        let config = r#"{"request": {
            "append": {"x-new": "appended"}, "set": {"x-set": "set"},
            "rename": {"x-old": "x-new"}, "remove": ["x-new", "x-gone"]}}"#;
        let exchange = Exchange::new()
            .header("X-Old", "1")
            .header("x-old", "2")
            .header("x-new", "before")
            .header("x-gone", "")
            .header("x-set", "a")
            .header("x-set", "b");
        let outcome = run(config, exchange);
        assert_eq!(outcome.request_header("x-new").unwrap(), "1, 2, appended");
        assert_eq!(outcome.request_header("x-old"), None);
        assert_eq!(outcome.request_header("x-gone"), None);
        assert_eq!(outcome.request_header("x-set").unwrap(), "set");
    }

    #[test]
    fn renaming_what_is_not_there_changes_nothing() {
        let config = r#"{"request": {"rename": {"x-old": "x-new"}}}"#;
        let outcome = run(config, Exchange::new().header("x-new", "stays"));
        assert_eq!(outcome.request_header("x-new").unwrap(), "stays");
    }

    #[test]
    fn values_come_from_the_exchange() {
        let config = r#"{
            "request": {"set": {"x-who": "${consumer}/${param.id}/${header.X-Trace}!"}},
            "response": {"set": {"x-who": "${consumer}", "x-nobody": "<${param.none}>"}}}"#;
        let exchange = Exchange::new()
            .consumer("alice")
            .param("id", "42")
            .header("x-trace", "t1");
        let outcome = run(config, exchange);
        assert_eq!(outcome.request_header("x-who").unwrap(), "alice/42/t1!");
        assert_eq!(outcome.response_header("x-who").unwrap(), "alice");
        assert_eq!(outcome.response_header("x-nobody").unwrap(), "<>");
    }

    #[test]
    fn answers_are_edited_whoever_made_them() {
        let config = r#"{"response": {"remove": ["server"], "append": {"vary": "origin"}}}"#;
        let upstream = Response::new(200)
            .header("server", "old")
            .header("vary", "accept");
        let outcome = run(config, Exchange::new().upstream(upstream));
        assert_eq!(outcome.response_header("server"), None);
        assert_eq!(outcome.response_header("vary").unwrap(), "accept, origin");
        let outcome = run(config, Exchange::new().no_route());
        assert_eq!(outcome.status(), 404);
        assert_eq!(outcome.response_header("vary").unwrap(), "origin");
    }
}
