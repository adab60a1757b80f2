//! The reference, its schema and the defaults.

use std::time::Duration;

use super::*;
use crate::config::ready::{Algorithm, Underscores};

#[test]
fn the_smallest_file_gets_every_default() {
    let config = good(MINIMAL);
    assert_eq!(config.workers, 3);
    assert_eq!(config.admin.address, "127.0.0.1:8001".parse().unwrap());
    assert_eq!(config.plugins_dir, Path::new("/etc/gate/plugins.d"));
    assert_eq!(config.state_dir, Path::new("/etc/gate/state"));
    assert_eq!(config.limits.header_bytes, 65536);
    assert_eq!(config.limits.uri_bytes, 16384);
    assert_eq!(config.client_headers.underscores, Underscores::Drop);
    assert_eq!(config.limits.body_bytes, 100 << 20);
    assert_eq!(config.client_timeouts.header, Duration::from_secs(10));
    assert!(config.routes.is_empty() && config.plugins.is_empty() && config.via.is_none());
}

#[test]
fn the_reference_shows_the_defaults() {
    let reference = good(REFERENCE);
    let defaults = good(MINIMAL);
    assert_eq!(reference.admin, defaults.admin);
    assert_eq!(reference.loader, defaults.loader);
    assert_eq!(reference.limits, defaults.limits);
    assert_eq!(reference.client_timeouts, defaults.client_timeouts);
    assert_eq!(reference.drain, defaults.drain);
    assert_eq!(reference.plugins_dir, defaults.plugins_dir);
    assert_eq!(reference.state_dir, defaults.state_dir);
    assert_eq!(reference.overload, defaults.overload);
    assert_eq!(reference.dns, defaults.dns);
    assert_eq!(
        reference.upstreams[0].balance.algorithm,
        Algorithm::RoundRobin
    );
    assert_eq!(reference.upstreams[0].targets[0].weight, 2);
    let service = "services: [{name: s, upstream: u}]";
    let upstream = "upstreams: [{name: u, targets: [{address: '127.0.0.1:1'}]}]";
    let smallest = good(&format!("{MINIMAL}{service}\n{upstream}\n"));
    assert_eq!(
        reference.services[0].timeouts,
        smallest.services[0].timeouts
    );
}

#[test]
fn the_reference_names_every_key_of_the_schema() {
    let schema = schema();
    let mut objects = vec![&schema];
    objects.extend(schema["$defs"].as_object().unwrap().values());
    for object in objects {
        for key in object["properties"]
            .as_object()
            .into_iter()
            .flat_map(|p| p.keys())
        {
            assert!(
                REFERENCE.contains(&format!("{key}:")),
                "the reference lacks {key}"
            );
        }
    }
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let committed = include_str!("../../../../config/swapgate.schema.json");
    let generated = format!("{:#}\n", schema());
    assert!(
        committed == generated,
        "write it again with: swapgate schema > config/swapgate.schema.json"
    );
}

#[test]
fn every_file_in_config_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            good(&Source::read(&path).unwrap().text);
            files += 1;
        }
    }
    assert!(files >= 2);
}
