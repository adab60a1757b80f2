//! Calls of the slow side that fail: opening files, starting threads and processes, mapping memory, while plugins are swapped
//! and the configuration is read again. Traffic notices nothing, a change that cannot be made is refused with a sentence,
//! and made soon after without anybody asking.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use swapgate_tests::process::descriptors;
use swapgate_tests::strace::Whose;
use swapgate_tests::{Gateway, Strace, Upstream, wait_for, wait_until};

use crate::world::{every_call, load, prepared, rests, stamp, stamp_of, wait_for_stamp};

/// By then a swap has come to the call that is to fail: the twentieth takes a few swaps at most, under strace.
const UNTIL_IT_FAILS: Duration = Duration::from_secs(300);

/// The calls that fail: all of them, or a choice.
fn times(choice: &[usize]) -> Vec<usize> {
    if every_call() {
        (1..=20).collect()
    } else {
        choice.to_vec()
    }
}

struct Swapping {
    gateway: Gateway,
    _upstream: Upstream,
    version: usize,
}

impl Swapping {
    fn start() -> Self {
        let (builder, upstream) = prepared("{name: stamp}");
        let gateway = builder
            .plugin_bytes("libstamp.so", stamp("v0").bytes())
            .start();
        wait_for_stamp(&gateway, "v0");
        Self {
            gateway,
            _upstream: upstream,
            version: 0,
        }
    }

    fn name(&self) -> String {
        format!("v{}", self.version)
    }

    /// Puts another version into the folder.
    fn put(&mut self) {
        self.version += 1;
        let plugin = stamp(&self.name());
        self.gateway.plugins().rename(plugin.bytes(), "libstamp.so");
    }

    /// Has a call fail at its `nth` time while versions are swapped, under load.
    fn fails(&mut self, whose: Whose, call: &str, error: &str, nth: usize) {
        let load = load(&self.gateway);
        let how = format!("error={error}:when={nth}");
        let strace = Strace::inject(self.gateway.pid(), whose, call, &how);
        let failed = || !strace.injected().is_empty();
        let since = Instant::now();
        while !failed() {
            assert!(
                since.elapsed() < UNTIL_IT_FAILS,
                "{call} never came to its call {nth}, up to version {}",
                self.version
            );
            self.put();
            let (gateway, name) = (&self.gateway, self.name());
            wait_until(&format!("{call} to fail, or {name} to serve"), || {
                failed() || stamp_of(gateway).as_ref() == Some(&name)
            });
        }
        let failed = strace.detach();
        assert!(!failed.is_empty());
        // The last one comes, whatever failed on its way.
        wait_for_stamp(&self.gateway, &self.name());
        load.wait_for_more(20);
        let _ = load.stop_without_failure();
        // What is told of a refused file may quote the child that tried it, in which the standard library panics without memory.
        let mut messages = self.gateway.log_messages().into_iter();
        let panicked = messages.find(|message| {
            message.contains("panicked") && !message.starts_with("plugin file refused")
        });
        assert_eq!(panicked, None, "{call} {error} {nth}");
    }
}

/// `call` fails while versions are swapped, in the threads of the gateway or in whatever it starts as well.
fn each(whose: Whose, call: &str, error: &str, choice: &[usize]) {
    let mut swapping = Swapping::start();
    swapping.put();
    wait_for_stamp(&swapping.gateway, "v1");
    let before = descriptors(swapping.gateway.pid());
    for nth in times(choice) {
        swapping.fails(whose, call, error, nth);
    }
    wait_until("the descriptors to be as before", || {
        descriptors(swapping.gateway.pid()) <= before + 16
    });
    rests(&swapping.gateway);
}

#[test]
fn openat_in_the_gateway() {
    each(Whose::Threads, "openat", "EMFILE", &[1, 2, 3, 4, 5, 9, 20]);
}

#[test]
fn openat_in_the_gateway_and_its_children() {
    each(Whose::Everybody, "openat", "EIO", &[1, 2, 3, 4, 8, 20]);
}

#[test]
fn clone3() {
    each(Whose::Everybody, "clone3", "ENOMEM", &[1, 2, 3, 4, 7]);
}

#[test]
fn mmap_in_the_gateway() {
    each(Whose::Threads, "mmap", "ENOMEM", &[1, 2, 3, 4, 5, 6, 20]);
}

#[test]
fn mmap_in_the_gateway_and_its_children() {
    each(Whose::Everybody, "mmap", "ENOMEM", &[1, 2, 5, 12, 16, 20]);
}

/// Each time the file is read again at a signal.
#[test]
fn openat_in_reloads() {
    let (builder, _upstream) = prepared("");
    let gateway = builder.start();
    let load = load(&gateway);
    for nth in 1..=20 {
        let how = format!("error=EMFILE:when={nth}");
        let strace = Strace::inject(gateway.pid(), Whose::Threads, "openat", &how);
        wait_for("openat to fail", || {
            gateway.signal(Signal::HUP);
            Some(strace.injected()).filter(|failed| !failed.is_empty())
        });
        strace.detach();
        wait_until("a reload to be published", || {
            let before = gateway.last_change()["number"].clone();
            gateway.signal(Signal::HUP);
            let change = wait_for("the outcome of a reload", || {
                Some(gateway.last_change()).filter(|change| change["number"] != before)
            });
            change["outcome"] == "published"
        });
    }
    let _ = load.stop_without_failure();
    rests(&gateway);
}
