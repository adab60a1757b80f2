//! Many swaps: nothing fails, nothing is mixed, nothing piles up.

use swapgate_tests::{process, wait_until};

use crate::world::{World, c_example, c_plugin, prepared, stamp, stamped};

#[test]
fn two_hundred_swaps_between_two_versions() {
    const SWAPS: usize = 200;
    let world = stamped("even");
    let versions = [stamp("even"), stamp("odd")];
    let load = world.load();
    for swap in 1..=SWAPS {
        let text = if swap % 2 == 0 { "even" } else { "odd" };
        let bytes = versions[swap % 2].bytes();
        match swap % 3 {
            0 => world.gateway.plugins().copy(bytes, "libstamp.so"),
            1 => world.gateway.plugins().rename(bytes, "libstamp.so"),
            _ => world.gateway.plugins().hard_link(bytes, "libstamp.so"),
        }
        wait_until(&format!("swap {swap} to {text}"), || world.stamp() == text);
        // The record of a soak would be long.
        drop(world.upstream.take_requests());
    }
    let outcome = load.stop_without_failure();
    assert!(outcome.answered > SWAPS as u64, "{outcome:?}");
    assert_eq!(world.mapped().len(), 2, "{:#?}", world.mapped());
    let images = world.images("stamp");
    assert_eq!(images.len(), 2, "{images:#?}");
    assert!(images.iter().all(|image| image["door"] == "rust"));
}

#[test]
fn fifty_distinct_files_cost_at_most_100_kb_each() {
    const FILES: u64 = 50;
    const FIRST: u64 = 15;
    let world = stamped("file-0");
    // The first swaps also pay for what is made once: threads, buffers, arenas.
    for file in 1..=FIRST {
        swap_to(&world, file);
    }
    let before = process::anonymous_bytes(world.gateway.pid());
    for file in FIRST + 1..=FIRST + FILES {
        swap_to(&world, file);
    }
    let after = process::anonymous_bytes(world.gateway.pid());
    let each = after.saturating_sub(before) / FILES;
    assert_eq!(world.mapped().len() as u64, FILES + FIRST + 1);
    assert!(
        each <= 100_000,
        "{each} bytes each, from {before} to {after}"
    );
}

fn swap_to(world: &World, file: u64) {
    let text = format!("file-{file}");
    world
        .gateway
        .plugins()
        .rename(stamp(&text).bytes(), "libstamp.so");
    wait_until(&format!("the swap to {text}"), || world.stamp() == text);
    drop(world.upstream.take_requests());
}

#[test]
fn a_c_plugin_is_really_unmapped() {
    let (builder, upstream) = prepared("", "{name: stamp-c}");
    let plain = c_plugin(&c_example("stamp.c"));
    let file = tempfile::NamedTempFile::new().expect("the system has a temporary folder");
    std::fs::write(file.path(), plain).expect("the file is ours");
    let version =
        |number: u32| swapgate_tests::Patched::read(file.path()).stamp(&format!("c-{number}"));
    let builder = builder.plugin_bytes("stamp.so", version(0).bytes());
    let world = World::start(builder, upstream);
    let load = world.load();
    for number in 1..=20 {
        world
            .gateway
            .plugins()
            .rename(version(number).bytes(), "stamp.so");
        let text = format!("c-{number}");
        wait_until(&format!("the swap to {text}"), || world.stamp() == text);
    }
    load.stop_without_failure();
    wait_until("one image to be left", || world.mapped().len() == 1);
    let active = world.wait_for_image("stamp-c", "the last one to be active", |image| {
        image["state"] == "active"
    });
    assert_eq!(active["door"], "c");
    world.wait_for_stamp("c-20");
}
