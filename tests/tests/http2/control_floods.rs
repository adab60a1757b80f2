//! Floods of frames that ask for nothing. h2 reads them as fast as they come; whoever sends many more of them than it sends
//! requests is asked to calm down. Somebody else is answered meanwhile, and the memory stays bounded.

use swapgate_tests::h2::Frame;
use swapgate_tests::h2::frame::{self, code, setting};

use crate::bystander::repeated;
use crate::rows::held;

#[test]
fn pings() {
    repeated(&[], &frame::ping([1; 8]));
}

#[test]
fn settings() {
    repeated(
        &[],
        &frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)]),
    );
}

#[test]
fn empty_settings() {
    repeated(&[], &frame::settings(&[]));
}

#[test]
fn window_updates_of_the_connection() {
    repeated(&[], &frame::window(0, 1));
}

#[test]
fn window_updates_of_a_stream() {
    repeated(&[held(1)], &frame::window(1, 1));
}

#[test]
fn window_updates_of_a_stream_that_is_over() {
    repeated(
        &[held(1), frame::reset(1, code::CANCEL)],
        &frame::window(1, 1),
    );
}

#[test]
fn priorities() {
    repeated(&[], &frame::priority(1, 0, 1));
}

#[test]
fn unknown_frames() {
    repeated(&[], &Frame::new(0xee, 0, 0, ""));
}

#[test]
fn resets_of_a_stream_that_is_over() {
    repeated(&[held(1)], &frame::reset(1, code::CANCEL));
}
