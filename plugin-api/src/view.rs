//! Borrowed bytes, text and header lists. Their lifetime is the borrow of the handle they came from, so a change of
//! the exchange or the end of the hook ends them, and the compiler says so.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use swapgate_abi::{SgHeader, SgStr};

/// Bytes of the gateway: a header value, a variable. Not necessarily UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes as they are.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text, if the bytes are UTF-8.
    #[must_use]
    pub fn to_str(self) -> Option<&'a str> {
        std::str::from_utf8(self.0).ok()
    }

    /// The text, with replacement characters where the bytes are not UTF-8.
    #[must_use]
    pub fn to_lossy(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.0)
    }
}

impl Deref for Value<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0
    }
}

impl AsRef<[u8]> for Value<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl PartialEq<str> for Value<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Value<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_lossy())
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_lossy(), f)
    }
}

/// All headers of one map, in their order.
pub struct Headers<'a> {
    entries: Vec<SgHeader>,
    life: PhantomData<&'a [u8]>,
}

impl<'a> Headers<'a> {
    /// Wraps what `headers_list` filled in.
    ///
    /// # Safety
    ///
    /// Every entry must be readable and unchanged for `'a`.
    pub(crate) unsafe fn from_raw(entries: Vec<SgHeader>) -> Self {
        Self {
            entries,
            life: PhantomData,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names (lower case) and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + '_ {
        self.entries.iter().map(|entry| {
            // SAFETY: from_raw() was promised that every entry is readable for 'a.
            let name = unsafe { bytes(entry.name) };
            // SAFETY: as above.
            let value = unsafe { bytes(entry.value) };
            (std::str::from_utf8(name).unwrap_or(""), Value::new(value))
        })
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The pieces of a body, in their order. Where one ends means nothing.
pub struct Pieces<'a> {
    entries: Vec<SgStr>,
    life: PhantomData<&'a [u8]>,
}

impl<'a> Pieces<'a> {
    /// Wraps what `body_pieces` filled in.
    ///
    /// # Safety
    ///
    /// Every entry must be readable and unchanged for `'a`.
    pub(crate) unsafe fn from_raw(entries: Vec<SgStr>) -> Self {
        Self {
            entries,
            life: PhantomData,
        }
    }

    /// The pieces.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + '_ {
        // SAFETY: from_raw() was promised that every entry is readable for 'a.
        self.entries.iter().map(|entry| unsafe { bytes(*entry) })
    }
}

impl fmt::Debug for Pieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = self.entries.iter().map(|entry| entry.len);
        f.debug_list().entries(lengths).finish()
    }
}

/// Reads a view that came over the line.
///
/// # Safety
///
/// `ptr` must be null with `len` 0, or point to `len` bytes that nobody changes for `'a`.
pub(crate) unsafe fn bytes<'a>(view: SgStr) -> &'a [u8] {
    if view.ptr.is_null() {
        return &[];
    }
    // SAFETY: not null, so by the contract of this function it points to `len` readable bytes that stay for 'a.
    unsafe { std::slice::from_raw_parts(view.ptr, view.len) }
}

#[cfg(test)]
mod tests {
    use swapgate_abi::{SgHeader, SgStr};

    use super::{Headers, Value, bytes};

    #[test]
    fn null_with_length_zero_is_empty() {
        // SAFETY: null with length 0 is what the function allows.
        assert_eq!(unsafe { bytes(SgStr::EMPTY) }, b"");
    }

    #[test]
    fn values_compare_as_bytes_and_print_as_text() {
        let value = Value::new(b"gr\xc3\xbcn");
        assert_eq!(value, "grün");
        assert_eq!(value.to_string(), "grün");
        assert_eq!(Value::new(b"\xff").to_str(), None);
        assert_eq!(Value::new(b"\xff").to_string(), "\u{fffd}");
    }

    #[test]
    fn lists_keep_order() {
        let entries = vec![
            SgHeader {
                name: SgStr::new(b"b"),
                value: SgStr::new(b"1"),
            },
            SgHeader {
                name: SgStr::new(b"a"),
                value: SgStr::EMPTY,
            },
        ];
        // SAFETY: the entries point to constants.
        let headers = unsafe { Headers::from_raw(entries) };
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(headers.len(), 2);
    }
}
