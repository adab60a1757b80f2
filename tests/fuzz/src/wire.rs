//! What parent and child of `--supervised` say to one another, and what the handler of a crash wrote.

use swapgate::fault::report::Report;
use swapgate::supervise::upgrade::Standing;
use swapgate::supervise::wire::{Begin, Said, Told, keep_newest, said};

/// A packet.
pub fn wire(data: &[u8]) {
    if let Some(message) = said(data) {
        if let Said::Crashed(report) = &message {
            shown(report);
        }
        let text = serde_json::to_vec(&message).expect("it can be said");
        assert_eq!(said(&text), Some(message), "said again it is another");
    }
    if let Ok(told) = serde_json::from_slice::<Told>(data) {
        let text = serde_json::to_vec(&told).expect("it can be told");
        let again = serde_json::from_slice::<Told>(&text).ok();
        assert_eq!(again, Some(told), "told again it is another");
    }
    if let Some(report) = Report::parse(data) {
        let mut reports = vec![report; 40];
        keep_newest(&mut reports);
        let begin = Told::Begin(Begin {
            served: u64::MAX,
            workers: Some(usize::MAX),
            reports,
            replaces: None,
            standing: Standing::default(),
        });
        let text = serde_json::to_vec(&begin).expect("it can be told");
        assert!(text.len() <= 64 * 1024, "{} bytes", text.len());
    }
}

fn shown(report: &Report) {
    let text = report.to_string();
    assert!(crate::is_one_line(&text), "{text:?}");
    if let Some((plugin, digest)) = report.culprit() {
        assert!(!plugin.is_empty() && !digest.is_empty());
    }
}
