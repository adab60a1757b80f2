//! A plugin linked in that works outside of exchanges, keeps values, hands its state over and counts its memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use schemars::JsonSchema;
use serde::Deserialize;
use swapgate_plugin::kv::Kv;
use swapgate_plugin::ops::{self, http::Request};
use swapgate_plugin::testing::{Exchange, Host};
use swapgate_plugin::{
    Access, AccessCall, Background, Begin, ConfigError, Error, Flow, HostError, ImportError,
    Plugin, Response, State, Tick,
};

#[global_allocator]
static MEMORY: swapgate_plugin::alloc::Counting = swapgate_plugin::alloc::Counting;

const MS: fn(u64) -> Duration = Duration::from_millis;

#[derive(Deserialize, JsonSchema)]
struct Config {
    /// How often it ticks.
    #[serde(default)]
    every_ms: u64,
}

#[derive(Default)]
struct Shared {
    ticks: AtomicU64,
    fetched: Mutex<Vec<String>>,
    background: Mutex<Option<Background>>,
}

struct Keeper {
    every: Duration,
    kv: Kv,
    shared: Arc<Shared>,
}

impl Plugin for Keeper {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, ConfigError> {
        Ok(Self {
            every: MS(config.every_ms),
            kv: Kv::open().map_err(ConfigError::new)?,
            shared: Arc::default(),
        })
    }
}

impl Begin for Keeper {
    fn begin(&self, background: Background) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        background.spawn(async move {
            loop {
                let answer = Request::to_service("keys", "/now").send().await;
                let body = answer.map(|answer| String::from_utf8_lossy(answer.body()).into_owned());
                let text = body.unwrap_or_else(|error| error.to_string());
                shared.fetched.lock().unwrap().push(text);
                if ops::sleep(MS(1000)).await.is_err() {
                    return;
                }
            }
        })?;
        *self.shared.background.lock().unwrap() = Some(background);
        Ok(())
    }
}

impl Tick for Keeper {
    fn period(&self) -> Duration {
        self.every
    }

    fn tick(&self) -> Result<(), Error> {
        let ticks = self.shared.ticks.fetch_add(1, Ordering::SeqCst);
        assert!(ticks < 100, "too many");
        Ok(())
    }
}

impl State for Keeper {
    const FORMAT: u32 = 2;

    fn export_state(&self) -> Result<Option<Vec<u8>>, Error> {
        let ticks = self.shared.ticks.load(Ordering::SeqCst);
        Ok((ticks > 0).then(|| ticks.to_le_bytes().to_vec()))
    }

    fn import_state(&mut self, format: u32, state: &[u8]) -> Result<(), ImportError> {
        if format != 2 {
            return Err(ImportError::Format);
        }
        let bytes = state.try_into();
        let bytes = bytes.map_err(|_| ImportError::new("a count has eight bytes"))?;
        let ticks = u64::from_le_bytes(bytes);
        self.shared.ticks.store(ticks, Ordering::SeqCst);
        Ok(())
    }
}

impl Access for Keeper {
    fn access(&self, request: &mut AccessCall<'_>) -> Result<Flow, Error> {
        match request.path() {
            "/ticks" => {
                let ticks = self.shared.ticks.load(Ordering::SeqCst);
                request.set_header("x-ticks", ticks.to_string())?;
            }
            "/fetched" => {
                let fetched = self.shared.fetched.lock().unwrap().join(" ");
                request.set_header("x-fetched", fetched)?;
            }
            "/kv" => values(self.kv)?,
            "/count" => {
                let count = self.kv.add("count", 1, Some(MS(100)))?;
                request.set_header("x-count", count.to_string())?;
            }
            "/spawn" => self.spawn()?,
            _ => {}
        }
        Ok(Flow::Continue)
    }
}

impl Keeper {
    /// Tasks that talk to one another, to threads, and one that panics.
    fn spawn(&self) -> Result<(), Error> {
        let background = self.shared.background.lock().unwrap().clone();
        let background = background.ok_or_else(|| Error::new("it was not started"))?;
        let (send, mut receive) = mpsc::unbounded::<&str>();
        let shared = Arc::clone(&self.shared);
        background.spawn(async move {
            while let Some(word) = receive.next().await {
                shared.fetched.lock().unwrap().push(word.to_owned());
            }
        })?;
        background.spawn(async { panic!("this one") })?;
        let other = background.clone();
        background.spawn(async move {
            let (there, back) = oneshot::channel();
            let sender = send.clone();
            thread::spawn(move || {
                let _ = sender.unbounded_send("thread");
                let _ = there.send(());
            })
            .join()
            .ok();
            back.await.ok();
            let _ = other.spawn(async move {
                ops::sleep(MS(20)).await.ok();
                let _ = send.unbounded_send("slept");
            });
        })?;
        Ok(())
    }
}

fn values(kv: Kv) -> Result<(), Error> {
    assert_eq!(kv.get("a")?, None);
    kv.set("a", "one", None)?;
    let entry = kv.get("a")?.ok_or_else(|| Error::new("it is gone"))?;
    assert_eq!(entry.value, b"one");
    let other = Some(entry.revision + 1);
    assert_eq!(
        kv.compare_and_set("a", other, "two", None),
        Err(HostError::Conflict)
    );
    kv.compare_and_set("a", Some(entry.revision), vec![7; 1000], None)?;
    assert_eq!(kv.get("a")?.map(|entry| entry.value.len()), Some(1000));
    assert_eq!(kv.add("a", 1, None), Err(HostError::Invalid));
    kv.remove("a")?;
    kv.compare_and_set("a", None, "three", Some(MS(1)))?;
    assert_eq!(kv.add("n", -3, None)?, -3);
    assert_eq!(kv.number("n")?, Some(-3));
    assert_eq!(kv.set("k".repeat(513), "", None), Err(HostError::TooLarge));
    Ok(())
}

swapgate_plugin::export!(Keeper, id = "keeper");

fn ask(instance: &swapgate_plugin::testing::Instance<'_>, path: &str, header: &str) -> String {
    let outcome = instance.run(Exchange::new().path(path));
    assert_eq!(outcome.failures(), []);
    outcome.request_header(header).unwrap_or_default()
}

#[test]
fn a_task_goes_on_between_requests() {
    let host = Host::of::<Keeper>();
    let instance = host.configure("{}").unwrap();
    let mut answers = 0;
    host.answer_with(move |_| {
        answers += 1;
        if answers == 2 {
            return Err(HostError::Unavailable);
        }
        Ok(Response::new(200).body(format!("k{answers}")))
    });
    assert_eq!(
        ask(&instance, "/fetched", "x-fetched"),
        "",
        "not before it starts"
    );
    instance.start().unwrap();
    assert_eq!(ask(&instance, "/fetched", "x-fetched"), "k1");
    host.advance(MS(2000));
    let unavailable = HostError::Unavailable.to_string();
    assert_eq!(
        ask(&instance, "/fetched", "x-fetched"),
        format!("k1 {unavailable} k3")
    );
    drop(instance);
    assert_eq!(host.operations(), 0);
}

#[test]
fn tasks_talk_to_one_another_and_survive_a_panic() {
    let host = Host::of::<Keeper>();
    let instance = host.configure("{}").unwrap();
    host.answer_with(|_| Ok(Response::new(200).body("k")));
    instance.start().unwrap();
    let _ = ask(&instance, "/spawn", "x");
    host.advance(MS(30));
    assert_eq!(ask(&instance, "/fetched", "x-fetched"), "k thread slept");
    let panicked = |line: &swapgate_plugin::testing::LogLine| line.text.contains("this one");
    assert!(host.logs().iter().any(panicked));
}

#[test]
fn ticks_come_as_often_as_said() {
    let host = Host::of::<Keeper>();
    let instance = host.configure(r#"{"every_ms": 100}"#).unwrap();
    host.advance(MS(500));
    assert_eq!(ask(&instance, "/ticks", "x-ticks"), "0");
    instance.start().unwrap();
    host.advance(MS(350));
    assert_eq!(ask(&instance, "/ticks", "x-ticks"), "3");
    let refused = host.configure(r#"{"every_ms": 5}"#).unwrap().start();
    assert!(refused.unwrap_err().contains("SG_E_INVALID"));
}

#[test]
fn a_state_goes_from_one_instance_to_the_next() {
    let host = Host::of::<Keeper>();
    let old = host.configure(r#"{"every_ms": 100}"#).unwrap();
    assert_eq!(old.export_state(), Ok(None));
    old.start().unwrap();
    host.advance(MS(500));
    let (format, state) = old.export_state().unwrap().unwrap();
    assert_eq!(format, 2);
    let mut new = host.configure("{}").unwrap();
    let refused = new.import_state(1, &state).unwrap_err();
    assert_eq!(refused, "format 1 is not one that this version reads");
    let refused = new.import_state(2, b"short").unwrap_err();
    assert_eq!(refused, "a count has eight bytes");
    new.import_state(format, &state).unwrap();
    assert_eq!(ask(&new, "/ticks", "x-ticks"), "5");
}

#[test]
fn values_are_kept_beyond_an_exchange() {
    let host = Host::of::<Keeper>();
    let instance = host.configure("{}").unwrap();
    let _ = ask(&instance, "/kv", "x");
    for count in ["1", "2"] {
        assert_eq!(ask(&instance, "/count", "x-count"), count);
    }
    drop(instance);
    let instance = host.configure("{}").unwrap();
    assert_eq!(ask(&instance, "/count", "x-count"), "3");
    host.advance(MS(100));
    assert_eq!(ask(&instance, "/count", "x-count"), "1");
}

#[test]
fn memory_is_counted_where_the_plugin_says_so() {
    let host = Host::of::<Keeper>();
    let before = host.memory().unwrap();
    let kept = vec![1_u8; 1 << 20];
    let after = host.memory().unwrap();
    assert!(after.peak_bytes >= before.bytes + (1 << 20));
    assert!(after.allocations > before.allocations);
    drop(kept);
}
