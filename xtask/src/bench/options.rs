//! The words of the command line.

use crate::arguments::Arguments;
use crate::failure::{Failure, Outcome};

use super::contestants::{CONTESTANTS, Contestant};
use super::scenarios::{CHANGES, SCENARIOS, Scenario};
use super::tools::Tool;

/// What is to be measured, of whom, and how long.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) install: bool,
    pub(crate) rounds: usize,
    /// How long each contestant is loaded in one round.
    pub(crate) seconds: f64,
    pub(crate) connections: Option<u32>,
    /// How many swaps, and how many reloads.
    pub(crate) changes: usize,
    pub(crate) contestants: Vec<&'static Contestant>,
    pub(crate) scenarios: Vec<&'static Scenario>,
}

impl Options {
    pub(crate) fn read(arguments: &mut Arguments) -> Outcome<Self> {
        let quick = arguments.flag("--quick");
        let or = |value: Option<usize>, quickly, usually| {
            value
                .unwrap_or(if quick { quickly } else { usually })
                .max(1)
        };
        Ok(Self {
            install: arguments.flag("--install"),
            rounds: or(arguments.value("--rounds")?, 1, 7),
            seconds: seconds(arguments)?.unwrap_or(if quick { 0.6 } else { 3.0 }),
            connections: arguments.value("--connections")?,
            changes: or(arguments.value("--changes")?, 2, 20),
            contestants: match arguments.value::<String>("--only")? {
                Some(list) => chosen("--only", &list, &CONTESTANTS, |one| one.name)?,
                None => CONTESTANTS.iter().filter(|one| !one.on_request).collect(),
            },
            scenarios: match arguments.value::<String>("--scenario")? {
                Some(list) => chosen("--scenario", &list, &SCENARIOS, |one| one.name)?,
                None => SCENARIOS.iter().collect(),
            },
        })
    }

    /// Whether the gateway of this repository has to be built.
    pub(crate) fn gateway(&self) -> bool {
        let ours = |one: &&Contestant| one.tool == Tool::Built("swapgate");
        self.contestants.iter().any(ours) || self.scenarios.iter().any(|one| one.name == CHANGES)
    }
}

fn seconds(arguments: &mut Arguments) -> Outcome<Option<f64>> {
    match arguments.value("--seconds")? {
        Some(seconds) if !(0.1..=3600.0).contains(&seconds) => {
            Err(Failure::new("--seconds must lie between 0.1 and 3600"))
        }
        seconds => Ok(seconds),
    }
}

/// The items whose names stand in `list`, in the order of the list.
fn chosen<T>(
    word: &str,
    list: &str,
    all: &'static [T],
    name: impl Fn(&T) -> &'static str,
) -> Outcome<Vec<&'static T>> {
    let find = |wanted: &str| {
        all.iter().find(|one| name(one) == wanted).ok_or_else(|| {
            let names: Vec<_> = all.iter().map(&name).collect();
            Failure::new(format!(
                "{word} does not know {wanted:?}; it knows {}",
                names.join(", ")
            ))
        })
    };
    list.split(',').map(|wanted| find(wanted.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::contestants::CONTESTANTS;
    use super::chosen;

    #[test]
    fn lists_choose_in_their_own_order() {
        let choose = |list: &str| chosen("--only", list, &CONTESTANTS, |one| one.name);
        let names: Vec<_> = choose("swapgate, floor")
            .unwrap()
            .iter()
            .map(|one| one.name)
            .collect();
        assert_eq!(names, ["swapgate", "floor"]);
        let refusal = choose("floor,flor").unwrap_err().to_string();
        assert!(
            refusal.starts_with("--only does not know \"flor\"; it knows floor, "),
            "{refusal}"
        );
    }
}
