//! The load generator: a closed loop over kept-alive connections, and an honest account of what came back.
//!
//! `--seconds` measures for that long after `--warmup`; `--until-eof` goes on until standard input ends. The report is
//! one JSON object on standard output. `--header 'name: value'` goes with every request. With `--cpu-of PID` the report
//! holds what that process spent during the measurement; with `--check-stamp` every answer must come from exactly one
//! version of the plugin `stamp`.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use swapgate_bench::account::cpu_time;
use swapgate_bench::histogram::Histogram;
use swapgate_bench::{Arguments, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::sleep;

/// Reasons kept in the report; the count is always complete.
const REASONS: usize = 10;
/// Longer than any time-out of the gateway, so that a hanging request is counted and not waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Outcome<()> {
    let mut arguments = Arguments::of_process();
    let plan = Plan::read(&mut arguments)?;
    arguments.finish()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = tokio::task::LocalSet::new().block_on(&runtime, run(plan))?;
    println!("{report}");
    Ok(())
}

struct Plan {
    target: SocketAddr,
    connections: usize,
    warmup: Duration,
    seconds: Option<Duration>,
    cpu_of: Option<u32>,
    check_stamp: bool,
    request: Vec<u8>,
}

impl Plan {
    fn read(arguments: &mut Arguments) -> Outcome<Self> {
        let target = arguments.required("--target")?;
        let path = arguments
            .value("--path")?
            .unwrap_or_else(|| String::from("/"));
        let header: Option<String> = arguments.value("--header")?;
        let header = header.map_or_else(String::new, |line| format!("{line}\r\n"));
        let until_eof = arguments.flag("--until-eof");
        let seconds: Option<f64> = arguments.value("--seconds")?;
        if until_eof == seconds.is_some() {
            return Err("either --seconds or --until-eof must be given".into());
        }
        Ok(Self {
            target,
            connections: arguments.value("--connections")?.unwrap_or(32),
            warmup: Duration::from_secs_f64(arguments.value("--warmup")?.unwrap_or(0.0)),
            seconds: seconds.map(Duration::from_secs_f64),
            cpu_of: arguments.value("--cpu-of")?,
            check_stamp: arguments.flag("--check-stamp"),
            request: format!(
                "GET {path} HTTP/1.1\r\nhost: {target}\r\naccept: */*\r\n{header}\r\n"
            )
            .into_bytes(),
        })
    }
}

/// What all connections write into; one thread, so no locks.
#[derive(Default)]
struct Ledger {
    stop: Cell<bool>,
    measuring: Cell<bool>,
    requests: Cell<u64>,
    failures: Cell<u64>,
    mixed: Cell<u64>,
    closed: Cell<u64>,
    latency: RefCell<Histogram>,
    versions: RefCell<BTreeMap<String, u64>>,
    reasons: RefCell<Vec<String>>,
}

impl Ledger {
    fn success(&self, started: Instant) {
        if self.measuring.get() {
            self.requests.update(|count| count + 1);
            self.latency
                .borrow_mut()
                .add(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// A failure counts during the warm-up as well: nothing may hide there.
    fn failure(&self, reason: String) {
        self.failures.update(|count| count + 1);
        let mut reasons = self.reasons.borrow_mut();
        if reasons.len() < REASONS {
            reasons.push(reason);
        }
    }
}

async fn run(plan: Plan) -> Outcome<Value> {
    let plan = Rc::new(plan);
    let ledger = Rc::new(Ledger::default());
    let tasks: Vec<_> = (0..plan.connections)
        .map(|_| tokio::task::spawn_local(keep_asking(Rc::clone(&plan), Rc::clone(&ledger))))
        .collect();

    sleep(plan.warmup).await;
    let spent = |pid: Option<u32>| pid.map(cpu_time).transpose();
    let (started, spent_before) = (Instant::now(), spent(plan.cpu_of)?);
    ledger.measuring.set(true);
    match plan.seconds {
        Some(seconds) => sleep(seconds).await,
        None => end_of_input().await,
    }
    ledger.measuring.set(false);
    let (elapsed, spent_after) = (started.elapsed(), spent(plan.cpu_of)?);
    ledger.stop.set(true);
    for task in tasks {
        task.await?;
    }

    let cpu = spent_after
        .zip(spent_before)
        .map(|(after, before)| after.saturating_sub(before));
    let latency = ledger.latency.borrow();
    Ok(json!({
        "requests": ledger.requests.get(),
        "failures": ledger.failures.get(),
        "mixed": ledger.mixed.get(),
        "closed": ledger.closed.get(),
        "seconds": elapsed.as_secs_f64(),
        "cpu_seconds": cpu.map(|cpu| cpu.as_secs_f64()),
        "p50_us": latency.quantile(0.5),
        "p99_us": latency.quantile(0.99),
        "max_us": latency.quantile(1.0),
        "versions": *ledger.versions.borrow(),
        "reasons": *ledger.reasons.borrow(),
    }))
}

async fn end_of_input() {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        // An error means the same as the end: nobody holds the other side any more.
        let _ = std::io::stdin().read_to_end(&mut rest);
        ended.send(())
    });
    // A lost sender means that the thread is gone, which is the end as well.
    let _ = end.await;
}

async fn keep_asking(plan: Rc<Plan>, ledger: Rc<Ledger>) {
    while !ledger.stop.get() {
        let Err(reason) = converse(&plan, &ledger).await else {
            continue;
        };
        ledger.failure(reason);
        // A target that refuses connections would otherwise be asked in a busy loop.
        sleep(Duration::from_millis(10)).await;
    }
}

/// Asks over one connection until the load ends or the other side announces the end of the connection.
async fn converse(plan: &Plan, ledger: &Ledger) -> Result<(), String> {
    let mut stream = TcpStream::connect(plan.target)
        .await
        .map_err(|error| format!("cannot connect: {error}"))?;
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    let mut buffer = Vec::with_capacity(4096);
    while !ledger.stop.get() {
        let started = Instant::now();
        buffer.clear();
        let exchange = async {
            stream
                .write_all(&plan.request)
                .await
                .map_err(|error| format!("cannot send: {error}"))?;
            receive(&mut stream, &mut buffer).await
        };
        let answer = tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| String::from("no answer in a minute"))??;
        judge(plan, ledger, &answer, &buffer, started);
        if answer.close {
            ledger.closed.update(|count| count + 1);
            return Ok(());
        }
    }
    Ok(())
}

fn judge(plan: &Plan, ledger: &Ledger, answer: &Answer, buffer: &[u8], started: Instant) {
    let body = &buffer[answer.head..];
    if answer.status != 200 {
        return ledger.failure(format!(
            "status {}: {}",
            answer.status,
            String::from_utf8_lossy(body).trim()
        ));
    }
    if plan.check_stamp {
        match stamps(answer, body) {
            Ok((request, response)) if request == response => {
                *ledger.versions.borrow_mut().entry(response).or_default() += 1;
            }
            Ok((request, response)) => {
                ledger.mixed.update(|count| count + 1);
                return ledger.failure(format!(
                    "one answer from two versions: request {request}, response {response}"
                ));
            }
            Err(reason) => return ledger.failure(reason),
        }
    }
    ledger.success(started);
}

/// The version that stamped the request, as the upstream saw it, and the one that stamped the answer.
fn stamps(answer: &Answer, body: &[u8]) -> Result<(String, String), String> {
    let seen: Value = serde_json::from_slice(body)
        .map_err(|error| format!("the echo cannot be read: {error}"))?;
    let request = seen["headers"]["x-stamp-request"]
        .as_str()
        .ok_or("the request was not stamped")?;
    let response = answer
        .stamp
        .as_deref()
        .ok_or("the answer was not stamped")?;
    Ok((request.to_owned(), response.to_owned()))
}

/// What is needed of an answer.
struct Answer {
    status: u16,
    /// Bytes of the head; the rest of the buffer is the body.
    head: usize,
    length: usize,
    close: bool,
    stamp: Option<String>,
}

async fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Answer, String> {
    let mut answer: Option<Answer> = None;
    loop {
        if answer.is_none() {
            answer = parse(buffer)?;
        }
        if let Some(answer) = answer.take_if(|answer| buffer.len() >= answer.head + answer.length) {
            return match buffer.len() - answer.head - answer.length {
                0 => Ok(answer),
                extra => Err(format!("{extra} bytes follow the answer")),
            };
        }
        let read = stream
            .read_buf(buffer)
            .await
            .map_err(|error| format!("cannot receive: {error}"))?;
        if read == 0 {
            return Err(format!(
                "the connection ended after {} bytes of an answer",
                buffer.len()
            ));
        }
    }
}

fn parse(buffer: &[u8]) -> Result<Option<Answer>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let status = response
        .parse(buffer)
        .map_err(|error| format!("the answer is not HTTP: {error}"))?;
    let httparse::Status::Complete(head) = status else {
        return Ok(None);
    };
    let mut answer = Answer {
        status: response.code.unwrap_or(0),
        head,
        length: 0,
        close: false,
        stamp: None,
    };
    let mut sized = false;
    for header in response.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or("");
        if header.name.eq_ignore_ascii_case("content-length") {
            answer.length = value
                .parse()
                .map_err(|_| format!("the length {value:?} is not a number"))?;
            sized = true;
        } else if header.name.eq_ignore_ascii_case("connection") {
            answer.close = value.eq_ignore_ascii_case("close");
        } else if header.name.eq_ignore_ascii_case("x-stamp-response") {
            answer.stamp = Some(value.to_owned());
        }
    }
    if sized {
        Ok(Some(answer))
    } else {
        Err(String::from("the answer has no content-length"))
    }
}
