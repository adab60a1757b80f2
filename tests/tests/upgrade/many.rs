//! Many upgrades in a row under load, some of which crash: nothing is refused, nothing is lost, nothing is left.

use super::clients::Clients;
use super::world::{World, descriptors};
use swapgate_tests::{artifacts, process};

/// How many upgrades there are, unless `SWAPGATE_UPGRADES` says otherwise: without a supervising process, and with one, which
/// is there for all of them.
const UPGRADES: usize = 12;
const SUPERVISED: usize = 20;

fn upgrades(supervised: bool) -> usize {
    let wanted = std::env::var("SWAPGATE_UPGRADES").ok();
    let wanted = wanted.and_then(|count| count.parse().ok());
    wanted.unwrap_or(if supervised { SUPERVISED } else { UPGRADES })
}

/// Where the real gateway crashes as a new process: the system call of its first thread, at which of its times, and by which
/// signal. All lie before its turn, and do not depend on where libraries are found. The first one is that of a short run.
const CRASHES: [(&str, usize, &str); 10] = [
    // The first worker gets its thread.
    ("clone3", 3, "SIGABRT"),
    // The system loads it.
    ("mmap", 1, "SIGABRT"),
    // It says what it is.
    ("sendmsg", 1, "SIGABRT"),
    // It has some of the sockets.
    ("recvmsg", 4, "SIGABRT"),
    // It has its first threads.
    ("clone3", 2, "SIGABRT"),
    // It has its runtime.
    ("epoll_create1", 1, "SIGKILL"),
    // It has looked into the folders.
    ("getdents64", 4, "SIGABRT"),
    // It begins to watch its files.
    ("inotify_init1", 1, "SIGKILL"),
    // All but its last threads run.
    ("clone3", 6, "SIGABRT"),
    // It has said that it is ready.
    ("sendmsg", 3, "SIGABRT"),
];

/// Puts the real gateway in the place of the executable, and has it crash there. The tracer is a child of it, so that it is
/// itself the process that the serving one started.
fn put_crashing(world: &World, (call, nth, signal): (&str, usize, &str)) {
    world.put_script(&format!(
        "exec strace -D -qqq -o /dev/null -e trace={call} -e inject={call}:signal={signal}:when={nth} {} \"$@\"",
        artifacts::gateway().display()
    ));
}

fn many(supervised: bool) {
    let world = World::start(supervised, "drain: {shutdown: 10s}");
    let clients = Clients::start(&world);
    clients.wait_for_more(50);
    let mut open = None;
    let mut crashes = CRASHES.into_iter().cycle();
    let upgrades = upgrades(supervised);
    for upgrade in 0..upgrades {
        // One of ten crashes, and one of the first four, so that a short run has one.
        if upgrade % 10 == 3 {
            let crash = crashes.next().expect("a cycle");
            put_crashing(&world, crash);
            world.is_refused(crash.2);
            world.put_gateway();
        } else {
            let _ = world.upgrades();
        }
        clients.wait_for_more(50);
        assert_eq!(clients.lost(), Vec::<String>::new(), "upgrade {upgrade}");
        if upgrade == 1 {
            open = Some(process::descriptors(super::world::pid(
                world.gateway.serving(),
            )));
        }
    }
    let answered = clients.stop_without_loss();
    println!("{answered} requests were answered over {upgrades} upgrades");
    world.is_alone();
    // Connections come and go; what is counted is that nothing is left of each upgrade.
    let most = open.expect("two upgrades") + 8;
    let _ = descriptors(world.gateway.serving(), most);
    if supervised {
        let parent = u32::try_from(world.gateway.pid().as_raw_nonzero().get()).expect("a number");
        let _ = descriptors(parent, 40);
    }
}

#[test]
fn nothing_is_refused_and_nothing_is_lost() {
    many(false);
}

#[test]
fn nor_under_supervision() {
    many(true);
}
