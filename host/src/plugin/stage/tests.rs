use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::plugin::scan::{Scan, scan};
use crate::plugin::testing::private_folder;

struct Fixture {
    folder: tempfile::TempDir,
    stage: Stage,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        private_folder(&folder.path().join("plugins.d"));
        let stage = Stage::prepare(&folder.path().join("state")).expect("a state folder");
        Self { folder, stage }
    }

    fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins.d")
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.plugins().join(name);
        fs::write(&path, text).expect("write");
        mode(&path, 0o644);
        path
    }

    fn scan(&self) -> Scan {
        scan(&self.plugins(), Permissions::Strict).expect("a scan")
    }

    fn only(&self) -> FolderEntry {
        let mut scan = self.scan();
        assert_eq!(scan.refused, []);
        assert_eq!(scan.entries.len(), 1);
        scan.entries.remove(0)
    }

    #[track_caller]
    fn refused(&self, expected: &str) {
        let scan = self.scan();
        assert_eq!(scan.entries, []);
        let texts: Vec<String> = scan
            .refused
            .iter()
            .map(|refusal| refusal.reason.to_string())
            .collect();
        assert_eq!(texts, [expected]);
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn the_copy_is_private_read_only_and_named_by_its_digest() {
    let fixture = Fixture::new();
    let path = fixture.write("a.so", "abc");
    let staged = fixture
        .stage
        .stage(&fixture.only(), Permissions::Strict)
        .expect("staged");
    assert_eq!(
        staged.digest.to_string(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(fs::read(&staged.path).expect("the copy"), b"abc");
    let metadata = fs::metadata(&staged.path).expect("the copy");
    assert_eq!(metadata.mode() & 0o7777, 0o500);
    assert_ne!(metadata.ino(), fs::metadata(&path).expect("the file").ino());
    assert!(staged.path.ends_with("a.so"));

    // The same bytes again: the same copy.
    fs::rename(&path, fixture.plugins().join("b.so")).expect("rename");
    let again = fixture
        .stage
        .stage(&fixture.only(), Permissions::Strict)
        .expect("staged");
    assert_eq!(again.path, staged.path);
    let images = fixture.folder.path().join("state/images");
    assert_eq!(fs::read_dir(images).expect("the folder").count(), 1);
}

#[test]
fn other_files_are_ignored() {
    let fixture = Fixture::new();
    for name in ["README.md", ".a.so", ".a.so.swp", "a.so.tmp", "a.so~"] {
        fixture.write(name, "x");
    }
    let scan = fixture.scan();
    assert_eq!((scan.entries, scan.refused), (Vec::new(), Vec::new()));
}

#[test]
fn files_and_folders_others_may_write_to() {
    let fixture = Fixture::new();
    let path = fixture.write("a.so", "abc");
    mode(&path, 0o666);
    fixture.refused("the file is writable by everybody (mode 0666); run chmod go-w on it");
    mode(&path, 0o664);
    fixture.refused("the file is writable by its group (mode 0664); run chmod go-w on it");
    let relaxed = scan(&fixture.plugins(), Permissions::Relaxed).expect("a scan");
    assert_eq!(relaxed.entries.len(), 1);
    mode(&path, 0o644);
    mode(&fixture.plugins(), 0o777);
    fixture.refused(&format!(
        "its folder {} is writable by everybody (mode 0777); run chmod go-w on the folder",
        fixture
            .plugins()
            .canonicalize()
            .expect("a folder")
            .display()
    ));
    mode(&fixture.plugins(), 0o755);
    fixture.only();
}

#[test]
fn a_foreign_owner_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root can give a file away.
    }
    let fixture = Fixture::new();
    let path = fixture.write("a.so", "abc");
    std::os::unix::fs::chown(&path, Some(12345), None).expect("chown");
    fixture.refused(
        "it belongs to user 12345, but plugin files must belong to the gateway's user or to root; change its owner",
    );
}

#[test]
fn links_stay_inside_the_folder() {
    let fixture = Fixture::new();
    // As Kubernetes does it: a.so -> ..data/a.so, ..data -> ..2024
    let version = fixture.plugins().join("..2024");
    private_folder(&version);
    fixture.write("..2024/a.so", "abc");
    symlink("..2024", fixture.plugins().join("..data")).expect("a link");
    symlink("..data/a.so", fixture.plugins().join("a.so")).expect("a link");
    let entry = fixture.only();
    assert!(entry.resolved.ends_with("..2024/a.so"));
    fixture
        .stage
        .stage(&entry, Permissions::Strict)
        .expect("staged");
    fs::remove_file(fixture.plugins().join("a.so")).expect("remove");

    let outside = fixture
        .folder
        .path()
        .canonicalize()
        .expect("a folder")
        .join("outside.so");
    fs::write(&outside, "abc").expect("write");
    symlink(&outside, fixture.plugins().join("b.so")).expect("a link");
    fixture.refused(&format!(
        "the link leads out of the plugins folder, to {}; copy the file into the folder",
        outside.display()
    ));
    fs::remove_file(&outside).expect("remove");
    fixture.refused(
        "the link leads nowhere (No such file or directory (os error 2)); mend or remove it",
    );
    fs::remove_file(fixture.plugins().join("b.so")).expect("remove");
    fs::create_dir(fixture.plugins().join("c.so")).expect("a folder");
    fixture.refused(
        "it is not a regular file; put the plugin itself there, or a link to it inside the folder",
    );
}

#[test]
fn a_file_that_changes_is_not_taken() {
    let fixture = Fixture::new();
    let path = fixture.write("a.so", "abc");
    let entry = fixture.only();
    // Replaced between scan and copy: what the name leads to now is copied, which is fine.
    fs::remove_file(&path).expect("remove");
    symlink("/etc/passwd", &path).expect("a link");
    let refusal = fixture
        .stage
        .stage(&entry, Permissions::Strict)
        .expect_err("refused");
    assert_eq!(*refusal.reason, Reason::Changing);
}

#[test]
fn a_file_overwritten_while_it_is_read_never_gives_a_mixed_copy() {
    let fixture = Fixture::new();
    let path = fixture.write("a.so", &"a".repeat(4 << 20));
    let entry = fixture.only();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::os::unix::fs::FileExt;
            let file = OpenOptions::new().write(true).open(&path).expect("open");
            for letter in (b'a'..=b'z').cycle() {
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                file.write_all_at(&vec![letter; 4 << 20], 0).expect("write");
            }
        });
        for _ in 0..5 {
            if let Ok(staged) = fixture.stage.stage(&entry, Permissions::Strict) {
                let copy = fs::read(&staged.path).expect("the copy");
                assert!(copy.iter().all(|byte| *byte == copy[0]));
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_file_that_grows_is_not_followed_for_ever() {
    let fixture = Fixture::new();
    let mut zeros = File::open("/dev/zero").expect("zeros");
    let aside = Aside::write(fixture.folder.path().join("aside"), &mut zeros, 10).expect("copies");
    assert_eq!(aside.bytes, 11, "its length gives it away");
}

#[test]
fn a_state_folder_others_may_write_to_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    drop(Stage::prepare(&state).expect("made"));
    assert_eq!(fs::metadata(&state).expect("it").mode() & 0o7777, 0o700);
    mode(&state, 0o770);
    let refusal = Stage::prepare(&state).expect_err("refused");
    assert!(matches!(
        *refusal.reason,
        Reason::WritableFolder { mode: 0o770, .. }
    ));
}

#[test]
fn what_an_earlier_run_left_is_not_used() {
    let fixture = Fixture::new();
    fixture.write("a.so", "abc");
    let entry = fixture.only();
    let staged = |stage: &Stage| {
        let staged = stage.stage(&entry, Permissions::Strict);
        staged.expect("staged").path
    };
    let first = staged(&fixture.stage);
    let other = Stage::prepare(&fixture.folder.path().join("state")).expect("another run");
    assert_ne!(staged(&other), first);
}

#[test]
fn leftovers_of_earlier_runs_go() {
    let fixture = Fixture::new();
    fixture.write("a.so", "abc");
    let staged = fixture
        .stage
        .stage(&fixture.only(), Permissions::Strict)
        .expect("staged");
    let images = fixture.folder.path().join("state/images");
    let runs = fixture.folder.path().join("state/runs");
    // The file of a run that nobody holds the lock of.
    fs::write(runs.join("4194999"), "").expect("write");
    let dead = images.join("00ff/4194999");
    private_folder(&dead);
    fs::write(dead.join("old.so"), "old").expect("write");
    fs::write(images.join("aside-4194999-3"), "old").expect("write");
    Stage::prepare(&fixture.folder.path().join("state")).expect("prepares again");
    assert!(!dead.exists());
    let left = fs::read_dir(&runs).expect("the folder").count();
    assert_eq!(left, 1, "that of the fixture's own run");
    assert!(!images.join("aside-4194999-3").exists());
    assert!(staged.path.exists(), "what this run has staged stays");
    fixture.stage.forget(&staged.path);
    assert_eq!(fs::read_dir(images).expect("the folder").count(), 0);
}
