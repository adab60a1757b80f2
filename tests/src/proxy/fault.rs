//! What a proxy of the tests can do wrong.

use std::fmt;
use std::time::Duration;

/// What it does instead of passing on what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing: it passes on what it gets.
    Pass,
    /// It is gone, as after the end of a process: nobody listens, and connections that were open are closed.
    Refuse,
    /// From this place on nothing comes, for as long as the other side waits.
    Hang(Place),
    /// It resets the connection.
    Reset(Place),
    /// It closes the connection in an orderly way.
    Cut(Place),
    /// The answer comes, piece by piece.
    Slow(Pace),
    /// The answer comes, and is none.
    Garble(Part),
}

/// Where an exchange breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// When the connection is opened. Connections that are open break at once; where it hangs, at their next request.
    Connect,
    /// After the head of the request. The target gets nothing of it.
    Request,
    /// After the target has answered, before the first byte of its answer.
    Answer,
    /// In the head of the answer.
    Head,
    /// In the body of the answer.
    Body,
}

/// How an answer trickles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pace {
    /// So many bytes at once.
    pub piece: usize,
    /// So long between them.
    pub pause: Duration,
}

/// What of an answer is made unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The status is no number.
    Status,
    /// A header field has a name that is none.
    Field,
    /// It has two lengths.
    Length,
    /// The size of the first chunk of its body is none; the head is in order.
    ChunkSize,
}

impl Fault {
    /// Each kind at each place.
    pub const ALL: [Self; 21] = [
        Self::Refuse,
        Self::Hang(Place::Connect),
        Self::Hang(Place::Request),
        Self::Hang(Place::Answer),
        Self::Hang(Place::Head),
        Self::Hang(Place::Body),
        Self::Reset(Place::Connect),
        Self::Reset(Place::Request),
        Self::Reset(Place::Answer),
        Self::Reset(Place::Head),
        Self::Reset(Place::Body),
        Self::Cut(Place::Connect),
        Self::Cut(Place::Request),
        Self::Cut(Place::Answer),
        Self::Cut(Place::Head),
        Self::Cut(Place::Body),
        Self::Slow(Pace::TRICKLE),
        Self::Garble(Part::Status),
        Self::Garble(Part::Field),
        Self::Garble(Part::Length),
        Self::Garble(Part::ChunkSize),
    ];

    /// Whether the other side has a good head before it goes wrong, so that nothing can be made good any more.
    #[must_use]
    pub fn is_in_body(self) -> bool {
        matches!(
            self,
            Self::Hang(Place::Body)
                | Self::Reset(Place::Body)
                | Self::Cut(Place::Body)
                | Self::Garble(Part::ChunkSize)
        )
    }

    /// Whether the target gets requests whose answers then go wrong.
    #[must_use]
    pub fn reaches_the_target(self) -> bool {
        match self {
            Self::Pass | Self::Slow(_) | Self::Garble(_) => true,
            Self::Refuse => false,
            Self::Hang(place) | Self::Reset(place) | Self::Cut(place) => {
                matches!(place, Place::Answer | Place::Head | Place::Body)
            }
        }
    }

    /// Whether it needs another listener, or none; such a fault cannot be had for one exchange alone.
    #[must_use]
    pub fn is_at_the_door(self) -> bool {
        matches!(self, Self::Refuse | Self::Hang(Place::Connect))
    }
}

impl Pace {
    /// Slow to look at, and fast enough for a test: any answer takes a few dozen pieces.
    pub const TRICKLE: Self = Self {
        piece: 40,
        pause: Duration::from_millis(5),
    };
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("pass"),
            Self::Refuse => f.write_str("refuse"),
            Self::Hang(place) => write!(f, "hang at {place:?}"),
            Self::Reset(place) => write!(f, "reset at {place:?}"),
            Self::Cut(place) => write!(f, "cut at {place:?}"),
            Self::Slow(_) => f.write_str("slow"),
            Self::Garble(part) => write!(f, "garble {part:?}"),
        }
    }
}
