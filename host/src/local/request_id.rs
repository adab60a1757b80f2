//! The ids of requests.

/// 32 hexadecimal digits: the token under two seeds, each mixed by a bijection, so that ids are unique and do not tell
/// how many exchanges there were. The second seed is the first one mixed: sums and differences of it meet the first half
/// again wherever token and seed share no bits.
pub(super) fn request_id(seed: u64, token: u64) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    /// Keeps the second seed from being the first where that is zero.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut text = [0_u8; 32];
    let id = (u128::from(mix(seed ^ token)) << 64) | u128::from(mix(mix(seed ^ GOLDEN) ^ token));
    for (pair, byte) in text.chunks_exact_mut(2).zip(id.to_be_bytes()) {
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_and_have_their_form() {
        let ids: HashSet<[u8; 32]> = (0..1000).map(|token| request_id(7, token)).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().flatten().all(u8::is_ascii_hexdigit));
        for seed in [0, 7, 1 << 40, u64::MAX] {
            let id = request_id(seed, (1 << 48) | 1);
            let (first, second) = id.split_at(16);
            assert_ne!(first, second, "both halves say something");
        }
        assert_ne!(request_id(7, 1), request_id(8, 1));
    }
}
