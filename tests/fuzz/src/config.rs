//! A configuration, from its text to what the gateway uses.

use std::path::{Path, PathBuf};

use swapgate::config::{self, ConfigError, Environment, Source};
use swapgate::control::explain::{Question, View};

/// An environment without a system: what is asked for is there if its name is short.
struct Fake;

const SECRET: &str = "hunter2-hunter2";

impl Environment for Fake {
    fn variable(&self, name: &str) -> Result<String, String> {
        if name.len() < 4 {
            Ok(SECRET.to_owned())
        } else {
            Err("it is not set".to_owned())
        }
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        self.variable(&path.to_string_lossy())
    }

    fn cores(&self) -> usize {
        2
    }
}

/// A text that somebody wrote.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let source = Source {
        file: "gate.yaml".into(),
        text,
        base: PathBuf::from("/etc/gate"),
    };
    match config::load(&source, &Fake) {
        Ok(config) => {
            let question = Question {
                method: "GET".to_owned(),
                url: "http://a.example/a/b?c=d".to_owned(),
                headers: vec![("x-a".to_owned(), "b".to_owned())],
                client: None,
            };
            let explained = View::without_plugins(&config).answer(&question);
            assert!(explained.is_ok(), "a plain question is understood");
        }
        Err(errors) => {
            assert!(!errors.is_empty(), "refused, and nobody says why");
            errors.iter().for_each(|error| told(error, &source.text));
            let places = errors.iter().map(|error| &error.place);
            let places = places.map(|place| (place.line, place.column));
            assert!(places.is_sorted(), "out of their order");
        }
    }
}

/// An error is a sentence on one line about a place in the text, and tells no secret.
fn told(error: &ConfigError, text: &str) {
    let shown = error.to_string();
    assert!(crate::is_one_line(&shown), "{shown:?}");
    assert!(
        !shown.contains(SECRET) || text.contains(SECRET),
        "{shown:?}"
    );
    assert!(!error.sentence().trim().is_empty());
    let place = &error.place;
    assert!(place.line >= 1 && place.column >= 1, "{shown}");
    // A reader of YAML ends lines at a carriage return by itself, too.
    let lines: Vec<&str> = text.split(['\n', '\r']).collect();
    assert!(
        place.line <= lines.len() + 1,
        "{shown}: there are {} lines",
        lines.len()
    );
}
