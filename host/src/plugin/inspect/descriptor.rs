//! The descriptor of a plugin, as its bytes stand in the file.

use semver::Version;
use swapgate_abi::{ENTRY_SYMBOL, MAGIC, SG_DESC_PANIC_ABORT};
use swapgate_plugin::version::{self, Range};

use super::Descriptor;
use crate::plugin::refusal::Reason;

/// Reads the bytes of `sg_plugin_abi` and decides whether gateway and plugin may talk.
pub(crate) fn descriptor(bytes: &[u8], has_entry: bool) -> Result<Descriptor, Reason> {
    let raw = Raw::read(bytes)?;
    if !has_entry {
        return Err(Reason::NoEntry {
            symbol: ENTRY_SYMBOL.to_owned(),
        });
    }
    let plugin = || {
        format!(
            "{} {}",
            printable(raw.id.as_deref()),
            printable(raw.version.as_deref())
        )
    };
    version::negotiate(raw.range, Range::CURRENT)
        .map_err(|mismatch| Reason::version(&plugin(), &mismatch))?;
    if raw.flags & SG_DESC_PANIC_ABORT != 0 {
        return Err(Reason::PanicAbort { plugin: plugin() });
    }
    let id = raw
        .id
        .as_deref()
        .filter(|id| is_id(id))
        .ok_or_else(|| Reason::BadId {
            found: printable(text_lossy(bytes, 128).as_deref()),
        })?;
    let version = raw
        .version
        .as_deref()
        .and_then(|version| Version::parse(version).ok())
        .ok_or_else(|| Reason::BadVersion {
            found: printable(text_lossy(bytes, 192).as_deref()),
        })?;
    Ok(Descriptor {
        id: id.to_owned(),
        version,
        abi_major: raw.range.major,
        abi_min_minor: raw.range.min_minor,
        abi_max_minor: raw.range.max_minor,
        sdk: printable(raw.sdk.as_deref()),
        toolchain: printable(raw.toolchain.as_deref()),
    })
}

/// Whether a plugin may be called that.
#[must_use]
pub fn is_id(id: &str) -> bool {
    (1..=63).contains(&id.len())
        && id
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// The fields of a descriptor as they stand in the file. A text is none where it is malformed.
struct Raw {
    range: Range,
    flags: u32,
    sdk: Option<String>,
    toolchain: Option<String>,
    id: Option<String>,
    version: Option<String>,
}

impl Raw {
    fn read(bytes: &[u8]) -> Result<Self, Reason> {
        let bad = |what: &str| Reason::BadDescriptor {
            what: what.to_owned(),
        };
        let mut reader = Reader(bytes);
        let short = || bad("it is shorter than 256 bytes");
        if reader.take(8).ok_or_else(short)? != MAGIC {
            return Err(bad("it does not begin with SWAPGATE"));
        }
        let struct_size = reader.u32().ok_or_else(short)?;
        let range = Range {
            major: reader.u32().ok_or_else(short)?,
            min_minor: reader.u32().ok_or_else(short)?,
            max_minor: reader.u32().ok_or_else(short)?,
        };
        let flags = reader.u32().ok_or_else(short)?;
        reader.u32().ok_or_else(short)?;
        let raw = Self {
            range,
            flags,
            sdk: text(reader.take(32).ok_or_else(short)?),
            toolchain: text(reader.take(64).ok_or_else(short)?),
            id: text(reader.take(64).ok_or_else(short)?),
            version: text(reader.take(64).ok_or_else(short)?),
        };
        if (struct_size as usize) < size_of::<swapgate_abi::SgDescriptor>() {
            return Err(bad("its struct_size is below 256"));
        }
        Ok(raw)
    }
}

/// A text padded with zeros; none where no zero ends it or it is not UTF-8.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    Some(text.to_owned())
}

fn text_lossy(descriptor: &[u8], at: usize) -> Option<String> {
    let bytes = descriptor.get(at..at + 64)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(64);
    Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
}

/// What goes into a message: whatever a hostile file says must not confuse a terminal or a log.
fn printable(text: Option<&str>) -> String {
    text.unwrap_or("?")
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    }
}
