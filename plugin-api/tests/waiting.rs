//! A plugin linked in whose hooks wait: what it waits for, who wakes it, and what ends it.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{self, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::ops::http::Request;
use swapgate_plugin::ops::{self, Either};
use swapgate_plugin::testing::{Exchange, Host, Lane, Outcome, Phase};
use swapgate_plugin::{
    AsyncAccess, AsyncAccessCall, AsyncHeaderFilter, AsyncHeaderFilterCall, ConfigError, Error,
    Flow, HostError, Plugin, RequestEnd, Response, Upstream,
};

const MS: fn(u64) -> Duration = Duration::from_millis;

#[derive(Deserialize, JsonSchema)]
struct Config {}

/// Counts what is alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct Life(Alive);

impl Alive {
    fn one(&self) -> Life {
        self.0.fetch_add(1, Ordering::SeqCst);
        Life(self.clone())
    }
}

impl std::ops::Deref for Alive {
    type Target = AtomicUsize;

    fn deref(&self) -> &AtomicUsize {
        &self.0
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A panic payload, or a local, whose drop panics.
struct Mine;

impl Drop for Mine {
    fn drop(&mut self) {
        panic!("and once more");
    }
}

static ALIVE: Mutex<Option<Alive>> = Mutex::new(None);

/// Each test with its own.
fn alive() -> Alive {
    ALIVE.lock().unwrap().get_or_insert_default().clone()
}

struct Waits;

impl Plugin for Waits {
    type Config = Config;

    fn configure(_: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl AsyncAccess for Waits {
    async fn access(&self, request: AsyncAccessCall) -> Result<Flow, Error> {
        let path = request.path();
        match path.as_str() {
            "/ready" => request.set_header("x-ready", "yes")?,
            "/sleep" => {
                ops::sleep(MS(50)).await?;
                request.set_header("x-slept", "yes")?;
            }
            "/callout" => return callout(&request).await,
            "/resolve" => {
                let found = ops::resolve("example.com").await?;
                request.set_header("x-found", format!("{found:?}"))?;
            }
            "/blocking" => {
                let word = String::from("work");
                let done = ops::blocking(move || format!("{word} done")).await?;
                request.set_header("x-done", done)?;
            }
            "/blocking-panic" => {
                let failed = ops::blocking(|| -> u8 { panic!("not this") }).await;
                assert_eq!(failed, Err(HostError::Panic));
            }
            "/race" => {
                let raced = ops::race(ops::sleep(MS(10)), ops::sleep(MS(1000))).await;
                assert!(matches!(raced, Either::Left(Ok(()))));
            }
            "/timeout" => {
                let late = ops::timeout(MS(20), ops::sleep(MS(1000))).await;
                assert_eq!(late, Err(HostError::Timeout));
            }
            "/join" => join(&request).await?,
            "/futures" => ecosystem(&request).await?,
            "/channel" => {
                let (send, receive) = oneshot::channel();
                thread::spawn(move || send.send("from a thread"));
                request.set_header("x-heard", receive.await?)?;
            }
            "/yield" => Again(100).await,
            "/upstream" => request.with(|call| call.set_upstream(Upstream::Service("other")))??,
            "/nested" => {
                let inner = request.with(|_| request.with(|_| ()))?;
                assert_eq!(inner, Err(HostError::Stale));
            }
            "/many" => many().await?,
            "/panic" => {
                let _life = alive().one();
                ops::sleep(MS(5)).await?;
                std::panic::panic_any(Mine);
            }
            "/drop-panic" => {
                let _mine = Mine;
                ops::sleep(MS(5)).await?;
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }
}

async fn callout(request: &AsyncAccessCall) -> Result<Flow, Error> {
    let _life = alive().one();
    let key = request.header("x-key").unwrap_or_default();
    let asked = Request::to_service("accounts", "/check?a=1")
        .method("POST")
        .header("x-key", key)
        .body("who is it");
    let answer = asked.send().await?;
    if answer.status() != 200 {
        return Ok(request.respond(&Response::new(401))?);
    }
    request.set_consumer(std::str::from_utf8(answer.body())?)?;
    Ok(Flow::Continue)
}

async fn join(request: &AsyncAccessCall) -> Result<(), Error> {
    let slow = async {
        ops::sleep(MS(30)).await?;
        Ok::<_, HostError>(1)
    };
    let (a, b) = ops::join(slow, async { 2 }).await;
    let waits = [3_u64, 1, 2].map(|n| async move { ops::sleep(MS(n)).await.map(|()| n) });
    let all: Result<Vec<_>, _> = ops::join_all(waits).await.into_iter().collect();
    request.set_header("x-sum", format!("{} {:?}", a? + b, all?))?;
    Ok(())
}

/// Combinators of another crate, which wrap wakers and poll only what was woken.
async fn ecosystem(request: &AsyncAccessCall) -> Result<(), Error> {
    let mut order = Vec::new();
    let mut waits: FuturesUnordered<_> = [30_u64, 10, 20]
        .into_iter()
        .map(|n| async move { ops::sleep(MS(n)).await.map(|()| n) }.boxed())
        .collect();
    while let Some(done) = waits.next().await {
        order.push(done?);
    }
    let mut slow = Box::pin(ops::sleep(MS(500)).fuse());
    let mut fast = Box::pin(ops::sleep(MS(5)).fuse());
    futures_util::select! {
        _ = slow => order.push(500),
        _ = fast => order.push(5),
    }
    let both = future::join(ops::sleep(MS(1)), ops::sleep(MS(2))).await;
    assert_eq!(both, (Ok(()), Ok(())));
    request.set_header("x-order", format!("{order:?}"))?;
    Ok(())
}

/// The limit of one exchange.
async fn many() -> Result<(), Error> {
    let waits = (0..64).map(|_| ops::sleep(MS(1)));
    let more = async { ops::sleep(Duration::ZERO).await };
    let (all, more) = ops::join(ops::join_all(waits), more).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(more, Err(HostError::TooLarge));
    Ok(())
}

/// Wakes itself so many times.
struct Again(u32);

impl Future for Again {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

static WAKER: Mutex<Option<Waker>> = Mutex::new(None);

/// Leaves its waker and waits for nothing else.
struct Left(bool);

impl Future for Left {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        *WAKER.lock().unwrap() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl AsyncHeaderFilter for Waits {
    async fn header_filter(&self, response: AsyncHeaderFilterCall) -> Result<(), Error> {
        match response.path().as_str() {
            "/filter" => {
                ops::sleep(MS(7)).await?;
                response.set_response_header("x-waited", "7")?;
            }
            "/left" => Left(false).await,
            _ => {}
        }
        Ok(())
    }
}

impl RequestEnd for Waits {
    fn request_end(&self, _: &mut swapgate_plugin::EndCall<'_>) {}
}

swapgate_plugin::export!(Waits, id = "waits");

fn on(path: &str) -> Exchange {
    Exchange::new().path(path)
}

#[track_caller]
fn run(path: &str) -> Outcome {
    let host = Host::of::<Waits>();
    let instance = host.configure("{}").unwrap();
    let outcome = instance.run(on(path));
    assert_eq!(outcome.failures(), [], "{path}");
    assert_eq!(host.operations(), 0, "{path}");
    outcome
}

#[test]
fn a_hook_that_is_ready_at_once_never_waits() {
    let host = Host::of::<Waits>();
    let instance = host.configure("{}").unwrap();
    let flight = instance.begin(on("/ready"));
    assert!(flight.is_over());
    assert_eq!(flight.finish().request_header("x-ready").unwrap(), "yes");
}

#[test]
fn time_passes_when_the_test_says_so() {
    let host = Host::of::<Waits>();
    let instance = host.configure("{}").unwrap();
    let (one, other) = (instance.begin(on("/sleep")), instance.begin(on("/sleep")));
    host.advance(MS(49));
    assert_eq!(one.waiting(Lane::Request), Some(Phase::Access));
    assert_eq!(host.operations(), 2);
    host.advance(MS(1));
    for flight in [one, other] {
        assert!(flight.is_over());
        let outcome = flight.finish();
        assert_eq!(outcome.request_header("x-slept").unwrap(), "yes");
        assert!(outcome.reached_upstream());
    }
    assert_eq!(host.now(), MS(50));
}

#[test]
fn a_callout_brings_its_answer() {
    let host = Host::of::<Waits>();
    let instance = host.configure("{}").unwrap();
    host.answer_with(|callout| {
        assert_eq!(callout.service, "accounts");
        assert_eq!((&*callout.method, &*callout.url), ("POST", "/check?a=1"));
        assert_eq!(callout.body, b"who is it");
        match callout.header("x-key") {
            Some(b"alpha") => Ok(Response::new(200).body("alice")),
            Some(b"slow") => Err(HostError::Timeout),
            _ => Ok(Response::new(404)),
        }
    });
    let outcome = instance.run(on("/callout").header("x-key", "alpha"));
    assert_eq!(outcome.consumer(), Some("alice"));
    let outcome = instance.run(on("/callout").header("x-key", "beta"));
    assert_eq!(outcome.status(), 401);
    let outcome = instance.run(on("/callout").header("x-key", "slow"));
    assert_eq!(outcome.failures()[0].error, HostError::Timeout);
}

#[test]
fn other_operations_bring_theirs() {
    let host = Host::of::<Waits>();
    host.name("example.com", &["192.0.2.7".parse().unwrap()]);
    let instance = host.configure("{}").unwrap();
    let outcome = instance.run(on("/resolve"));
    assert_eq!(outcome.request_header("x-found").unwrap(), "[192.0.2.7]");
    assert_eq!(run("/resolve-not").status(), 200);
    assert_eq!(
        run("/blocking").request_header("x-done").unwrap(),
        "work done"
    );
    assert_eq!(run("/blocking-panic").status(), 200);
    let outcome = run("/upstream");
    assert_eq!(outcome.upstream(), Some(Upstream::Service("other")));
}

#[test]
fn several_things_are_waited_for_at_once() {
    run("/race");
    run("/timeout");
    run("/many");
    assert_eq!(run("/join").request_header("x-sum").unwrap(), "3 [3, 1, 2]");
    let order = run("/futures").request_header("x-order").unwrap();
    assert_eq!(order, "[10, 20, 30, 5]");
}

#[test]
fn other_threads_wake_and_a_task_may_wake_itself() {
    assert_eq!(
        run("/channel").request_header("x-heard").unwrap(),
        "from a thread"
    );
    run("/yield");
    run("/nested");
}

#[test]
fn the_answer_can_wait_as_well() {
    assert_eq!(run("/filter").response_header("x-waited").unwrap(), "7");
}

#[test]
fn a_client_that_is_gone_takes_its_callout_along() {
    let host = Host::of::<Waits>();
    let instance = host.configure("{}").unwrap();
    let flight = instance.begin(on("/callout"));
    let id = host.callouts()[0].id;
    flight.cancel();
    assert!(flight.is_over());
    assert_eq!(host.callouts(), []);
    assert!(!host.answer(id, Ok(Response::new(200))));
    assert!(flight.finish().was_cancelled());
}

#[test]
fn a_late_wake_harms_nobody() {
    let host = Host::of::<Waits>();
    let instance = host.configure("{}").unwrap();
    let flight = instance.begin(on("/left"));
    assert_eq!(flight.waiting(Lane::Response), Some(Phase::HeaderFilter));
    flight.cancel();
    let waker = WAKER.lock().unwrap().take().unwrap();
    waker.wake_by_ref();
    host.settle();
    drop(flight);
    drop(instance);
    drop(host);
    thread::spawn(move || waker.wake()).join().unwrap();
}

#[test]
fn what_no_gateway_does_is_survived() {
    let host = Host::of::<Waits>();
    host.complete_twice(true);
    let instance = host.configure("{}").unwrap();
    for path in ["/sleep", "/race", "/futures", "/blocking"] {
        assert_eq!(instance.run(on(path)).failures(), [], "{path}");
    }
    let flight = instance.begin(on("/sleep"));
    const PENDING: i32 = 1;
    assert_eq!(
        flight.event(Lane::Request, 99, 7, 0),
        Some(PENDING),
        "unknown kind"
    );
    assert_eq!(
        flight.event(Lane::Request, 1, 7, 0),
        Some(PENDING),
        "unknown operation"
    );
    assert_eq!(
        flight.event(Lane::Response, 1, 7, 0),
        Some(0),
        "nobody waits there"
    );
    assert_eq!(
        flight.event(Lane::Request, 2, 0, 0),
        Some(PENDING),
        "a wake for nothing"
    );
    flight.drain();
    assert!(flight.is_waiting());
    assert_eq!(flight.finish().failures(), []);
}

#[test]
fn a_panic_ends_the_task_and_nothing_else() {
    let host = Host::of::<Waits>();
    let instance = host.configure("{}").unwrap();
    let outcome = instance.run(on("/panic"));
    assert_eq!(outcome.status(), 500);
    assert_eq!(outcome.failures()[0].error, HostError::Panic);
    assert_eq!(outcome.failures().len(), 1);
    // A local whose drop panics, when the task is cancelled.
    let flight = instance.begin(on("/drop-panic"));
    host.advance(MS(5));
    flight.cancel();
    assert!(flight.is_over());
    drop(flight);
    assert_eq!(host.operations(), 0);
    assert_eq!(instance.run(on("/sleep")).failures(), []);
    assert_eq!(alive().load(Ordering::SeqCst), 0);
}

#[test]
fn an_instance_may_go_while_others_wait() {
    let host = Host::of::<Waits>();
    let instance = host.configure("{}").unwrap();
    let flights: Vec<_> = (0..1000).map(|_| instance.begin(on("/sleep"))).collect();
    assert_eq!(host.operations(), 1000);
    host.advance(MS(50));
    assert!(
        flights
            .iter()
            .all(swapgate_plugin::testing::Flight::is_over)
    );
}
