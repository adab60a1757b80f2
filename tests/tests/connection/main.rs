//! The connection a request comes on: PROXY headers, sockets in the file system, and what plugins see of all that.
//!
//! The plugin is `shows.c`, compiled here: it tells the upstream every attribute, and the upstream tells the client.

mod attributes;
mod proxy;
mod senders;
mod unix;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use swapgate_tests::gateway::Builder;
use swapgate_tests::{Client, Gateway, Upstream, artifacts, wait_for};

/// A gateway with the plugin before an upstream that tells what it got.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
}

impl World {
    /// With these listeners, and these settings at the top level.
    #[track_caller]
    pub(crate) fn with(listeners: &str, settings: &str) -> Self {
        let (builder, upstream) = prepared(listeners, settings);
        let gateway = builder.start();
        Self { gateway, upstream }
    }

    /// With one listener that takes PROXY headers from this machine.
    #[track_caller]
    pub(crate) fn proxied(mode: &str) -> Self {
        let listener =
            format!("{{name: public, address: \"127.0.0.1:0\", proxy_protocol: {mode}}}");
        Self::with(&listener, "trusted_addresses: [127.0.0.1]")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address()
    }
}

pub(crate) fn prepared(listeners: &str, settings: &str) -> (Builder, Upstream) {
    let upstream = Upstream::echo();
    let text = configuration(listeners, settings);
    let builder = Gateway::with_whole(&text)
        .set("up", upstream.address())
        .plugin_bytes("libshows.so", &shows());
    (builder, upstream)
}

pub(crate) fn configuration(listeners: &str, settings: &str) -> String {
    format!(
        "\
format: 1
listeners: [{listeners}]
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: state
workers: 2
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: up, upstream: up}}]
routes: [{{name: all, service: up}}]
plugins: [{{name: shows}}]
"
    )
}

fn shows() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    let file = folder.path().join("libshows.so");
    let source = artifacts::root().join("tests/tests/connection/shows.c");
    artifacts::c_plugin(&source, &file, &["-Wall", "-Wextra", "-Werror"]);
    fs::read(&file).expect("it was compiled")
}

/// What the upstream got, as it tells the client.
#[derive(Debug)]
pub(crate) struct Told(Value);

impl Told {
    #[track_caller]
    pub(crate) fn of(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let told = serde_json::from_slice(body);
        Self(told.unwrap_or_else(|error| panic!("{error}: {text:?}")))
    }

    /// A header of the request.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.0["headers"].as_array().expect("headers");
        let found = headers.iter().find(|header| {
            header[0]
                .as_str()
                .is_some_and(|own| own.eq_ignore_ascii_case(name))
        });
        found.and_then(|header| header[1].as_str())
    }

    /// An attribute, by its number in the contract.
    pub(crate) fn attribute(&self, number: u32) -> Option<&str> {
        self.header(&format!("x-attr-{number}"))
    }

    /// Whose connection it is, whoever is asked: the client, with its port, and where it connected to.
    #[track_caller]
    pub(crate) fn is_of(&self, source: &str, destination: &str) -> &Self {
        let (source, destination): (SocketAddr, SocketAddr) = (
            source.parse().expect("an address"),
            destination.parse().expect("an address"),
        );
        let (ip, port) = (source.ip().to_string(), destination.port().to_string());
        let (source, destination) = (source.to_string(), destination.to_string());
        for (found, expected) in [
            (self.header("x-forwarded-for"), &ip),
            (self.header("x-real-ip"), &ip),
            (self.header("x-forwarded-port"), &port),
            (self.attribute(swapgate_abi::SG_ATTR_CLIENT_ADDRESS), &ip),
            (self.attribute(swapgate_abi::SG_ATTR_PEER_ADDRESS), &source),
            (
                self.attribute(swapgate_abi::SG_ATTR_LOCAL_ADDRESS),
                &destination,
            ),
        ] {
            assert_eq!(found, Some(expected.as_str()), "{self:?}");
        }
        self
    }

    /// What a PROXY header said, as plugins see it.
    pub(crate) fn proxied(&self) -> Option<(&str, &str)> {
        let source = self.attribute(swapgate_abi::SG_ATTR_PROXY_SOURCE)?;
        let destination = self.attribute(swapgate_abi::SG_ATTR_PROXY_DESTINATION)?;
        Some((source, destination))
    }
}

/// One request on a connection, after whatever was sent before.
#[track_caller]
pub(crate) fn ask(client: &mut Client) -> Told {
    let answer = client.get("/");
    assert_eq!(answer.status, 200, "{answer:?}");
    Told::of(&answer.body)
}

/// Exchanges the configuration for a whole other one, and says what became of it.
#[track_caller]
pub(crate) fn reload(gateway: &Gateway, text: &str) -> Value {
    let before = gateway.last_change()["number"].clone();
    gateway.rename_whole_config(text);
    wait_for("the outcome of a reload", || {
        Some(gateway.last_change()).filter(|change| change["number"] != before)
    })
}

/// A file name as it stands in a configuration.
pub(crate) fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}
