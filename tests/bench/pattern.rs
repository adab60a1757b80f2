//! Bytes that tell where they stand, so that a piece that is missing, doubled or moved shows wherever it is.

/// How often the same eight bytes come: never in a body that anybody sends.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Fills `buffer` with what stands from `offset` on.
pub fn fill(offset: u64, buffer: &mut [u8]) {
    let mut at = offset;
    let mut rest = buffer;
    while !rest.is_empty() {
        let (word, skipped) = word(at);
        let piece = &word[skipped..];
        let length = piece.len().min(rest.len());
        let (now, later) = rest.split_at_mut(length);
        now.copy_from_slice(&piece[..length]);
        at += length as u64;
        rest = later;
    }
}

/// Where the first byte stands that is not what it should be from `offset` on.
#[must_use]
pub fn first_difference(offset: u64, bytes: &[u8]) -> Option<u64> {
    let mut at = offset;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (word, skipped) = word(at);
        let expected = &word[skipped..];
        let length = expected.len().min(rest.len());
        let (now, later) = rest.split_at(length);
        if now != &expected[..length] {
            let same = now.iter().zip(expected).take_while(|(a, b)| a == b).count();
            return Some(at + same as u64);
        }
        at += length as u64;
        rest = later;
    }
    None
}

/// The eight bytes a place is among, and how many of them stand before it.
fn word(at: u64) -> ([u8; 8], usize) {
    let skipped = usize::try_from(at % 8).unwrap_or(0);
    let word = (at / 8 + 1).wrapping_mul(STEP).to_le_bytes();
    (word, skipped)
}

#[cfg(test)]
mod tests {
    use super::{fill, first_difference};

    #[test]
    fn every_piece_fits_where_it_belongs_and_nowhere_else() {
        let mut whole = vec![0; 1000];
        fill(0, &mut whole);
        for (from, to) in [(0, 1000), (1, 9), (7, 8), (8, 500), (503, 1000)] {
            let mut piece = vec![0; to - from];
            fill(from as u64, &mut piece);
            assert_eq!(piece, whole[from..to]);
            assert_eq!(first_difference(from as u64, &whole[from..to]), None);
        }
        assert_eq!(first_difference(8, &whole[..8]), Some(8));
        whole[777] ^= 1;
        assert_eq!(first_difference(100, &whole[100..]), Some(777));
    }
}
