//! The load generator: an honest account of what came back, and of how long it took.
//!
//! Without `--rate` it is a closed loop: every connection asks again as soon as it has its answer. With `--rate R` it is
//! an open one: `R` requests a second are due at fixed times whatever the target does, and a latency is counted from the
//! time a request was *due*, so that a target that stalls cannot hide its stall by not being asked ("coordinated
//! omission"; Gil Tene, who also wrote wrk2, which measures like this).
//!
//! `--seconds` measures for that long after `--warmup`; `--until-eof` goes on until standard input ends. With
//! `--windows` each line on standard input names the window of what follows, and every window has an account of its
//! own. The report is one JSON object on standard output. `--header 'name: value'` goes with every request and may stand
//! several times; `{}` in `--path` becomes each number below `--routes`; `--body-bytes N` sends a body; `--no-keepalive`
//! takes a new connection for every request. With `--cpu-of PID` the report holds what that process spent during the
//! measurement; with `--check-stamp` every answer must come from exactly one version of the plugin `stamp`, and from one
//! configuration where that marks requests and answers (`x-config-request`, `x-config-response`); with `--show` it holds the last body. With `--refusals`, 503 is no failure where it says when to come again (`Retry-After`) and is a
//! problem in JSON; such answers have an account of their own, `refused`.
//!
//! Without further words it speaks HTTP/1.1. `--tls FILE` puts TLS 1.3 under it, with the certificate that is in the file
//! and no other, and without resumption; `--streams N` speaks HTTP/2 with so many concurrent streams on every connection
//! (agreed upon in the handshake, or by prior knowledge without TLS); `--websocket N` opens a WebSocket on every
//! connection and sends text messages of so many bytes, each when the one before has come back. What was agreed upon in
//! the first handshake stands in the report as `agreed`.
//!
//! With `--crowd` it holds its connections instead of using them; [`crowd`] tells how.
#![forbid(unsafe_code)]

mod answer;
mod asker;
mod chunks;
mod crowd;
mod http1;
mod http2;
mod ledger;
mod pace;
mod plan;
mod stream;
mod websocket;

use std::cell::Cell;
use std::io::BufRead;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use swapgate_bench::account::cpu_time;
use swapgate_bench::{Arguments, Outcome, admit_many};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use asker::Shared;
use ledger::Ledger;
use pace::Pace;
use plan::{End, Plan};

fn main() -> Outcome<()> {
    let mut arguments = Arguments::of_process();
    let plan = Plan::read(&mut arguments)?;
    arguments.finish()?;
    admit_many()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = async {
        match plan.crowd {
            Some(manner) => crowd::hold(plan, manner).await,
            None => run(plan).await,
        }
    };
    let report = tokio::task::LocalSet::new().block_on(&runtime, report)?;
    println!("{report}");
    Ok(())
}

async fn run(plan: Plan) -> Outcome<Value> {
    let plan = Rc::new(plan);
    let ledger = Rc::new(Ledger::default());
    let tasks = connect(&plan, &ledger);
    sleep(plan.warmup).await;
    let spent = |pid: Option<u32>| pid.map(cpu_time).transpose();
    let (started, spent_before) = (Instant::now(), spent(plan.cpu_of)?);
    ledger.measure(true);
    match plan.end {
        End::After(time) => sleep(time).await,
        End::WithInput => follow_input(&ledger, plan.windows).await,
    }
    ledger.measure(false);
    let (elapsed, spent_after) = (started.elapsed(), spent(plan.cpu_of)?);
    ledger.stop();
    for task in tasks {
        task.await?;
    }
    let cpu = spent_after
        .zip(spent_before)
        .map(|(after, before)| after.saturating_sub(before));
    Ok(report(&ledger, elapsed, cpu))
}

fn connect(plan: &Rc<Plan>, ledger: &Rc<Ledger>) -> Vec<JoinHandle<()>> {
    let shared = Shared {
        plan: Rc::clone(plan),
        ledger: Rc::clone(ledger),
        pace: Rc::new(Pace::new(plan.rate)),
        next: Rc::new(Cell::new(0)),
    };
    (0..plan.connections)
        .map(|_| tokio::task::spawn_local(asker::keep_asking(shared.clone())))
        .collect()
}

async fn follow_input(ledger: &Ledger, windows: bool) {
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        if windows {
            ledger.open_window(line.trim());
        }
    }
}

/// The lines of the input, up to its end; an error means the same: nobody holds the other side any more.
pub(crate) fn lines() -> UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn report(ledger: &Ledger, elapsed: Duration, cpu: Option<Duration>) -> Value {
    let mut report = ledger.report();
    report["seconds"] = json!(elapsed.as_secs_f64());
    report["cpu_seconds"] = json!(cpu.map(|cpu| cpu.as_secs_f64()));
    report
}
