//! A piece of a body that was told, and what keeping it costs.

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Frame;

/// A piece of a body that was told.
#[derive(Debug, Clone)]
pub(in crate::upstream) enum Piece {
    Data(Bytes),
    /// Several small ones, copied: each of them would cost more than its bytes.
    Gathered(Vec<u8>),
    Trailers(HeaderMap),
}

/// Shorter pieces are gathered.
const SMALL: usize = 512;

/// No longer than this.
const GATHERED: usize = 8 * 1024;

/// What a trailer field costs besides its name and its value.
pub(super) const FIELD: u64 = 64;

impl Piece {
    /// Keeps a piece behind those that are kept already.
    pub(in crate::upstream) fn keep(self, told: &mut Vec<Self>) {
        match (self, told.last_mut()) {
            (Self::Data(bytes), Some(last)) if bytes.len() < SMALL => {
                if let Some(bytes) = last.gather(bytes) {
                    told.push(Self::Data(bytes));
                }
            }
            (piece, _) => told.push(piece),
        }
    }

    /// Adds a small piece to this one; gives it back where it has no place there.
    fn gather(&mut self, bytes: Bytes) -> Option<Bytes> {
        match self {
            Self::Data(small) if small.len() < SMALL => {
                *self = Self::Gathered([&small[..], &bytes[..]].concat());
            }
            Self::Gathered(gathered) if gathered.len() < GATHERED => {
                gathered.extend_from_slice(&bytes);
            }
            _ => return Some(bytes),
        }
        None
    }

    /// What it counts of what may be kept.
    pub(in crate::upstream) fn cost(&self) -> u64 {
        match self {
            Self::Data(_) | Self::Gathered(_) => self.len(),
            Self::Trailers(fields) => fields
                .iter()
                .map(|(name, value)| (name.as_str().len() + value.len()) as u64 + FIELD)
                .sum(),
        }
    }

    pub(in crate::upstream) fn of(frame: &Frame<Bytes>) -> Option<Self> {
        let data = frame.data_ref().cloned().map(Self::Data);
        data.or_else(|| frame.trailers_ref().cloned().map(Self::Trailers))
    }

    pub(in crate::upstream) fn into_frame(self) -> Frame<Bytes> {
        match self {
            Self::Data(bytes) => Frame::data(bytes),
            Self::Gathered(bytes) => Frame::data(bytes.into()),
            Self::Trailers(fields) => Frame::trailers(fields),
        }
    }

    pub(in crate::upstream) fn len(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Gathered(bytes) => bytes.len() as u64,
            Self::Trailers(_) => 0,
        }
    }
}
