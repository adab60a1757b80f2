//! The system says no: calls fail at any time, the disk is full, there are no descriptors left, signals come at bad moments.
//! Whatever fails costs the request it was made for and nothing else: no crash, no loop that spins, and once the
//! system gives again, everything is as it was.

mod calls;
mod changes;
mod descriptors;
mod disk;
mod signals;
mod world;
