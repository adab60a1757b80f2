//! The guard against floods of frames, which reads both directions of a connection as they pass by.

use swapgate::door::Guard;

use crate::input::Input;

/// Two bytes say how many streams are admitted. Then pieces: a byte for the direction and where the piece is cut in two, and
/// the piece. However they are cut, the guard comes to the same.
pub fn h2_frames(data: &[u8]) {
    let mut input = Input::new(data);
    let streams = u32::from(input.short());
    let (mut whole, mut cut, mut single) = (
        Guard::new(streams),
        Guard::new(streams),
        Guard::new(streams),
    );
    let mut over = false;
    while !input.is_empty() {
        let how = input.byte();
        let piece = input.piece();
        let (first, second) = piece.split_at(usize::from(how >> 1).min(piece.len()));
        if how & 1 == 1 {
            whole.wrote(piece);
            cut.wrote(first);
            cut.wrote(second);
            piece.chunks(1).for_each(|byte| single.wrote(byte));
        } else {
            let now = whole.read(piece);
            assert!(now || !over, "an excess that is forgiven");
            over = now;
            let parts = [first, second].map(|part| cut.read(part));
            let mut bytes = false;
            piece.chunks(1).for_each(|byte| bytes = single.read(byte));
            if !piece.is_empty() {
                assert_eq!((parts[1], bytes), (over, over));
            }
        }
        assert_eq!(whole.goodbye(), cut.goodbye());
        assert_eq!(whole.goodbye(), single.goodbye());
    }
}
