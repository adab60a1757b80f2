//! Names as targets: where they lead is asked of a real server of names, and what it says may change at any time without a
//! request that fails.

mod addresses;
mod failures;
mod names;
mod services;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use serde_json::Value;
use swapgate_tests::{Dns, Gateway, Received, Upstream};

/// Servers on several addresses of this machine with one port, each of which says its address.
struct Row(Vec<Upstream>);

impl Row {
    /// One on 127.0.0.1, the next on 127.0.0.2, and so on.
    fn start(count: u8) -> Self {
        swapgate_tests::wait_for("a port that is free on all addresses", || {
            let first = TcpListener::bind(("127.0.0.1", 0)).ok()?;
            let port = first.local_addr().ok()?.port();
            let others =
                (2..=count).map(|last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)));
            let others: Vec<_> = others.collect::<Result<_, _>>().ok()?;
            let all = std::iter::once(first).chain(others);
            Some(Self(all.map(says_its_address).collect()))
        })
    }

    fn port(&self) -> u16 {
        self.0[0].address().port()
    }

    /// Those that got requests since the last time.
    fn asked(&self) -> Vec<u8> {
        let asked = self.0.iter().filter(|one| !one.take_requests().is_empty());
        asked.map(|one| last(one.address())).collect()
    }
}

fn last(address: SocketAddr) -> u8 {
    match address.ip() {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(_) => 0,
    }
}

fn says_its_address(listener: TcpListener) -> Upstream {
    let at = listener.local_addr().expect("a bound socket has one");
    Upstream::on(listener, move |conversation| {
        loop {
            let request = conversation.receive()?;
            conversation.send(answer(&at.ip().to_string(), &request))?;
        }
    })
}

/// The address of the server, and what it was called.
fn answer(who: &str, request: &Received) -> Vec<u8> {
    let host = request.headers.get("host").unwrap_or_default();
    let body = format!("{who} called {host}");
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// No names at all.
const NOBODY: &[(&str, &str)] = &[];

/// A configuration whose only upstream has these targets and further keys.
fn text(dns: &Dns, upstream: &str) -> String {
    format!(
        "workers: 2\n\
         dns: {{servers: [\"{}\"], min_ttl: 200ms, max_ttl: 1s, timeout: 2s}}\n\
         upstreams: [{{name: users, {upstream}}}]\n\
         services: [{{name: users, upstream: users}}]\n\
         routes: [{{name: all, service: users}}]\n",
        dns.address()
    )
}

/// What is known of the only name, as `/status` shows it.
fn name(status: &Value) -> &Value {
    &status["names"][0]
}

/// To how many addresses the only name leads.
fn addresses(gateway: &Gateway) -> usize {
    let status = gateway.status();
    name(&status)["addresses"].as_array().map_or(0, Vec::len)
}

/// Waits until the only name leads to so many addresses.
#[track_caller]
fn wait_for_addresses(gateway: &Gateway, count: usize) {
    gateway.wait_for_status("a name to lead to so many addresses", |status| {
        let addresses = name(status)["addresses"].as_array();
        addresses.is_some_and(|list| list.len() == count)
    });
}
