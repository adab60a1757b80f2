//! How many sockets this process may have open: each is a descriptor, and the system gives a process so many.
//!
//! The soft limit is often 1,024, for the sake of old programs that cannot count further; it is for each program to raise it
//! up to the hard one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of one client's connection: its socket, and one towards a target while it asks.
const EACH: u64 = 2;

/// Raises the soft limit to the hard one.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            tracing::debug!(target: "control", before = ?current, now = ?maximum, "raised the soft limit of open files");
        }
        Err(error) => {
            tracing::warn!(target: "control", limit = ?current, %error, "cannot raise the soft limit of open files to the hard one");
        }
    }
}

/// Says so where so many connections cannot all be had.
pub fn warn_of_too_few(connections: usize) {
    let limit = getrlimit(Resource::Nofile).current;
    if let Some(needed) = missed(connections, limit) {
        tracing::warn!(target: "control", limit, "limits.connections is {connections}, which may need {needed} open files, and this process may have {}; raise its limit (ulimit -n, or LimitNOFILE of systemd) or lower limits.connections", limit.unwrap_or_default());
    }
}

/// How many descriptors so many connections may need, where that is more than there may be.
fn missed(connections: usize, limit: Option<u64>) -> Option<u64> {
    let needed = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_mul(EACH);
    limit.filter(|limit| needed > *limit).map(|_| needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_for_each_connection() {
        assert_eq!(missed(10_000, Some(20_000)), None);
        assert_eq!(missed(10_001, Some(20_000)), Some(20_002));
        assert_eq!(missed(usize::MAX, None), None, "there is no limit");
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
