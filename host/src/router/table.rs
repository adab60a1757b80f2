//! The routing table.
