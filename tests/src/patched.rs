//! Many distinct plugin files out of one build.

use std::fs;
use std::path::Path;

/// What a marked field holds after its marker of 15 bytes, with the zero byte that ends it.
const FIELD_ROOM: usize = 49;

/// `sizeof(sg_descriptor)`, which stands after the magic.
const DESCRIPTOR_SIZE: u32 = 256;

/// Where `version` stands in `sg_descriptor`, and how long it is.
const DESCRIPTOR_VERSION: usize = 192;
const DESCRIPTOR_TEXT: usize = 64;

/// Copies of one build that differ: the bytes of a plugin file with some of its marked regions overwritten.
///
/// A region is a byte array in the data of the plugin that begins with a marker text and is padded with zero bytes; the value stands
/// after the marker. So tests make many distinct files, with distinct digests, out of one build.
#[derive(Debug, Clone)]
pub struct Patched(Vec<u8>);

impl Patched {
    /// Reads a plugin file.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    #[track_caller]
    pub fn read(file: &Path) -> Self {
        match fs::read(file) {
            Ok(bytes) => Self(bytes),
            Err(error) => panic!("{}: {error}", file.display()),
        }
    }

    /// Overwrites the `room` bytes after each occurrence of `marker` with `value`, padded with zero bytes.
    ///
    /// # Panics
    /// When there is no such marker, or the value is longer than the room.
    #[must_use]
    #[track_caller]
    pub fn with(mut self, marker: &[u8], room: usize, value: &[u8]) -> Self {
        assert!(value.len() <= room, "the value is longer than its region");
        let mut found = false;
        let mut from = 0;
        while let Some(at) = find(&self.0[from..], marker) {
            let start = from + at + marker.len();
            let region = &mut self.0[start..start + room];
            region.fill(0);
            region[..value.len()].copy_from_slice(value);
            found = true;
            from = start + room;
        }
        assert!(found, "no marker \"{}\"", marker.escape_ascii());
        self
    }

    /// Writes the text that the `stamp` plugin puts on requests and answers.
    #[must_use]
    #[track_caller]
    pub fn stamp(self, text: &str) -> Self {
        self.with(b"SWAPGATE-STAMP:", FIELD_ROOM, text.as_bytes())
    }

    /// Writes what the `faulty` plugin does before it has a configuration: `STEP=FAULT`.
    #[must_use]
    #[track_caller]
    pub fn fault(self, text: &str) -> Self {
        self.with(b"SWAPGATE-FAULT:", FIELD_ROOM, text.as_bytes())
    }

    /// Writes the version of the plugin, into its descriptor.
    ///
    /// # Panics
    /// When the file has no descriptor, or the version is too long for it.
    #[must_use]
    #[track_caller]
    pub fn version(self, version: &str) -> Self {
        assert!(
            version.len() < DESCRIPTOR_TEXT,
            "a zero byte ends the version"
        );
        let mut text = [0; DESCRIPTOR_TEXT];
        text[..version.len()].copy_from_slice(version.as_bytes());
        self.in_descriptor(DESCRIPTOR_VERSION, &text)
    }

    /// Overwrites bytes of the descriptor, at this offset in `sg_descriptor`.
    ///
    /// # Panics
    /// When the file has no descriptor.
    #[must_use]
    #[track_caller]
    pub fn in_descriptor(mut self, offset: usize, bytes: &[u8]) -> Self {
        let head = [&b"SWAPGATE"[..], &DESCRIPTOR_SIZE.to_le_bytes()].concat();
        let start = find(&self.0, &head).expect("a plugin file has a descriptor") + offset;
        self.0[start..start + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// The bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_overwritten_wherever_they_stand() {
        let file = Patched(b"..MARK:old\0\0..MARK:old\0\0..".to_vec());
        let patched = file.with(b"MARK:", 5, b"v2");
        assert_eq!(patched.bytes(), b"..MARK:v2\0\0\0..MARK:v2\0\0\0..");
    }

    #[test]
    fn the_version_stands_in_the_descriptor() {
        let mut descriptor = [b"SWAPGATE".as_slice(), &256_u32.to_le_bytes(), &[0; 244]].concat();
        descriptor[192..197].copy_from_slice(b"0.1.0");
        let file = Patched([b"SWAPGATE-STAMP:..".as_slice(), &descriptor].concat());
        let patched = file.version("2.0.0-rc.1");
        assert!(patched.bytes()[17 + 192..].starts_with(b"2.0.0-rc.1\0"));
    }
}
