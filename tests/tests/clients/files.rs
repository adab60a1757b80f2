//! nginx behind the gateway: files, parts of files, and 100 MiB each way.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use swapgate_tests::Nginx;

use crate::world::{KEY_AUTH, WITH_KEY, Way, World};

/// 100 MiB, which is also what a request may have unless the configuration says otherwise.
const LARGE: usize = 100 * 1024 * 1024;

#[test]
fn are_served_with_their_conditions_and_ranges() {
    let nginx = Nginx::files_server();
    fs::write(nginx.files().join("a.txt"), "0123456789").unwrap();
    let world = World::route(nginx.address(), &[KEY_AUTH]);
    for way in Way::ALL {
        let get = |arguments: &[&str]| {
            let arguments = [&["--header", WITH_KEY], arguments].concat();
            world.curl(way, "/a.txt", &arguments).success()
        };
        let whole = get(&[]);
        assert_eq!(
            (whole.status(), &*whole.text()),
            (200, "0123456789"),
            "{way:?}"
        );
        assert_eq!(whole.values("content-type"), ["text/plain"]);
        let part = get(&["--range", "2-4"]);
        assert_eq!((part.status(), &*part.text()), (206, "234"), "{way:?}");
        let tag = format!("if-none-match: {}", whole.values("etag")[0]);
        let unchanged = get(&["--header", &tag]);
        assert_eq!(
            (unchanged.status(), &*unchanged.text()),
            (304, ""),
            "{way:?}"
        );
        let missing = world.curl(way, "/b.txt", &["--header", WITH_KEY]).success();
        assert_eq!(missing.status(), 404, "{way:?}");
        assert_eq!(
            world.curl(way, "/a.txt", &[]).success().status(),
            401,
            "{way:?}"
        );
    }
}

#[test]
fn of_100_mebibytes_come_whole() {
    let nginx = Nginx::files_server();
    let digest = write_large(&nginx.files().join("large"));
    let world = World::route(nginx.address(), &[]);
    for way in Way::ALL {
        let answer = world.curl(way, "/large", &[]).success();
        assert_eq!((answer.status(), answer.version()), (200, way.version()));
        assert!(Sha256::digest(&answer.body)[..] == digest, "{way:?}");
    }
}

#[test]
fn of_100_mebibytes_go_whole() {
    let nginx = Nginx::files_server();
    let world = World::route(nginx.address(), &["{name: pass}"]);
    let file = world.certificates.folder().join("large");
    let digest = write_large(&file);
    for way in Way::MODERN {
        let answer = world
            .curl(way, "/stored", &["--upload-file"])
            .argument(&file)
            .success();
        assert_eq!(
            (answer.status(), answer.version()),
            (201, way.version()),
            "{answer:?}"
        );
        let stored = nginx.files().join("stored");
        assert!(digest_of(&stored) == digest, "{way:?}");
        fs::remove_file(stored).unwrap();
    }
}

/// Writes bytes no two blocks of which are the same, and gives back their digest.
fn write_large(path: &Path) -> Vec<u8> {
    let mut file = File::create(path).unwrap();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut block = vec![0; 64 * 1024];
    for _ in 0..LARGE / block.len() {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).unwrap();
    }
    digest_of(path)
}

fn digest_of(path: &Path) -> Vec<u8> {
    let mut digest = Sha256::new();
    let mut file = File::open(path).unwrap();
    let mut block = vec![0; 64 * 1024];
    loop {
        match file.read(&mut block).unwrap() {
            0 => break,
            read => digest.update(&block[..read]),
        }
    }
    digest.finalize().to_vec()
}
