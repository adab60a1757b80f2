//! (host, path, method, ...) -> route. Pure: no clock, no socket, no configuration file.
//!
//! A request's path is brought into its normal form once ([`path`]); what routes say is parsed once ([`pattern`]); a
//! [`table::Table`] built from both answers each request without allocating and in a time that does not grow with the
//! number of routes. `docs/routing.md` tells users the same order of choice with examples.
//!
//! # The order of choice
//!
//! 1. **Host level**: routes that name the host, then routes with a wildcard that fits it (the longest first), then
//!    routes without `hosts`. A level is left only when none of its routes takes the request, and nothing crosses
//!    levels, priority included: a route that names the host is always asked before one that does not.
//! 2. **Within a level**, among the routes whose path fits, by the first difference of: `priority` (higher wins); an
//!    exact path, then regular expressions, then prefixes; among regular expressions `regex_priority` (higher wins) and
//!    the longer expression; among the others more literal segments from the left and the longer path (more segments,
//!    then a final slash); the number of further conditions (methods count one, each header, parameter of the query and
//!    cookie one, addresses one); and last the name of the route, in the order of its bytes.
//! 3. A route whose further conditions do not hold **falls through** to the next best.
//!
//! Two entries of `paths` of one route are ordered like those of two routes. The order is total and a property of the
//! routes alone: neither their order in the file nor the request plays a part, so it is computed once, and a lookup
//! looks for the lowest rank that fits.

pub mod condition;
pub mod explain;
mod level;
mod order;
mod params;
pub mod path;
pub mod pattern;
mod regex;
pub mod table;
pub mod template;
#[cfg(test)]
mod tests;
