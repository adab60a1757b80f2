//! Who is called when.

use std::cell::RefCell;

use http::HeaderMap;
use swapgate_abi as abi;

use super::{Drive, Plugin, bytes, spec};
use crate::stream::{Need, Overflow, Spec, Step, Verdict};

const FIRST: u32 = abi::SG_BODY_FIRST;
const END: u32 = abi::SG_BODY_END;

type Calls = RefCell<Vec<(usize, String, u32)>>;

/// Writes down what it sees and answers what it is told to, CONTINUE when that is used up.
fn noting<'a>(calls: &'a Calls, at: usize, answers: &'a [Verdict]) -> Plugin<'a> {
    let mut answers = answers.iter().copied();
    Box::new(move |window, flags| {
        let text = String::from_utf8(bytes(window)).unwrap();
        calls.borrow_mut().push((at, text, flags));
        answers.next().unwrap_or(Verdict::Continue)
    })
}

#[track_caller]
fn check(calls: &Calls, expected: &[(usize, &str, u32)]) {
    let calls = calls.take();
    let seen: Vec<(usize, &str, u32)> = calls
        .iter()
        .map(|(at, text, flags)| (*at, &**text, *flags))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn the_end_comes_once_and_also_alone() {
    let calls = Calls::default();
    let mut drive = Drive::new(vec![
        (Need::Observe, noting(&calls, 0, &[])),
        (Need::None, noting(&calls, 1, &[])),
        (Need::Transform, noting(&calls, 2, &[])),
    ]);
    assert_eq!(drive.pipeline.need(), Need::Transform);
    assert!(matches!(drive.feed(b"ab"), Ok(Step::More)));
    assert!(matches!(drive.feed(b""), Ok(Step::More)));
    check(&calls, &[(0, "ab", FIRST), (2, "ab", FIRST)]);
    assert!(matches!(drive.end(None), Ok(Step::Over)));
    drive.pipeline.end(None);
    assert!(matches!(drive.run(), Ok(Step::Over)));
    check(&calls, &[(0, "", END), (2, "", END)]);
    assert_eq!(drive.out, b"ab");
}

#[test]
fn an_empty_body_has_an_end() {
    let calls = Calls::default();
    let mut drive = Drive::new(vec![(Need::Observe, noting(&calls, 0, &[]))]);
    assert!(matches!(drive.end(None), Ok(Step::Over)));
    check(&calls, &[(0, "", FIRST | END)]);
    assert_eq!(drive.pipeline.known_len(), Some(0));
}

#[test]
fn what_is_kept_is_seen_again_and_goes_on_at_once() {
    let calls = Calls::default();
    let buffers = [Verdict::Buffer, Verdict::Buffer];
    let mut drive = Drive::new(vec![
        (Need::Buffer, noting(&calls, 0, &buffers)),
        (Need::Observe, noting(&calls, 1, &[])),
    ]);
    drive.feed(b"a").unwrap();
    drive.feed(b"b").unwrap();
    assert_eq!(
        (drive.pipeline.kept(), drive.pipeline.known_len()),
        (2, None)
    );
    drive.pipeline.end(None);
    while let Step::Call(at, hook) = drive.pipeline.step() {
        drive.call(at, hook).unwrap();
        if at == 1 {
            break;
        }
    }
    assert_eq!(drive.pipeline.known_len(), Some(2), "before any of it left");
    drive.run().unwrap();
    check(
        &calls,
        &[
            (0, "a", FIRST),
            (0, "ab", 0),
            (0, "ab", END),
            (1, "ab", FIRST | END),
        ],
    );
    assert_eq!(drive.out, b"ab");
}

#[test]
fn who_waits_stops_everything() {
    let calls = Calls::default();
    let mut drive = Drive::new(vec![
        (Need::Transform, noting(&calls, 0, &[])),
        (Need::Transform, noting(&calls, 1, &[Verdict::Pending])),
    ]);
    assert!(matches!(drive.feed(b"ab"), Ok(Step::Parked)));
    assert!(matches!(drive.run(), Ok(Step::Parked)));
    assert_eq!(drive.pipeline.running().map(|(at, _)| at), Some(1));
    check(&calls, &[(0, "ab", FIRST), (1, "ab", FIRST)]);
    // The event comes: the same window, and another round of waiting.
    drive.pipeline.settle(Verdict::Pending).unwrap();
    assert!(matches!(drive.run(), Ok(Step::Parked)));
    drive.pipeline.settle(Verdict::Continue).unwrap();
    assert!(matches!(drive.run(), Ok(Step::More)));
    assert!(matches!(drive.end(None), Ok(Step::Over)));
    check(&calls, &[(0, "", END), (1, "", END)]);
    assert_eq!(drive.out, b"ab");
}

#[test]
fn who_fails_leaves_its_window_as_it_was() {
    let mut drive = Drive::new(vec![
        (
            Need::Transform,
            Box::new(|window: &mut crate::stream::Window, _| {
                window.replace(b"broken").unwrap();
                Verdict::Out
            }) as Plugin<'_>,
        ),
        (
            Need::Transform,
            Box::new(|window: &mut crate::stream::Window, _| {
                window.append(b".").unwrap();
                Verdict::Continue
            }),
        ),
    ]);
    drive.feed(b"ab").unwrap();
    drive.feed(b"cd").unwrap();
    drive.pipeline.take_out(1);
    drive.feed(b"e").unwrap();
    assert!(matches!(drive.end(None), Ok(Step::Over)));
    assert_eq!(drive.out, b"ab.cd.e");
}

#[test]
fn who_is_taken_out_while_it_waits_holds_nobody_up() {
    let calls = Calls::default();
    let mut drive = Drive::new(vec![(
        Need::Buffer,
        noting(&calls, 0, &[Verdict::Buffer, Verdict::Pending]),
    )]);
    drive.feed(b"ab").unwrap();
    assert!(matches!(drive.end(None), Ok(Step::Parked)));
    drive.pipeline.take_out(0);
    assert!(matches!(drive.run(), Ok(Step::Over)));
    assert_eq!(drive.out, b"ab");
}

#[test]
fn nobody_keeps_more_than_it_may() {
    let small = |at, need| Spec {
        keep: 3,
        ..spec(at, need)
    };
    let expected = Err(Overflow { at: 0, limit: 3 });
    let calls = Calls::default();
    let buffers = noting(&calls, 0, &[Verdict::Buffer, Verdict::Buffer]);
    let mut drive = Drive::with(vec![small(0, Need::Buffer)], vec![buffers]);
    assert!(drive.feed(b"abc").is_ok());
    assert_eq!(drive.feed(b"d").map(|_| ()), expected);
    let holds: Plugin<'_> = Box::new(|window, _| {
        window.hold(window.len()).unwrap();
        Verdict::Continue
    });
    let mut drive = Drive::with(vec![small(0, Need::Transform)], vec![holds]);
    assert!(drive.feed(b"abc").is_ok());
    assert_eq!(drive.feed(b"d").map(|_| ()), expected);
}

#[test]
fn only_who_said_so_may_buffer_and_not_at_the_end() {
    let mut drive = Drive::new(vec![
        (
            Need::Transform,
            Box::new(|_: &mut _, _| Verdict::Continue) as Plugin<'_>,
        ),
        (Need::Buffer, Box::new(|_, _| Verdict::Continue)),
    ]);
    let mut may = Vec::new();
    drive.pipeline.feed("a".into());
    for _ in 0..2 {
        if let Step::Call(at, hook) = drive.pipeline.step() {
            may.push(drive.pipeline.may_buffer());
            drive.call(at, hook).unwrap();
        }
    }
    drive.run().unwrap();
    drive.pipeline.end(None);
    for _ in 0..2 {
        if let Step::Call(at, hook) = drive.pipeline.step() {
            may.push(drive.pipeline.may_buffer());
            drive.call(at, hook).unwrap();
        }
    }
    assert_eq!(may, [false, true, false, false]);
}

#[test]
fn trailers_come_after_everything() {
    let calls = Calls::default();
    let both = Spec {
        trailers: true,
        ..spec(0, Need::Observe)
    };
    let only = Spec {
        trailers: true,
        body: false,
        ..spec(1, Need::Observe)
    };
    let plugins = || vec![noting(&calls, 0, &[]), noting(&calls, 1, &[])];
    let mut drive = Drive::with(vec![both, only], plugins());
    drive.feed(b"a").unwrap();
    let mut trailers = HeaderMap::new();
    trailers.append("x-sum", 7.into());
    assert!(matches!(drive.end(Some(trailers)), Ok(Step::Over)));
    check(&calls, &[(0, "a", FIRST), (0, "", END)]);
    let trailers = drive.pipeline.take_trailers().unwrap();
    let seen: Vec<_> = trailers.get_all("x-seen-by").iter().collect();
    assert_eq!(seen, ["0", "1"]);
    let mut without = Drive::with(vec![both, only], plugins());
    assert!(matches!(without.end(None), Ok(Step::Over)));
    assert_eq!(without.pipeline.take_trailers(), None);
}
