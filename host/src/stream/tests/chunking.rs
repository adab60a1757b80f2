//! Whatever pieces a body comes in, what goes out is the same.

use proptest::prelude::*;
use swapgate_abi as abi;

use super::{Drive, Plugin, Verdict, bytes};
use crate::stream::Need;

/// Replaces a word, also where it is cut in two: what may be the beginning of one is held.
fn replace<'a>(word: &'a [u8], by: &'a [u8]) -> Plugin<'a> {
    Box::new(move |window, flags| {
        let text = bytes(window);
        let end = flags & abi::SG_BODY_END != 0;
        let mut out = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if rest.starts_with(word) {
                out.extend_from_slice(by);
                at += word.len();
            } else if !end && word.starts_with(rest) {
                break;
            } else {
                out.push(text[at]);
                at += 1;
            }
        }
        let held = text.len() - at;
        out.extend_from_slice(&text[at..]);
        window.replace(&out).unwrap();
        window.hold(held as u64).unwrap();
        Verdict::Continue
    })
}

/// Masks a field of a JSON document, which it needs as a whole.
fn mask<'a>(field: &'a str) -> Plugin<'a> {
    Box::new(move |window, flags| {
        if flags & abi::SG_BODY_END == 0 {
            return Verdict::Buffer;
        }
        let mut json: serde_json::Value = serde_json::from_slice(&bytes(window)).unwrap();
        json[field] = "***".into();
        window.replace(json.to_string().as_bytes()).unwrap();
        Verdict::Continue
    })
}

/// Adds a line at the end, without looking at the rest.
fn sign<'a>() -> Plugin<'a> {
    Box::new(|window, flags| {
        if flags & abi::SG_BODY_END != 0 {
            window.append(b"--end").unwrap();
        }
        Verdict::Continue
    })
}

fn chunked(body: &[u8], cuts: &[usize], plugins: Vec<(Need, Plugin<'_>)>) -> Vec<u8> {
    let mut drive = Drive::new(plugins);
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    cuts.sort_unstable();
    let mut from = 0;
    for cut in cuts.into_iter().chain([body.len()]) {
        drive.feed(&body[from..cut]).unwrap();
        from = cut;
    }
    drive.end(None).unwrap();
    assert_eq!(drive.pipeline.kept(), 0);
    drive.out
}

proptest! {
    #[test]
    fn a_word_is_replaced_across_borders(body in "[abc]{0,40}", cuts in prop::collection::vec(0usize..100, 0..12)) {
        let plugins = || vec![
            (Need::Transform, replace(b"abca", b"<>")),
            (Need::Observe, Box::new(|_: &mut _, _| Verdict::Continue) as Plugin<'_>),
            (Need::Transform, replace(b">b", b"")),
            (Need::Transform, sign()),
        ];
        let expected = body.replace("abca", "<>").replace(">b", "") + "--end";
        let got = chunked(body.as_bytes(), &cuts, plugins());
        prop_assert_eq!(String::from_utf8(got).unwrap(), expected);
    }

    #[test]
    fn a_field_is_masked_in_the_whole(text in "[a-z\"\\\\ é]{0,30}", cuts in prop::collection::vec(0usize..100, 0..12)) {
        let body = serde_json::json!({"card": text, "name": text}).to_string();
        let expected = serde_json::json!({"card": "***", "name": text}).to_string() + "--end";
        let plugins = vec![(Need::Buffer, mask("card")), (Need::Transform, sign())];
        let got = chunked(body.as_bytes(), &cuts, plugins);
        prop_assert_eq!(String::from_utf8(got).unwrap(), expected);
    }
}
