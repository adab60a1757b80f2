//! Faults of every kind under load, at three targets, one after the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use swapgate_tests::proxy::Place;
use swapgate_tests::traffic::Entry;
use swapgate_tests::{Arrivals, Fault, Gateway, Proxy, Recorder, Traffic, eventually};

use super::judge::{Trial, Window};
use super::trial::{Held, SENDS_AGAIN, Times, WATCHED, gateway, timed, wait_until_up};
use super::world::CLIENT_LIMIT;

const FAULTS: usize = 200;

/// When each fault has struck twice, memory is as large as it gets.
const WARM: usize = Fault::ALL.len() * 2;

/// Of a fault whose target stays in rotation, so many requests are to meet it.
const STRIKES: usize = 3;

/// Each so-manieth fault that hangs goes on until requests ran into their time-out.
const PATIENT: usize = 12;

const CLIENTS: usize = 8;

/// Targets are taken out of rotation and come back, and what may be sent again is.
#[test]
fn two_hundred_faults_under_load() {
    let stage = Stage::new(WATCHED, SENDS_AGAIN, true);
    for proxy in &stage.proxies {
        wait_until_up(&stage.gateway, proxy.address(), true);
    }
    stage.endure(FAULTS);
}

/// Without health checks and retries a fault costs those whom it strikes, and nobody else; and nothing is sent twice.
#[test]
fn each_kind_three_times_without_retries() {
    Stage::new("", "", false).endure(3 * Fault::ALL.len());
}

struct Stage {
    /// They answer for as long as they are held.
    _targets: Vec<Recorder>,
    proxies: Vec<Proxy>,
    arrivals: Arrivals,
    gateway: Gateway,
    /// Whether the gateway watches its targets, and sends again.
    watches: bool,
    windows: Vec<Window>,
    times: Times,
}

impl Stage {
    fn new(upstream: &str, service: &str, watches: bool) -> Self {
        let arrivals = Arrivals::default();
        let targets: Vec<Recorder> = (0..3).map(|_| Recorder::sharing(&arrivals)).collect();
        let before = |target: &Recorder| Proxy::before(target.address());
        let proxies: Vec<Proxy> = targets.iter().map(before).collect();
        let addresses: Vec<SocketAddr> = proxies.iter().map(Proxy::address).collect();
        Self {
            _targets: targets,
            proxies,
            arrivals,
            gateway: gateway(&addresses, upstream, service),
            watches,
            windows: Vec::new(),
            times: Times::default(),
        }
    }

    /// Has so many faults strike under load, and judges what became of everything.
    fn endure(mut self, faults: usize) {
        let idle = Held::by(&self.gateway).descriptors;
        let traffic = Traffic::start(self.gateway.address(), CLIENTS, CLIENT_LIMIT);
        traffic.wait_for_more(100);
        let mut warm = 0;
        for number in 0..faults {
            self.strike(number, &traffic);
            if number == WARM {
                warm = Held::by(&self.gateway).memory;
            }
        }
        traffic.wait_for_more(100);
        let entries = traffic.stop();
        self.times.tell();
        self.judge(&entries);
        // Connections that are kept for later are no loss, but would hide one.
        for proxy in &self.proxies {
            proxy.set(Fault::Cut(Place::Connect));
        }
        Held::assert_back(&self.gateway, idle, warm);
    }

    /// Has one target fail until everybody knows, and come back until everybody knows that.
    fn strike(&mut self, number: usize, traffic: &Traffic) {
        let kinds = Fault::ALL.len();
        let fault = Fault::ALL[number % kinds];
        let proxy = &self.proxies[(number + number / kinds) % self.proxies.len()];
        let (before, late, from) = (proxy.counts(), self.late(proxy), Instant::now());
        proxy.set(fault);
        let mut out = None;
        if self.watches && leaves_rotation(fault) {
            out = Some(timed(|| {
                wait_until_up(&self.gateway, proxy.address(), false);
            }));
        } else if fault.is_at_the_door() {
            traffic.wait_for_more(30);
        } else {
            proxy.wait_for_struck(before.struck + STRIKES);
        }
        let is_late = matches!(
            fault,
            Fault::Hang(Place::Request | Place::Answer | Place::Head)
        );
        if is_late && number.is_multiple_of(PATIENT) {
            eventually!(
                self.late(proxy) > late,
                "the gateway to give up what meets `{fault}`"
            );
        }
        proxy.set(Fault::Pass);
        let back = if self.watches {
            timed(|| wait_until_up(&self.gateway, proxy.address(), true))
        } else {
            Duration::ZERO
        };
        self.times.note(fault.to_string(), out, back);
        self.windows.push(Window {
            target: proxy.address(),
            from,
            until: Instant::now(),
        });
    }

    /// How many attempts at a target ran into their time-out.
    fn late(&self, proxy: &Proxy) -> f64 {
        let series = format!(
            "swapgate_upstream_attempts_total{{upstream=\"up\",target=\"{}\",outcome=\"timeout\"}}",
            proxy.address()
        );
        self.gateway.metrics().value(&series).unwrap_or(0.0)
    }

    #[track_caller]
    fn judge(&self, entries: &[Entry]) {
        let strikes: Vec<_> = self.proxies.iter().flat_map(Proxy::struck).collect();
        println!(
            "{} faults struck {} requests",
            self.windows.len(),
            strikes.len()
        );
        Trial {
            entries,
            windows: &self.windows,
            strikes: &strikes,
            arrivals: &self.arrivals,
            sends_again: self.watches,
            log: &self.gateway.log(),
        }
        .judge();
    }
}

/// Whether a target that fails so is taken out of rotation. One that is slow within its time-outs is not, and whether one
/// is whose bodies break depends on who looks first.
fn leaves_rotation(fault: Fault) -> bool {
    !matches!(fault, Fault::Pass | Fault::Slow(_)) && !fault.is_in_body()
}
