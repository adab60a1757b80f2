//! Calls of the hot path that fail, each at its first to its twentieth time.

use swapgate_tests::strace::Whose;
use swapgate_tests::{Strace, wait_for};

use crate::world::World;

/// At which of its calls each fails.
const TIMES: std::ops::RangeInclusive<usize> = 1..=20;

/// `most` requests are lost for each call that failed.
fn each(call: &str, errors: &[&str], most: usize) {
    let mut world = World::start();
    for nth in TIMES {
        let error = errors[nth % errors.len()];
        world.fails(call, error, nth, most);
    }
    world.is_as_before();
}

#[test]
fn accept4() {
    let errors = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "ECONNABORTED"];
    each("accept4", &errors, 0);
}

/// It has descriptors of its own to give back.
#[test]
fn accept4_of_the_admin_listener() {
    let mut world = World::start();
    for nth in TIMES {
        let error = ["EMFILE", "ENFILE", "ENOMEM"][nth % 3];
        let how = format!("error={error}:when={nth}");
        let strace = Strace::inject(world.gateway.pid(), Whose::Threads, "accept4", &how);
        wait_for("accept4 to fail", || {
            assert_eq!(world.gateway.admin("/healthz").status, 200);
            Some(strace.injected()).filter(|failed| !failed.is_empty())
        });
        strace.detach();
        world.lives();
    }
    assert!(!world.gateway.log().contains("cannot accept"));
    world.is_as_before();
}

#[test]
fn socket() {
    each("socket", &["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"], 0);
}

#[test]
fn connect() {
    each("connect", &["ENOMEM", "EIO", "EADDRNOTAVAIL", "ENOBUFS"], 1);
}

#[test]
fn recvfrom() {
    each("recvfrom", &["EIO", "ENOMEM", "ECONNABORTED", "ENOBUFS"], 1);
}

#[test]
fn sendto() {
    each("sendto", &["EIO", "ENOMEM", "ENOBUFS", "ECONNABORTED"], 1);
}

#[test]
fn writev() {
    each("writev", &["EIO", "ENOMEM", "ENOBUFS"], 1);
}

#[test]
fn epoll_wait() {
    // Which of them there is depends on the machine.
    each("?epoll_wait,?epoll_pwait", &["EINTR"], 0);
}

#[test]
fn epoll_ctl() {
    each("epoll_ctl", &["ENOMEM", "ENOSPC"], 1);
}
