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
/// Before 1.0 a minor version may change anything, so both must know the same one.
///
/// # Errors
///
/// [`Mismatch`] where there is none; its text says what is needed, what is offered, and what to do.
pub fn negotiate(plugin: Range, gateway: Range) -> Result<u32, Mismatch> {
    let mismatch = Mismatch { plugin, gateway };
    if plugin.major != gateway.major || plugin.min_minor > plugin.max_minor {
        return Err(mismatch);
    }
    let minor = plugin.max_minor.min(gateway.max_minor);
    let old_enough = minor >= plugin.min_minor && minor >= gateway.min_minor;
    let settled = plugin.major > 0 || plugin == gateway;
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
    /// The one template of this refusal, with names for both sides: a plugin says "it" and "this gateway", a gateway
    /// knows more.
    #[must_use]
    pub fn told(&self, plugin: &str, gateway: &str) -> String {
        let (needs, offers) = (&self.plugin, &self.gateway);
        let newer = (needs.major, needs.min_minor) > (offers.major, offers.max_minor);
        let upgrade = if newer {
            format!("run a gateway that offers {needs}, or ")
        } else {
            String::new()
        };
        format!(
            "{plugin} needs plugin contract {needs}, {gateway} offers {offers}; {upgrade}build the plugin for {offers}"
        )
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told("it", "this gateway"))
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
    fn a_newer_plugin_may_wait_for_the_gateway() {
        check(
            (0, 2, 2),
            (0, 1, 1),
            Err(
                "it needs plugin contract 0.2, this gateway offers 0.1; run a gateway that offers 0.2, or build the \
                 plugin for 0.1",
            ),
        );
        check(
            (1, 6, 9),
            (1, 0, 5),
            Err(
                "it needs plugin contract 1.6 to 1.9, this gateway offers 1.0 to 1.5; run a gateway that offers 1.6 to \
                 1.9, or build the plugin for 1.0 to 1.5",
            ),
        );
    }

    #[test]
    fn an_older_plugin_is_built_again() {
        check(
            (0, 1, 1),
            (0, 2, 2),
            Err("it needs plugin contract 0.1, this gateway offers 0.2; build the plugin for 0.2"),
        );
        check(
            (0, 9, 9),
            (1, 0, 0),
            Err("it needs plugin contract 0.9, this gateway offers 1.0; build the plugin for 1.0"),
        );
    }

    #[test]
    fn before_one_point_zero_a_wide_range_does_not_help() {
        check(
            (0, 1, 2),
            (0, 1, 1),
            Err(
                "it needs plugin contract 0.1 to 0.2, this gateway offers 0.1; build the plugin for 0.1",
            ),
        );
    }

    #[test]
    fn a_range_that_is_upside_down_fits_nothing() {
        check(
            (1, 3, 2),
            (1, 0, 5),
            Err(
                "it needs plugin contract 1.3 to 1.2, this gateway offers 1.0 to 1.5; build the plugin for 1.0 to 1.5",
            ),
        );
    }
}
