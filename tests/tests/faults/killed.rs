//! Real nginx targets that are killed under load, one after the other, and started again.

use std::fs;
use std::net::SocketAddr;
use std::time::Instant;

use swapgate_tests::{Arrivals, Gateway, Nginx, Traffic};

use super::judge::{Trial, Window};
use super::trial::{BOUND, Held, SENDS_AGAIN, Times, WATCHED, gateway, timed, wait_until_up};
use super::world::CLIENT_LIMIT;

const KILLS: usize = 60;
const WARM: usize = 9;
const CLIENTS: usize = 8;

/// Answers as the recording target does, and writes each request down when its head has come: what is written down at its
/// end would not be there of those that were in flight.
const BLOCK: &str = "\
    error_log @folder@/arrived.log notice;
    rewrite_log on;
    client_max_body_size 0;
    location = /healthz { return 200 ok; }
    location /load/ {
        rewrite ^/load/ /counted break;
        return 200 \"$request_method $http_x_nonce $swapgate_length\\nthe rest of the answer\\n\";
    }
    set $swapgate_length $content_length;
    if ($content_length = '') { set $swapgate_length 0; }
";

#[test]
fn nginx_killed_under_load() {
    let mut targets: Vec<Nginx> = (0..3).map(|_| Nginx::server(BLOCK)).collect();
    let addresses: Vec<SocketAddr> = targets.iter().map(Nginx::address).collect();
    let gateway = gateway(&addresses, WATCHED, SENDS_AGAIN);
    for address in &addresses {
        wait_until_up(&gateway, *address, true);
    }
    let idle = Held::by(&gateway).descriptors;
    let traffic = Traffic::start(gateway.address(), CLIENTS, CLIENT_LIMIT);
    traffic.wait_for_more(100);
    let (mut windows, mut times, mut warm) = (Vec::new(), Times::default(), 0);
    for number in 0..KILLS {
        let at = number % targets.len();
        windows.push(kill(&gateway, &mut targets[at], &mut times));
        if number == WARM {
            warm = Held::by(&gateway).memory;
        }
        traffic.wait_for_more(20);
    }
    let entries = traffic.stop();
    times.tell();
    let arrivals = Arrivals::default();
    targets.iter().for_each(|target| read(target, &arrivals));
    Trial {
        entries: &entries,
        windows: &windows,
        strikes: &[],
        arrivals: &arrivals,
        sends_again: true,
        log: &gateway.log(),
        bound: BOUND,
    }
    .judge();
    // Connections that are kept for later are no loss, but would hide one.
    targets.iter_mut().for_each(Nginx::kill);
    Held::assert_back(&gateway, idle, warm);
}

/// Kills one, and starts it again once everybody knows.
fn kill(gateway: &Gateway, target: &mut Nginx, times: &mut Times) -> Window {
    let (address, from) = (target.address(), Instant::now());
    target.kill();
    let out = timed(|| wait_until_up(gateway, address, false));
    target.start_again();
    let back = timed(|| wait_until_up(gateway, address, true));
    times.note("SIGKILL".to_owned(), Some(out), back);
    Window {
        target: address,
        from,
        until: Instant::now(),
    }
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
