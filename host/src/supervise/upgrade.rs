//! How upgrades go: what is told between processes, and what `/status` shows of them.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::wire::Hello;

/// Longest reason that is passed on; the log of the process that failed has all of it.
const WHY: usize = 1000;

/// Why there is no upgrade of a gateway that drains.
pub const GATEWAY_ENDS: &str = "the gateway ends";

/// How upgrades of this gateway went, whichever process shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// How many were tried.
    pub number: u64,
    /// When the one that is under way began, in milliseconds since 1970.
    pub under_way_since_unix_ms: Option<u64>,
    /// What became of the last one.
    pub last: Option<Last>,
}

/// What became of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// Which one.
    pub number: u64,
    /// Whether the new process serves.
    pub outcome: Outcome,
    /// Why it does not.
    pub why: Option<String>,
    /// It was refused before anything was tried.
    #[serde(default)]
    pub at_once: bool,
    /// Who served before.
    pub from: Who,
    /// Who serves since.
    pub to: Option<Who>,
    /// When that was, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// How long it took from the signal on.
    pub took_ms: u64,
}

/// How an upgrade ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The new process serves.
    Serves,
    /// It does not, and the old one serves on.
    Refused,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Its number.
    pub pid: u32,
    /// Its version.
    pub version: String,
}

impl Who {
    /// This very process.
    #[must_use]
    pub fn own() -> Self {
        Self::from(&Hello::own())
    }
}

impl From<&Hello> for Who {
    fn from(hello: &Hello) -> Self {
        Self {
            pid: hello.pid,
            version: hello.version.clone(),
        }
    }
}

impl Standing {
    /// One begins.
    pub fn begins(&mut self) {
        self.number += 1;
        self.under_way_since_unix_ms = Some(now());
    }

    /// The one that began ends: with the process that serves now, or with the reason why none does.
    pub fn ends(&mut self, from: Who, ended: Result<Who, String>) {
        let at = now();
        let began = self.under_way_since_unix_ms.take();
        let (to, why) = match ended {
            Ok(to) => (Some(to), None),
            Err(why) => (None, Some(short(why))),
        };
        self.last = Some(Last {
            number: self.number,
            outcome: if to.is_some() {
                Outcome::Serves
            } else {
                Outcome::Refused
            },
            why,
            at_once: false,
            from,
            to,
            at_unix_ms: at,
            took_ms: began.map_or(0, |began| at.saturating_sub(began)),
        });
    }

    /// One was asked for and is not even begun, so that whoever asked learns why.
    pub fn is_refused(&mut self, from: Who, why: &str) {
        self.begins();
        self.ends(from, Err(why.to_owned()));
        if let Some(last) = &mut self.last {
            last.at_once = true;
        }
    }

    /// Whether one is under way.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way_since_unix_ms.is_some()
    }
}

/// As much of a reason as fits beside everything else.
#[must_use]
pub fn short(mut why: String) -> String {
    if let Some(end) = (0..=WHY).rev().find(|end| why.is_char_boundary(*end))
        && why.len() > end
    {
        why.truncate(end);
        why.push('…');
    }
    why
}

fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_begins_and_ends_either_way_or_is_refused_at_once() {
        let mut standing = Standing::default();
        let old = Who::from(&Hello::own());
        standing.begins();
        assert!(standing.is_under_way());
        standing.ends(old.clone(), Err("no".to_owned()));
        assert!(!standing.is_under_way());
        let last = standing.last.clone().unwrap();
        assert_eq!((last.number, last.outcome), (1, Outcome::Refused));
        standing.begins();
        standing.ends(old.clone(), Ok(old));
        let last = standing.last.clone().unwrap();
        assert_eq!((last.number, last.outcome), (2, Outcome::Serves));
        assert!(!last.at_once);
        standing.is_refused(Who::own(), "the gateway ends");
        assert!(!standing.is_under_way());
        let last = standing.last.unwrap();
        assert_eq!((last.number, last.outcome), (3, Outcome::Refused));
        assert_eq!(last.why.as_deref(), Some("the gateway ends"));
        assert!(last.at_once);
    }

    #[test]
    fn a_long_reason_is_cut_where_a_character_ends() {
        assert_eq!(short("no".to_owned()), "no");
        let long = short("ä".repeat(WHY));
        assert!(long.len() <= WHY + "…".len() && long.ends_with("ä…"));
    }
}
