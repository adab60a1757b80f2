//! May these two talk? One function answers, and plugin and gateway both ask it.

use std::fmt;

use swapgate_abi::{ABI_MAJOR, ABI_MINOR};

/// The versions of the contract one side knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The one major version.
    pub major: u32,
    /// The oldest minor version.
    pub min_minor: u32,
    /// The newest minor version.
    pub max_minor: u32,
}

impl Range {
    /// What this build of the crate knows, on either side of the line.
    pub const CURRENT: Self = Self {
        major: ABI_MAJOR,
        min_minor: ABI_MINOR,
        max_minor: ABI_MINOR,
    };
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.min_minor)?;
        if self.max_minor != self.min_minor {
            write!(f, " to {}.{}", self.major, self.max_minor)?;
        }
        Ok(())
    }
}

/// Finds the minor version both sides will use.
///
/// The major versions must be equal. The minor is the lower of the two newest and must be at least both oldest.
/// Before 1.0 a minor version may change anything, so the newest ones must be equal.
///
/// # Errors
///
/// [`Mismatch`] where there is none; its text is the one refusal used in log, admin API and command line.
pub fn negotiate(plugin: Range, gateway: Range) -> Result<u32, Mismatch> {
    let mismatch = Mismatch { plugin, gateway };
    if plugin.major != gateway.major {
        return Err(mismatch);
    }
    let minor = plugin.max_minor.min(gateway.max_minor);
    let old_enough = minor >= plugin.min_minor && minor >= gateway.min_minor;
    let settled = plugin.major > 0 || plugin.max_minor == gateway.max_minor;
    if old_enough && settled {
        Ok(minor)
    } else {
        Err(mismatch)
    }
}

/// These two cannot talk. Displays what the plugin needs, what the gateway offers, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch {
    /// What the plugin knows.
    pub plugin: Range,
    /// What the gateway knows.
    pub gateway: Range,
}

impl Mismatch {
    fn plugin_is_newer(&self) -> bool {
        let newest = |range: &Range| (range.major, range.max_minor);
        newest(&self.plugin) > newest(&self.gateway)
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, gateway } = self;
        write!(
            f,
            "the plugin needs contract {plugin} and this gateway offers contract {gateway}: "
        )?;
        if self.plugin_is_newer() {
            write!(
                f,
                "update the gateway, or build the plugin with an SDK for contract {gateway}"
            )
        } else {
            write!(f, "build the plugin with an SDK for contract {gateway}")
        }
    }
}

impl std::error::Error for Mismatch {}

#[cfg(test)]
mod tests {
    use super::{Range, negotiate};

    fn range((major, min_minor, max_minor): (u32, u32, u32)) -> Range {
        Range {
            major,
            min_minor,
            max_minor,
        }
    }

    #[track_caller]
    fn check(plugin: (u32, u32, u32), gateway: (u32, u32, u32), expected: Result<u32, &str>) {
        let found = negotiate(range(plugin), range(gateway)).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn equal_versions_talk() {
        check((0, 1, 1), (0, 1, 1), Ok(1));
        check((2, 0, 7), (2, 0, 7), Ok(7));
    }

    #[test]
    fn after_one_point_zero_the_lower_newest_is_used() {
        check((1, 0, 3), (1, 2, 9), Ok(3));
        check((1, 4, 9), (1, 0, 5), Ok(5));
    }

    #[test]
    fn a_newer_plugin_is_told_to_wait_for_the_gateway() {
        check(
            (0, 2, 2),
            (0, 1, 1),
            Err(
                "the plugin needs contract 0.2 and this gateway offers contract 0.1: update the gateway, \
                 or build the plugin with an SDK for contract 0.1",
            ),
        );
        check(
            (1, 6, 9),
            (1, 0, 5),
            Err(
                "the plugin needs contract 1.6 to 1.9 and this gateway offers contract 1.0 to 1.5: update the \
                 gateway, or build the plugin with an SDK for contract 1.0 to 1.5",
            ),
        );
    }

    #[test]
    fn an_older_plugin_is_told_to_be_built_again() {
        check(
            (0, 1, 1),
            (0, 2, 2),
            Err(
                "the plugin needs contract 0.1 and this gateway offers contract 0.2: build the plugin with an SDK \
                 for contract 0.2",
            ),
        );
        check(
            (0, 9, 9),
            (1, 0, 0),
            Err(
                "the plugin needs contract 0.9 and this gateway offers contract 1.0: build the plugin with an SDK \
                 for contract 1.0",
            ),
        );
    }

    #[test]
    fn before_one_point_zero_a_wide_range_does_not_help() {
        check(
            (0, 1, 2),
            (0, 1, 1),
            Err(
                "the plugin needs contract 0.1 to 0.2 and this gateway offers contract 0.1: update the gateway, \
                 or build the plugin with an SDK for contract 0.1",
            ),
        );
    }
}
