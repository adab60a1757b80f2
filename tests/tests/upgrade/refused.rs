//! What keeps a new process from taking over, and what is said of it.

use super::world::World;

#[test]
fn a_new_process_that_fails_leaves_the_old_one_serving() {
    for supervised in [false, true] {
        let world = World::start(supervised, "drain: {upgrade: 2s}");
        world.put_script("exit 3");
        world.is_refused("the new process ended with exit code 3");
        world.put_script("exec sleep 1000");
        world.is_refused("the new process was not ready within 2s");
        world.put_file("no program", 0o755);
        world.is_refused("cannot be started");
        std::fs::remove_file(world.executable()).expect("the file is ours");
        world.is_refused("No such file or directory");
        world.put_gateway();
        world.is_alone();
        let _ = world.upgrades();
        world.is_alone();
    }
}
