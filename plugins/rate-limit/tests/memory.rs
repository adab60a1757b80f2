//! A million keys through the hooks of a real instance: the memory of this process grows by what was configured. Alone in
//! its file, so that no other test of this process moves the numbers.

use std::fs;

use rate_limit::RateLimit;
use rate_limit::bucket::TokenBucket;
use rate_limit::store::Store;
use swapgate_plugin::testing::{Exchange, Host};

const KEYS: u32 = 1_000_000;
const MAX_KEYS: usize = 50_000;

/// What the allocator keeps of everything else, from before the first key on.
const SLACK: usize = 4 * 1024 * 1024;

/// Bytes of memory of this process that stand in no file.
fn anonymous() -> usize {
    let text = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("Anonymous:"))
        .unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

#[test]
fn a_million_keys_take_what_was_configured() {
    let host = Host::of::<RateLimit>();
    let config = format!(
        r#"{{"limit": 1, "window": "1h", "by": "address", "max_keys": {MAX_KEYS}, "headers": false}}"#
    );
    let instance = host.configure(&config).unwrap();
    let ask = |key: u32| {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + key).to_string();
        instance
            .run(Exchange::new().client_address(&address))
            .status()
    };
    assert_eq!(ask(0), 200);
    let before = anonymous();
    let passed = (1..KEYS).filter(|key| ask(*key) == 200).count();
    let grown = anonymous().saturating_sub(before);
    assert!(
        grown <= Store::<TokenBucket>::bytes(MAX_KEYS) + SLACK,
        "{grown} bytes"
    );
    assert!((MAX_KEYS..MAX_KEYS * 2).contains(&passed), "{passed}");
    assert_eq!(ask(0), 429, "the first one is not forgotten");
}
