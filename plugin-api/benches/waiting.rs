//! What it costs that a hook could wait, when it does not: a call of the plain hook, and of the async one that is ready at
//! once.
//!
//! A plain loop rather than a statistics package, as in the gateway's own benchmarks: the question is whether an async hook
//! stays below 150 ns. Run with `cargo bench -p swapgate-plugin --bench waiting`.

use std::hint::black_box;
use std::time::Instant;

use swapgate_plugin::testing::{Exchange, Host, Instance, Phase};
use swapgate_plugin::{
    AsyncAccess, AsyncAccessCall, ConfigError, Error, Flow, HeaderFilter, HeaderFilterCall, Plugin,
};

const ROUNDS: u32 = 9;
const TIMES: u32 = 2_000_000;

struct Ready {
    word: u64,
}

impl Plugin for Ready {
    type Config = u64;

    fn configure(word: u64) -> Result<Self, ConfigError> {
        Ok(Self { word })
    }
}

/// Awaits what is there: an async function of its own and a future that is ready.
impl AsyncAccess for Ready {
    async fn access(&self, request: AsyncAccessCall) -> Result<Flow, Error> {
        let word = self.known().await + std::future::ready(1).await;
        black_box((word, &request));
        Ok(Flow::Continue)
    }
}

impl Ready {
    async fn known(&self) -> u64 {
        std::future::ready(self.word).await
    }
}

/// The plain one to compare with.
impl HeaderFilter for Ready {
    fn header_filter(&self, response: &mut HeaderFilterCall<'_>) -> Result<(), Error> {
        black_box((self.word + 1, response));
        Ok(())
    }
}

swapgate_plugin::export!(Ready, id = "ready");

fn main() {
    let host = Host::of::<Ready>();
    let instance = host
        .configure("7")
        .unwrap_or_else(|error| panic!("{error}"));
    measure(&instance, "plain hook", Phase::HeaderFilter);
    let ready = measure(&instance, "async hook, ready at once", Phase::Access);
    println!("target: an async hook that is ready at once below 150 ns; {ready:.1} ns");
}

/// Nanoseconds of one call, the median of several rounds.
fn measure(instance: &Instance<'_>, name: &str, phase: Phase) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(instance.repeat(phase, Exchange::new(), TIMES));
            start.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds[rounds.len() / 2];
    let (least, most) = (rounds[0], rounds[rounds.len() - 1]);
    println!("{name:<32} {median:6.1} ns ({least:.1} to {most:.1})");
    median
}
