//! `quarantine.json`, which anybody may have written to: what it says counts or is put aside, and it is never lost.

use std::fs;

use swapgate::fault::quarantine::{Entry, Quarantine};
use swapgate::fault::report::Report;

const DIGEST: &str = "00ff";

/// What stands in the file.
pub fn quarantine(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("quarantine.json");
    fs::write(&path, data).expect("it can be written");
    let before = entries(&Quarantine::open(folder.path()));
    let mut open = Quarantine::open(folder.path());
    for (digest, entry) in &before {
        assert_eq!(open.holds(digest), entry.held.as_deref());
    }
    open.crashed(
        &Report {
            plugin: Some("demo@1.0.0".to_owned()),
            digest: Some(DIGEST.to_owned()),
            ..Report::default()
        },
        3,
    );
    let after = entries(&open);
    assert_eq!(
        after,
        entries(&Quarantine::open(folder.path())),
        "read again"
    );
    let is_other = |(digest, _): &&(String, Entry)| digest != DIGEST;
    assert!(
        before
            .iter()
            .filter(is_other)
            .eq(after.iter().filter(is_other))
    );
    let strange = serde_json::from_slice::<serde_json::Value>(data).is_err();
    if strange {
        let files = fs::read_dir(folder.path()).expect("the folder");
        let kept = files.filter_map(|file| fs::read(file.ok()?.path()).ok());
        assert!(
            kept.into_iter().any(|text| text == data),
            "what it said is lost"
        );
    }
}

fn entries(quarantine: &Quarantine) -> Vec<(String, Entry)> {
    let entries = quarantine.entries();
    entries
        .map(|(digest, entry)| (digest.to_owned(), entry.clone()))
        .collect()
}
