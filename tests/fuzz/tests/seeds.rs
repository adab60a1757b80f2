//! Every seed goes through its target, and targets, seeds and programs are the same list.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use swapgate_fuzz::TARGETS;

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names in a folder, without their endings.
fn names(folder: &Path) -> BTreeSet<String> {
    let files =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let stem = |path: PathBuf| {
        path.file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    };
    files
        .filter_map(|file| stem(file.expect("a file").path()))
        .collect()
}

#[test]
fn each_target_has_a_program_and_seeds() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&here("libfuzzer/fuzz_targets")), targets);
    assert_eq!(names(&here("seeds")), targets);
}

#[test]
fn every_seed_is_taken() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let folder = here("seeds").join(name);
        let mut count = 0;
        for file in fs::read_dir(&folder).expect("the seeds") {
            let path = file.expect("a file").path();
            let seed = fs::read(&path).expect("the seed");
            if std::panic::catch_unwind(|| target(&seed)).is_err() {
                broken.push(path);
            }
            count += 1;
        }
        assert!(count > 0, "{name} has no seed");
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn nothing_at_all_is_taken_too() {
    for (name, target) in TARGETS {
        println!("{name}");
        target(b"");
        target(&[0]);
        target(&[0xff; 64]);
    }
}
