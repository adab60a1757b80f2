//! No descriptors left: nobody new is accepted for a while, and everybody else goes on.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use swapgate_tests::process::descriptors;
use swapgate_tests::{Client, wait_until};

use crate::world::{World, rests};

/// Lets a process have descriptors up to this number, exclusively. Gives back what it might have before.
fn limit(pid: Pid, most: u64) -> Rlimit {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: Some(most),
        maximum,
    };
    prlimit(Some(pid), Resource::Nofile, limit).expect("the process is ours")
}

/// The highest number of a descriptor that is open.
fn highest(pid: Pid) -> u64 {
    let folder = format!("/proc/{}/fd", pid.as_raw_nonzero());
    let entries = std::fs::read_dir(folder)
        .expect("the process runs")
        .flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.max().unwrap_or(0)
}

#[test]
fn clients_that_take_all_leave_some_for_others() {
    const MOST: usize = 200;
    let mut world = World::start();
    limit(world.gateway.pid(), MOST as u64);
    // They have begun to ask, so that nobody takes them for idle.
    let mut asking: Vec<Client> = (0..10)
        .map(|number| {
            let mut client = world.gateway.client();
            client.send(format!("GET /close/early-{number} HTTP/1.1\r\n"));
            client
        })
        .collect();
    let open = descriptors(world.gateway.pid());
    let crowd: Vec<Client> = (0..MOST + 100).map(|_| world.gateway.client()).collect();
    wait_until("the crowd to take what it gets", || {
        descriptors(world.gateway.pid()) > MOST - 64
    });
    rests(&world.gateway);
    let taken = descriptors(world.gateway.pid());
    assert!(taken > open && taken < MOST - 16, "{taken} of {MOST}");

    // Each needs a connection of its own to the target.
    for client in &mut asking {
        client.send("host: test\r\nconnection: close\r\n\r\n");
    }
    for client in &mut asking {
        let answer = client.expect_response();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(world.gateway.admin("/healthz").status, 200);
    assert_eq!(
        world.gateway.metrics().value("process_max_fds"),
        Some(200.0)
    );

    drop((crowd, asking));
    wait_until("others to be served", || world.both().is_ok());
    world.is_as_before();
}

/// All that are left are for others; clients wait in the queue of the system.
#[test]
fn none_for_clients() {
    let mut world = World::start();
    let pid = world.gateway.pid();
    let before = limit(pid, highest(pid) + 1);
    let mut crowd: Vec<Client> = (0..50).map(|_| world.gateway.client()).collect();
    rests(&world.gateway);
    // Who wants to know why asks the admin listener, which has kept some.
    let admins: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = Client::connect(world.gateway.admin_address());
            assert_eq!(client.get("/healthz").status, 200);
            client
        })
        .collect();
    drop(admins);
    assert_eq!(world.gateway.admin("/healthz").status, 200);

    limit(pid, before.current.unwrap_or(1024));
    for client in &mut crowd {
        assert_eq!(client.get("/keep/2").status, 200);
    }
    drop(crowd);
    wait_until("others to be served", || world.both().is_ok());
    world.is_as_before();
}

/// Not for clients, not for targets; and the target is not to blame.
#[test]
fn none_at_all() {
    let mut world = World::start();
    let pid = world.gateway.pid();
    // They have begun to ask, for whoever is idle is asked to end.
    let mut asking: Vec<Client> = (0..20)
        .map(|number| {
            let mut client = world.gateway.client();
            client.send(format!("GET /close/{number} HTTP/1.1\r\n"));
            client
        })
        .collect();
    // And the one that the world keeps.
    world
        .gateway
        .wait_for_metric("swapgate_connections{listener=\"public\"}", 21.0);
    rests(&world.gateway);
    let before = limit(pid, 3);
    let mut waiting = world.gateway.client();
    world
        .gateway
        .wait_for_log("cannot accept, trying again in 5ms");
    // The first one may find the connection that was kept for it; the others need one of their own.
    let mut refused = 0.0;
    for (number, client) in asking.iter_mut().enumerate() {
        client.send("host: test\r\n\r\n");
        let answer = client.expect_response();
        match answer.status {
            200 => assert_eq!(number, 0, "{answer:?}"),
            503 => refused += 1.0,
            _ => panic!("{answer:?}"),
        }
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
        }
    }
    rests(&world.gateway);
    limit(pid, before.current.unwrap_or(1024));
    assert_eq!(waiting.get("/keep/1").status, 200);

    let metrics = world.gateway.metrics();
    let attempts = |outcome: &str| {
        let series = metrics.series("swapgate_upstream_attempts_total");
        let name = format!("outcome=\"{outcome}\"");
        let series = series.iter().find(|series| series.contains(&name));
        let count = series.and_then(|series| metrics.value(series));
        count.unwrap_or(0.0)
    };
    assert_eq!(attempts("no_socket"), refused, "{}", metrics.text);
    assert_eq!(attempts("connect_error"), 0.0);
    let errors = "swapgate_accept_errors_total{listener=\"public\"}";
    let errors = metrics.value(errors).unwrap_or(0.0);
    assert!((1.0..200.0).contains(&errors), "{errors}");
    drop((asking, waiting));
    world.is_as_before();
}
