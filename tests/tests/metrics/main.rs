//! What the gateway counts, asked for where an operator asks: at `/metrics`, and through a Prometheus.

mod counts;
mod plugins;
mod prometheus;

/// One service, two routes.
const TWO: &str = "\
workers: 2
upstreams: [{name: up, targets: [{address: \"@up@\"}]}]
services: [{name: up, upstream: up}]
routes:
  - {name: users, service: up, paths: [/users]}
  - {name: orders, service: up, paths: [/orders], methods: [POST]}
";

/// An upstream that answers everything with two bytes.
fn ok() -> swapgate_tests::Upstream {
    swapgate_tests::Upstream::fixed("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
}
