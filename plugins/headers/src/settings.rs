//! From the configuration as it is written to edits that cannot be wrong.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::{ConfigError, HostError};

use crate::template::Template;

/// The configuration as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What happens to requests on their way to the upstream.
    #[serde(default)]
    pub(crate) request: RawEdits,
    /// What happens to answers on their way to the client.
    #[serde(default)]
    pub(crate) response: RawEdits,
}

/// Edits of one header map, applied in this order. Values may contain `${consumer}`, `${param.NAME}` and
/// `${header.NAME}` (of the request).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEdits {
    /// Names of headers to take away.
    #[serde(default)]
    remove: Vec<String>,
    /// From old names to new ones.
    #[serde(default)]
    rename: BTreeMap<String, String>,
    /// Headers to set, in place of any there are.
    #[serde(default)]
    set: BTreeMap<String, String>,
    /// Headers to add to those there are.
    #[serde(default)]
    append: BTreeMap<String, String>,
}

/// Edits that cannot be wrong.
#[derive(Debug)]
pub struct Edits {
    pub(crate) remove: Vec<String>,
    pub(crate) rename: Vec<(String, String)>,
    pub(crate) set: Vec<(String, Template)>,
    pub(crate) append: Vec<(String, Template)>,
}

/// Whether a header of this name can be edited in this map.
type CheckName = fn(&str) -> Result<(), HostError>;

impl Edits {
    pub(crate) fn validate(
        raw: &RawEdits,
        place: &str,
        check: CheckName,
    ) -> Result<Self, ConfigError> {
        let remove = raw.remove.iter().enumerate().map(|(index, name)| {
            check_name(check, name, &format!("{place}.remove[{index}]"))?;
            Ok(name.to_ascii_lowercase())
        });
        let mut seen = BTreeSet::new();
        let rename = raw.rename.iter().map(|(old, new)| {
            let place = format!("{place}.rename.{old}");
            check_name(check, old, &place)?;
            check_name(check, new, &place)?;
            once(&mut seen, old, &place)?;
            Ok((old.to_ascii_lowercase(), new.to_ascii_lowercase()))
        });
        Ok(Self {
            remove: remove.collect::<Result<_, ConfigError>>()?,
            rename: rename.collect::<Result<_, ConfigError>>()?,
            set: values(&raw.set, &format!("{place}.set"), check)?,
            append: values(&raw.append, &format!("{place}.append"), check)?,
        })
    }

    /// The headers of the request that values are made of.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &str> {
        let values = self.set.iter().chain(&self.append);
        values.flat_map(|(_, template)| template.headers())
    }
}

fn values(
    raw: &BTreeMap<String, String>,
    place: &str,
    check: CheckName,
) -> Result<Vec<(String, Template)>, ConfigError> {
    let mut seen = BTreeSet::new();
    let parsed = raw.iter().map(|(name, value)| {
        let place = format!("{place}.{name}");
        check_name(check, name, &place)?;
        once(&mut seen, name, &place)?;
        let template = Template::parse(value).map_err(|text| ConfigError::at(place, text))?;
        Ok((name.to_ascii_lowercase(), template))
    });
    parsed.collect()
}

/// Two spellings of one name would make the result depend on their order.
fn once(seen: &mut BTreeSet<String>, name: &str, place: &str) -> Result<(), ConfigError> {
    if seen.insert(name.to_ascii_lowercase()) {
        return Ok(());
    }
    Err(ConfigError::at(
        place,
        "stands here twice, in another spelling: keep one",
    ))
}

fn check_name(check: CheckName, name: &str, place: &str) -> Result<(), ConfigError> {
    check(name).map_err(|error| {
        let text = match error {
            HostError::Forbidden => {
                format!("`{name}` belongs to the gateway: framing and hop-by-hop headers cannot be edited")
            }
            _ => format!("`{name}` is not a header name: use letters, digits and dashes"),
        };
        ConfigError::at(place, text)
    })
}

#[cfg(test)]
mod tests {
    use swapgate_plugin::testing::Host;

    use crate::Headers;

    #[test]
    fn bad_configurations_name_the_place() {
        let table = [
            (
                r#"{"request": {"set": {"x y": ""}}}"#,
                "request.set.x y: `x y` is not a header name: use letters, digits and dashes",
            ),
            (
                r#"{"response": {"remove": ["a", "Connection"]}}"#,
                "response.remove[1]: `Connection` belongs to the gateway: framing and hop-by-hop headers cannot be edited",
            ),
            (
                r#"{"request": {"append": {"a": "${nobody}"}}}"#,
                "request.append.a: `${nobody}` is unknown: there are ${consumer}, ${param.NAME} and ${header.NAME}",
            ),
            (
                r#"{"request": {"set": {"X-A": "1", "x-a": "2"}}}"#,
                "request.set.x-a: stands here twice, in another spelling: keep one",
            ),
            (
                r#"{"request": {"rename": {"host": "x-host"}}}"#,
                "request.rename.host: `host` belongs to the gateway: framing and hop-by-hop headers cannot be edited",
            ),
        ];
        let host = Host::of::<Headers>();
        for (config, expected) in table {
            let found = host.configure(config).map(drop);
            assert_eq!(found.unwrap_err(), expected);
        }
    }
}
