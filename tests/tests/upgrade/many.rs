//! Many upgrades in a row under load, some of which fail: nothing is refused, nothing is lost, nothing is left.

use super::clients::Clients;
use super::world::{World, descriptors};
use swapgate_tests::process;

/// How many upgrades there are, unless `SWAPGATE_UPGRADES` says otherwise: without a supervising process, and with one, which
/// is there for all of them.
const UPGRADES: usize = 12;
const SUPERVISED: usize = 20;

fn upgrades(supervised: bool) -> usize {
    let wanted = std::env::var("SWAPGATE_UPGRADES").ok();
    let wanted = wanted.and_then(|count| count.parse().ok());
    wanted.unwrap_or(if supervised { SUPERVISED } else { UPGRADES })
}

/// What is said of what is put in the place of the executable, and how it is put there.
type Failure = (&'static str, fn(&World));

fn failures() -> [Failure; 4] {
    [
        ("exit code 1", |world| world.put_script("exit 1")),
        ("SIGABRT", |world| world.put_script("kill -ABRT $$")),
        ("cannot be started", |world| {
            world.put_file("no program", 0o755);
        }),
        ("cannot be started", |world| {
            world.put_file("#!/bin/sh", 0o644);
        }),
    ]
}

fn many(supervised: bool) {
    let world = World::start(supervised, "drain: {shutdown: 10s}");
    let clients = Clients::start(&world);
    clients.wait_for_more(50);
    let mut open = None;
    let mut failures = failures().into_iter().cycle();
    let upgrades = upgrades(supervised);
    for upgrade in 0..upgrades {
        // One of ten fails, and one of the first four, so that a short run has one.
        if upgrade % 10 == 3 {
            let (why, put) = failures.next().expect("a cycle");
            put(&world);
            world.is_refused(why);
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
