//! Real nginx targets that are killed under load, one after the other, and started again.

use std::fs;
use std::net::SocketAddr;
use std::time::Instant;

use swapgate_tests::traffic::Entry;
use swapgate_tests::{Arrivals, Gateway, Nginx, Traffic};

use super::judge::{Trial, Window};
use super::trial::{Held, SENDS_AGAIN, Times, WATCHED, gateway, timed, wait_until_up};
use super::world::CLIENT_LIMIT;

const KILLS: usize = 200;

/// Part of the kills after which memory is as large as it gets: connections come in bursts when a target comes back, and
/// the largest one takes a while to happen.
const WARM: (usize, usize) = (3, 5);

const CLIENTS: usize = 8;

/// Answers as the recording target does, and writes each request down when its head has come: what is written down at its
/// end would not be there of those that were in flight.
const BLOCK: &str = "\
    error_log @folder@/arrived.log notice;
    rewrite_log on;
    client_max_body_size 0;
    location = /healthz { return 200 ok; }
    location /load/ {
        rewrite ^/load/ /counted;
        return 200 \"$request_method $http_x_nonce $swapgate_length\\nthe rest of the answer\\n\";
    }
    set $swapgate_length $content_length;
    if ($content_length = '') { set $swapgate_length 0; }
";

/// Targets are taken out of rotation and come back, and what may be sent again is.
#[test]
fn nginx_killed_under_load() {
    endure(KILLS, WATCHED, SENDS_AGAIN, true);
}

/// Without health checks and retries each kill costs those who were in flight, and nothing is sent twice.
#[test]
fn nginx_killed_without_retries() {
    endure(20, "", "", false);
}

fn endure(kills: usize, upstream: &str, service: &str, watches: bool) {
    let mut targets: Vec<Nginx> = (0..3).map(|_| Nginx::server(BLOCK)).collect();
    let addresses: Vec<SocketAddr> = targets.iter().map(Nginx::address).collect();
    let gateway = gateway(&addresses, upstream, service);
    for address in addresses.iter().filter(|_| watches) {
        wait_until_up(&gateway, *address, true);
    }
    let idle = Held::by(&gateway).descriptors;
    let traffic = Traffic::start(gateway.address(), CLIENTS, CLIENT_LIMIT);
    traffic.wait_for_more(100);
    let (mut windows, mut times, mut warm) = (Vec::new(), Times::default(), 0);
    for number in 0..kills {
        let at = number % targets.len();
        let (target, from) = (&mut targets[at], Instant::now());
        target.kill();
        if watches {
            wait_until_up(&gateway, addresses[at], false);
            let out = from.elapsed();
            target.start_again();
            let back = timed(|| wait_until_up(&gateway, addresses[at], true));
            times.note("SIGKILL".to_owned(), Some(out), back);
        } else {
            traffic.wait_for_more(20);
            target.start_again();
        }
        traffic.wait_for_more(20);
        windows.push(Window {
            target: addresses[at],
            from,
            until: Instant::now(),
        });
        if number == kills * WARM.0 / WARM.1 {
            warm = Held::by(&gateway).memory;
        }
    }
    let entries = traffic.stop();
    times.tell();
    judge(&gateway, &targets, &entries, &windows, watches);
    // Connections that are kept for later are no loss, but would hide one.
    targets.iter_mut().for_each(Nginx::kill);
    Held::assert_back(&gateway, idle, warm);
}

#[track_caller]
fn judge(
    gateway: &Gateway,
    targets: &[Nginx],
    entries: &[Entry],
    windows: &[Window],
    watches: bool,
) {
    let arrivals = Arrivals::default();
    targets.iter().for_each(|target| read(target, &arrivals));
    println!("{} kills", windows.len());
    Trial {
        entries,
        windows,
        strikes: &[],
        arrivals: &arrivals,
        sends_again: watches,
        log: &gateway.log(),
    }
    .judge();
}

/// Counts what one of them wrote down: `... request: "POST /load/NONCE HTTP/1.1" ...`, with a line each.
fn read(target: &Nginx, arrivals: &Arrivals) {
    let log = fs::read_to_string(target.folder().join("arrived.log")).expect("it wrote one");
    let rewritten = log.lines().filter(|line| line.contains("matches"));
    for line in rewritten {
        let request = line.split("request: \"").nth(1).unwrap_or_default();
        let mut words = request.split([' ', '"']);
        if let (Some(method), Some(target)) = (words.next(), words.next())
            && let Some(nonce) = target.strip_prefix("/load/")
        {
            arrivals.add(method, nonce);
        }
    }
}
