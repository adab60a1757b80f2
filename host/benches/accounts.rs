//! What counting costs: the account of one exchange, an attempt at a target, and a plugin's own metrics, in nanoseconds.
//!
//! A plain loop rather than a statistics package: what is measured are a few loads and stores, and the question is whether
//! they stay below 60 ns a request. Run with `cargo bench -p swapgate --bench accounts`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swapgate::counted::Metrics;
use swapgate::metrics::book::ImageMetrics;
use swapgate::metrics::cell::enter_worker;
use swapgate::metrics::route::Entry;
use swapgate::metrics::traffic::{Attempt, Attempting, Attempts};
use swapgate_plugin::metric::{Declaration, Kind};

const ROUNDS: u32 = 9;
const TIMES: u32 = 2_000_000;

/// Nanoseconds of one `work`, the median of several rounds.
fn measure(name: &str, mut work: impl FnMut(u32)) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..TIMES).for_each(&mut work);
            start.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds[rounds.len() / 2];
    let (least, most) = (rounds[0], rounds[rounds.len() - 1]);
    println!("{name:<44} {median:6.1} ns ({least:.1} to {most:.1})");
    median
}

fn declaration(kind: Kind, bounds: &[f64]) -> Declaration {
    Declaration {
        kind,
        name: format!("{kind:?}").to_lowercase(),
        help: "Measured.".to_owned(),
        labels: Vec::new(),
        bounds: bounds.to_vec(),
    }
}

fn main() {
    let workers = 2;
    enter_worker(0);
    let metrics = Metrics::new(workers);
    let (route, service): (Arc<str>, Arc<str>) = (Arc::from("users"), Arc::from("users"));
    let account = metrics
        .routes
        .of([(&route, &service)].into_iter(), 10)
        .remove(0);
    let statuses = [200, 200, 200, 404, 200, 304, 200, 502];
    let request = measure("an exchange on its route", |number| {
        let entry = Entry {
            status: statuses[number as usize % statuses.len()],
            duration: Duration::from_micros(u64::from(number % 20_000)),
            request_bytes: 0,
            response_bytes: 512,
        };
        account.count(0, black_box(entry));
    });
    let attempts = Attempts::new(workers);
    let attempt = measure("an attempt at a target", |_| {
        Attempting::new(Some(black_box(&attempts))).came_to(Attempt::Ok);
    });
    println!(
        "{:<44} {:6.1} ns",
        "together, for a request",
        request + attempt
    );

    let image = ImageMetrics::new(&metrics.book, "bench");
    let counter = image
        .declare(declaration(Kind::Counter, &[]))
        .expect("fits");
    measure("a plugin's counter, without the call", |_| {
        let _ = image
            .find(black_box(counter))
            .and_then(|series| series.add(1.0));
    });
    let bounds = [0.001, 0.01, 0.1, 1.0, 10.0];
    let histogram = image
        .declare(declaration(Kind::Histogram, &bounds))
        .expect("fits");
    measure("a plugin's histogram, without the call", |number| {
        let value = f64::from(number % 1000) / 100.0;
        let _ = image
            .find(black_box(histogram))
            .and_then(|series| series.observe(value));
    });
    enter_worker(usize::MAX);
    measure("a plugin's counter, from a thread of its own", |_| {
        let _ = image
            .find(black_box(counter))
            .and_then(|series| series.add(1.0));
    });
}
