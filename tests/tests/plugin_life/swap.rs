//! A new build replaces the old one while clients send requests, in every way in which files are replaced.

use swapgate_tests::PluginDir;

use crate::world::{stamp, stamped};

/// Replaces the plugin twice under load.
#[track_caller]
fn check(put: impl Fn(&PluginDir, &[u8], &str)) {
    let world = stamped("first");
    let load = world.load();
    load.wait_for_more(20);
    for text in ["second", "third"] {
        put(world.gateway.plugins(), stamp(text).bytes(), text);
        world.wait_for_stamp(text);
        load.wait_for_more(20);
    }
    load.stop_without_failure();
}

#[test]
fn cp_over_the_file_in_place() {
    check(|plugins, bytes, _| plugins.copy(bytes, "libstamp.so"));
}

#[test]
fn mv_over_the_file() {
    check(|plugins, bytes, _| plugins.rename(bytes, "libstamp.so"));
}

#[test]
fn a_hard_link_in_the_place_of_the_file() {
    check(|plugins, bytes, _| plugins.hard_link(bytes, "libstamp.so"));
}

#[test]
fn a_link_swap_as_kubernetes_does_it() {
    check(|plugins, bytes, revision| {
        if !plugins.file("..data").exists() {
            // The first set comes where a plain file was; its image keeps serving meanwhile.
            plugins.remove("libstamp.so");
        }
        plugins.swap_link(&[("libstamp.so", bytes)], revision);
    });
}

#[test]
fn a_copy_that_keeps_the_old_times() {
    // `cp -p` and rsync bring the modification time of the source along, here one from long ago.
    check(|plugins, bytes, _| {
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(86_400);
        plugins.copy(bytes, "libstamp.so");
        let file = std::fs::File::options()
            .write(true)
            .open(plugins.file("libstamp.so"));
        file.and_then(|file| file.set_modified(long_ago))
            .expect("the file is ours");
    });
}

#[test]
fn a_file_written_slowly_is_taken_only_when_it_is_whole() {
    use std::io::Write;
    let world = stamped("first");
    let load = world.load();
    let bytes = stamp("second").bytes().to_vec();
    let name = "libstamp.so";
    let mut file = std::fs::File::create(world.gateway.plugins().file(name)).expect("ours");
    for piece in bytes.chunks(bytes.len() / 20 + 1) {
        file.write_all(piece).expect("the disk has room");
        load.wait_for_more(10);
    }
    drop(file);
    world.wait_for_stamp("second");
    load.stop_without_failure();
}
