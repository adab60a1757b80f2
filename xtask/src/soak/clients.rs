//! Who asks: three loads in an open loop, and what lasts beside them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::failure::{Context, Outcome};
use crate::folder::Folder;
use crate::load::{Load, Report};
use crate::process::Program;

use super::DRAIN;
use super::options::Options;

/// What is offered, of what can be answered.
const HALF: f64 = 0.5;

/// A kind of client.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Its share of the whole load, by the time that it costs.
    share: f64,
    /// Whether connections must live as long as the load.
    pub(super) keeps: bool,
}

/// The kinds, in the order in which they are told.
pub(super) const KINDS: [Kind; 3] = [
    Kind {
        name: "kept-alive",
        share: 0.6,
        keeps: true,
    },
    Kind {
        name: "fresh",
        share: 0.2,
        keeps: false,
    },
    Kind {
        name: "HTTP/2",
        share: 0.2,
        keeps: true,
    },
];

/// What can be answered in a closed loop, requests a second.
pub(super) struct Saturation {
    /// By the bare proxy, with connections that are kept.
    pub(super) floor: f64,
    /// By the gateway, kind by kind, as if there were no other.
    pub(super) each: [f64; 3],
}

/// All that runs while changes are made.
pub(super) struct Clients {
    loads: [Load; 3],
    lasting: Program,
}

/// What all of them say at the end.
pub(super) struct Reports {
    /// In the order of the kinds.
    pub(super) loads: [Report; 3],
    pub(super) lasting: Report,
}

impl Kind {
    fn words(&self, options: &Options) -> Vec<String> {
        let connections = options.connections.to_string();
        let words: &[&str] = match self.name {
            "fresh" => &["--no-keepalive", "--connections", &connections],
            "HTTP/2" => &["--streams", "16", "--connections", "4"],
            _ => &["--connections", &connections],
        };
        let words = words.iter().copied();
        words.chain(["--path", "/load"]).map(String::from).collect()
    }
}

impl Saturation {
    /// Asks the gateway at `public`, and a bare proxy before the same upstream, as fast as they answer.
    pub(super) fn find(
        built: &Path,
        folder: &Folder,
        options: &Options,
        public: &str,
        upstream: &str,
    ) -> Outcome<Self> {
        let seconds = (options.seconds / 100.0).clamp(1.0, 5.0);
        let closed = |target: &str, kind: &Kind, further: &[&str]| -> Outcome<f64> {
            let mut words = kind.words(options);
            let time = format!("--seconds {seconds} --warmup {}", seconds / 3.0);
            words.extend(time.split(' ').map(String::from));
            words.extend(further.iter().copied().map(String::from));
            let report = Load::start(&[], built, target, &words)?.wait(DRAIN)?;
            Ok(report.measure("requests") / report.measure("seconds"))
        };
        let file = folder.file("floor.json");
        let mut command = Command::new(built.join("bench-floor"));
        command.args(["--upstream", upstream, "--workers", "2"]);
        let mut floor = Program::start("the bare proxy", command.arg("--announce").arg(&file))?;
        let at = floor.announced(&file)?.public;
        let [kept, fresh, streams] = &KINDS;
        let asked = |kind| closed(public, kind, &["--check-stamp"]);
        Ok(Self {
            floor: closed(&at, kept, &[])?,
            each: [asked(kept)?, asked(fresh)?, asked(streams)?],
        })
    }

    /// How many requests a second each kind offers.
    pub(super) fn rates(&self) -> [f64; 3] {
        let mut rates = self.each;
        for (rate, kind) in rates.iter_mut().zip(&KINDS) {
            *rate = (*rate * kind.share * HALF).max(1.0).round();
        }
        rates
    }
}

impl Clients {
    /// Starts all of them; the download takes at least as long as `time`.
    pub(super) fn start(
        built: &Path,
        options: &Options,
        public: &str,
        rates: [f64; 3],
        download: (u64, Duration),
    ) -> Outcome<Self> {
        let load = |kind: &Kind, rate: f64| {
            let mut words = kind.words(options);
            words.extend(["--until-eof", "--windows", "--check-stamp", "--rate"].map(String::from));
            words.push(rate.to_string());
            let mut load = Load::start(&[], built, public, &words)?;
            load.window("quiet")?;
            Outcome::Ok(load)
        };
        let [kept, fresh, streams] = &KINDS;
        let (bytes, time) = download;
        let mut lasting = Command::new(built.join("bench-lasting"));
        lasting
            .args(["--target", public])
            .args(["--download", &bytes.to_string()])
            .args(["--seconds", &time.as_secs_f64().to_string()])
            .stdout(Stdio::piped());
        Ok(Self {
            lasting: Program::start("what lasts", &mut lasting)?,
            loads: [
                load(kept, rates[0])?,
                load(fresh, rates[1])?,
                load(streams, rates[2])?,
            ],
        })
    }

    /// From now on answers belong to the window `name`. Everybody has to run.
    pub(super) fn window(&mut self, name: &str) -> Outcome<()> {
        self.lasting.must_run()?;
        self.loads.iter_mut().try_for_each(|load| {
            load.must_run()?;
            load.window(name)
        })
    }

    /// Has everybody finish what runs, and say what came of it.
    pub(super) fn finish(self) -> Outcome<Reports> {
        let lasting = self.lasting.finish(DRAIN).context("what lasts")?;
        let [kept, fresh, streams] = self.loads;
        Ok(Reports {
            loads: [
                kept.finish(DRAIN)?,
                fresh.finish(DRAIN)?,
                streams.finish(DRAIN)?,
            ],
            lasting: Report::read(&lasting)?,
        })
    }
}
