//! The one normal form of a path.
