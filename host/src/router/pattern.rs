//! What a route says about hosts and paths.

/// One entry of `hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern;

/// One entry of `paths`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern;
