//! What every case needs: a gateway before an upstream of its own, what it uses, and others who ask meanwhile.

use std::time::{Duration, Instant};

use swapgate_tests::bench::BenchUpstream;
use swapgate_tests::process::{anonymous_bytes, descriptors};
use swapgate_tests::{Certificates, Client, Gateway, Load, wait_until};

/// How many requests somebody sends to see how others are served.
const SAMPLE: usize = 500;

/// A gateway with one route to an upstream. `secure` is its listener with TLS.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    /// What it used before anything happened.
    pub(crate) before: Used,
    /// The certificate of its listener with TLS.
    pub(crate) certificate: String,
    _upstream: BenchUpstream,
    _certificates: Certificates,
}

/// What a gateway uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) memory: u64,
    pub(crate) files: usize,
}

impl World {
    /// With further settings at the top level.
    pub(crate) fn with(settings: &str) -> Self {
        let upstream = BenchUpstream::start(&[]);
        let certificates = Certificates::new();
        let pair = certificates.server(&["localhost"]);
        let gateway = Gateway::with_whole(&format!(
            "\
format: 1
listeners:
  - {{name: public, address: \"127.0.0.1:0\"}}
  - {{name: secure, address: \"127.0.0.2:0\", tls: {{certificates: [{}]}}}}
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: state
workers: 2
{settings}
upstreams: [{{name: up, targets: [{{address: \"@up@\"}}]}}]
services: [{{name: s, upstream: up}}]
routes: [{{name: all, service: s}}]
",
            pair.entry(),
        ))
        .set("up", upstream.address())
        .start();
        // What everybody shares is paid before anything is counted.
        let _ = sample(&gateway);
        let before = used(&gateway);
        Self {
            gateway,
            before,
            certificate: pair.certificate.display().to_string(),
            _upstream: upstream,
            _certificates: certificates,
        }
    }

    /// Bytes of memory that have come since.
    pub(crate) fn grown(&self) -> u64 {
        used(&self.gateway)
            .memory
            .saturating_sub(self.before.memory)
    }

    /// Two who ask all the time.
    pub(crate) fn others(&self) -> Load {
        let request = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
        Load::start(self.gateway.address_of("public"), 2, request, |answer| {
            if answer.status == 200 {
                Ok(())
            } else {
                Err(format!("status {}", answer.status))
            }
        })
    }

    /// Waits until nothing is left of those who have gone: descriptors are as they were, but for connections to the
    /// upstream that are kept for the next.
    pub(crate) fn wait_until_gone(&self) {
        const KEPT: usize = 64;
        wait_until("the descriptors of the crowd to be closed", || {
            used(&self.gateway).files <= self.before.files + KEPT
        });
    }
}

/// What a gateway uses now.
pub(crate) fn used(gateway: &Gateway) -> Used {
    Used {
        memory: anonymous_bytes(gateway.pid()),
        files: descriptors(gateway.pid()),
    }
}

/// Asks over one connection, checks every answer, and tells the median and the 99th percentile of their times.
pub(crate) fn sample(gateway: &Gateway) -> (Duration, Duration) {
    let mut client = Client::connect(gateway.address_of("public"));
    let mut times: Vec<Duration> = (0..SAMPLE)
        .map(|_| {
            let asked = Instant::now();
            let answer = client.get("/");
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.json()["name"], "alice");
            asked.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[SAMPLE / 2], times[SAMPLE * 99 / 100])
}
