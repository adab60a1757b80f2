//! What lasts while everything else comes and goes: one WebSocket, one call of gRPC with messages both ways, one slow download;
//! each on one connection, for as long as standard input is open.
//!
//! Messages are numbered and must come back as they were sent, one after the other, and the call must end with trailers that
//! say it went well. The bytes of the download (`--download N` of them) must stand where they belong; they are read no faster
//! than `--seconds S` takes, and the rest at once when the input ends. The report is one JSON object on standard output; where
//! one of the three breaks, its reason is among the `failures`, and it does not begin anew: its life is what is looked at.
#![forbid(unsafe_code)]

mod call;
mod download;
mod messages;
mod websocket;

use std::cell::Cell;
use std::io::Read;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use swapgate_bench::{Arguments, Outcome};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::sleep;

/// Longer than any time-out of the gateway.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Outcome<()> {
    let mut arguments = Arguments::of_process();
    let plan = Plan {
        target: arguments.required("--target")?,
        every: Duration::from_millis(arguments.value("--every-ms")?.unwrap_or(100)),
        download: arguments.required("--download")?,
        time: Duration::from_secs_f64(arguments.required("--seconds")?),
    };
    arguments.finish()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = LocalSet::new().block_on(&runtime, run(plan));
    println!("{report}");
    Ok(())
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) target: SocketAddr,
    /// Between two messages.
    pub(crate) every: Duration,
    /// Bytes of the download.
    pub(crate) download: u64,
    /// How long it takes at least.
    pub(crate) time: Duration,
}

/// The end, which everybody may wait for.
#[derive(Debug, Clone, Default)]
pub(crate) struct End(Rc<(Cell<bool>, Notify)>);

impl End {
    /// Whether it has come.
    pub(crate) fn has_come(&self) -> bool {
        self.0.0.get()
    }

    /// Waits for this long, or until it comes.
    pub(crate) async fn or(&self, time: Duration) {
        let comes = self.0.1.notified();
        if !self.has_come() {
            tokio::select! {
                () = comes => {}
                () = sleep(time) => {}
            }
        }
    }

    fn come(&self) {
        self.0.0.set(true);
        self.0.1.notify_waiters();
    }
}

async fn run(plan: Plan) -> Value {
    let end = End::default();
    let waiting = end.clone();
    tokio::task::spawn_local(async move {
        // An error means the same as the end: nobody holds the other side any more.
        let read = || std::io::stdin().read_to_end(&mut Vec::new());
        let _ = tokio::task::spawn_blocking(read).await;
        waiting.come();
    });
    let (websocket, call, download) = tokio::join!(
        websocket::talk(plan, &end),
        call::talk(plan, &end),
        download::read(plan, &end),
    );
    let lives = [
        ("websocket", websocket),
        ("call", call),
        ("download", download),
    ];
    let mut report = json!({"failures": []});
    for (name, (account, ended)) in lives {
        report[name] = account;
        if let (Err(reason), Some(failures)) = (ended, report["failures"].as_array_mut()) {
            failures.push(json!(format!("the {name}: {reason}")));
        }
    }
    report
}
