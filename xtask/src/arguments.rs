//! The command line, taken apart word by word; small enough not to need a library.

use std::fmt::Display;
use std::str::FromStr;

use crate::failure::{Context, Failure, Outcome};

/// The words not yet taken.
#[derive(Debug)]
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    /// The arguments of this process.
    pub(crate) fn of_process() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Takes the first word.
    pub(crate) fn command(&mut self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// Takes `NAME VALUE` out.
    pub(crate) fn value<T: FromStr<Err: Display>>(&mut self, name: &str) -> Outcome<Option<T>> {
        let Some(at) = self.0.iter().position(|word| word == name) else {
            return Ok(None);
        };
        if at + 1 >= self.0.len() {
            return Err(Failure::new(format!("{name} needs a value")));
        }
        self.0.remove(at);
        let text = self.0.remove(at);
        text.parse()
            .map(Some)
            .context(format_args!("{name} cannot be {text:?}"))
    }

    /// Takes the word `NAME` out and says whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() != before
    }

    /// Takes everything that is left.
    pub(crate) fn rest(self) -> Vec<String> {
        self.0
    }

    /// Makes sure that nothing is left over.
    pub(crate) fn finish(self) -> Outcome<()> {
        match self.0.first() {
            Some(word) => Err(Failure::new(format!(
                "{word:?} is not an argument of this command; `cargo xtask` lists them"
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn words(line: &str) -> Arguments {
        Arguments(line.split_whitespace().map(String::from).collect())
    }

    #[test]
    fn words_are_taken_in_any_order() {
        let mut arguments = words("soak --quick --swaps 20");
        assert_eq!(arguments.command().as_deref(), Some("soak"));
        assert_eq!(arguments.value("--swaps").unwrap(), Some(20));
        assert_eq!(arguments.value::<u32>("--reloads").unwrap(), None);
        assert!(arguments.flag("--quick") && !arguments.flag("--quick"));
        arguments.finish().unwrap();
    }

    #[test]
    fn wrong_words_are_named() {
        let refusal = |line| words(line).value::<u32>("--swaps").unwrap_err().to_string();
        assert_eq!(refusal("--swaps"), "--swaps needs a value");
        assert_eq!(
            refusal("--swaps many"),
            "--swaps cannot be \"many\": invalid digit found in string"
        );
        let left = words("--fast").finish().unwrap_err().to_string();
        assert_eq!(
            left,
            "\"--fast\" is not an argument of this command; `cargo xtask` lists them"
        );
    }
}
