//! Where targets come from: the configuration says some addresses itself, and names whose addresses are looked up.
//!
//! - [`known`]: which places each configured target stands for. This is the seam: whatever finds targets comes to a list of
//!   [`Place`]s for a [`TargetAddress`](crate::config::ready::TargetAddress), and nobody behind it asks where they are from;
//! - [`watch`]: keeps up with every name of the configuration, and tells control when one leads elsewhere;
//! - [`lookup`]: one look-up of a name or a service, and what stays known where it fails;
//! - [`resolver`]: asks the hosts file and the DNS;
//! - [`srv`]: from SRV records to tiers and weights;
//! - [`admit`]: which addresses are believed.
//!
//! All of it runs on the control thread. What is absent here: workers, connections, snapshots. A source that goes away leaves
//! what was known last.

pub mod admit;
pub mod known;
pub mod lookup;
pub mod resolver;
pub mod srv;
pub mod watch;

pub use known::{Known, Place};
pub use watch::Discovery;
