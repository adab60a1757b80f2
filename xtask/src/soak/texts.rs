//! Configurations that are valid, and configurations and plugin files that are not.

use std::fmt::Write as _;

use crate::swap::Version;

/// How many shapes valid configurations have: what changes with each comes back after so many.
pub(super) const SHAPES: usize = 60;

/// What configurations name.
#[derive(Debug)]
pub(super) struct Places {
    /// What echoes requests, and serves the download and the WebSocket.
    pub(super) echo: String,
    /// What speaks HTTP/2 and echoes calls.
    pub(super) calls: String,
    /// Where somebody else listens.
    pub(super) taken: String,
}

/// A way to be wrong.
struct Wrong {
    /// What stands in a valid configuration, and what in its place here.
    replaced: (&'static str, &'static str),
    /// Words of the sentence that refuses it, the place among them.
    words: &'static [&'static str],
}

const WRONG: [Wrong; 10] = [
    Wrong {
        replaced: ("routes:", "routes: [{name: x\nroutes:"),
        words: &["swapgate.yaml:", "not YAML or JSON"],
    },
    Wrong {
        replaced: ("routes:", "routs:"),
        words: &[
            "swapgate.yaml:",
            "routs: this key is not known",
            "did you mean \"routes\"?",
        ],
    },
    Wrong {
        replaced: ("service: echo, paths", "service: nobody, paths"),
        words: &[
            "swapgate.yaml:",
            "routes[0].service: there is no service of this name",
        ],
    },
    Wrong {
        replaced: ("{name: stamp}", "{name: nowhere}"),
        words: &["swapgate.yaml:", "plugins[0]: the plugin nowhere is not in"],
    },
    Wrong {
        replaced: ("response: {set:", "reply: {set:"),
        words: &["swapgate.yaml:", "reply"],
    },
    Wrong {
        replaced: (
            "x-config-response: ",
            "x-odd: \"${nonsense}\", x-config-response: ",
        ),
        words: &["swapgate.yaml:", "${nonsense}"],
    },
    Wrong {
        replaced: ("{response: 31s}", "{response: soon}"),
        words: &["swapgate.yaml:", "services[0].timeouts.response: ", "soon"],
    },
    Wrong {
        replaced: (
            "listeners: [",
            "listeners: [{name: taken, address: \"@taken@\"}, ",
        ),
        words: &[
            "listener taken cannot bind @taken@: ",
            "; end what listens there, or choose another address",
        ],
    },
    Wrong {
        replaced: ("state_dir: state", "state_dir: elsewhere"),
        words: &["swapgate.yaml:", "state_dir: ", "needs a restart"],
    },
    Wrong {
        replaced: ("paths: [/calls.Calls]", "paths: [calls]"),
        words: &[
            "swapgate.yaml:",
            "'calls' is not a path that can be matched",
        ],
    },
];

/// How many ways there are to be wrong.
pub(super) const WAYS: usize = WRONG.len();

impl Places {
    /// A valid configuration; `mark` stands on every request and answer it serves. What else is in it goes by its shape.
    pub(super) fn valid(&self, mark: &str, shape: usize) -> String {
        let Self { echo, calls, .. } = self;
        let other = if shape.is_multiple_of(5) {
            ", {name: other, address: \"127.0.0.1:0\"}"
        } else {
            ""
        };
        let algorithm = ["round-robin", "least-requests", "p2c-ewma"][shape / 20 % 3];
        let mut routes = String::new();
        for number in 0..shape % 4 * 10 {
            let _ = writeln!(
                routes,
                "  - {{name: r{number}, service: echo, hosts: [\"h{number}.test\"], paths: [\"/r{number}/{{id}}\"]}}"
            );
        }
        format!(
            "format: 1
listeners: [{{name: public, address: \"127.0.0.1:0\"}}{other}]
admin: {{address: \"127.0.0.1:0\"}}
plugins_dir: plugins.d
state_dir: state
faults: {{probation: 2s}}
upstreams:
  - {{name: echo, algorithm: {algorithm}, targets: [{{address: \"{echo}\"}}]}}
  - {{name: calls, protocol: h2, targets: [{{address: \"{calls}\"}}]}}
services:
  - {{name: echo, upstream: echo, timeouts: {{response: {time}s}}}}
  - {{name: calls, upstream: calls}}
routes:
  - {{name: echo, service: echo, paths: [/]}}
  - {{name: calls, service: calls, paths: [/calls.Calls]}}
{routes}plugins:
  - {{name: stamp}}
  - name: headers
    config: {{request: {{set: {{x-config-request: \"{mark}\"}}}}, response: {{set: {{x-config-response: \"{mark}\"}}}}}}
",
            time = 30 + shape % 7,
        )
    }

    /// What the gateway rests with: it answers by itself, and has other targets, so that no connection to those it had is
    /// kept.
    pub(super) fn resting(&self) -> String {
        let text = self.valid("resting", 1);
        text.replace(&self.echo, &self.taken)
            .replace(&self.calls, &self.taken)
            .replace(
                "service: echo, paths: [/]",
                "paths: [/], respond: {status: 200}",
            )
    }

    /// A configuration that is wrong in one way, and the words that its refusal must have.
    pub(super) fn wrong(&self, mark: &str, way: usize) -> (String, Vec<String>) {
        let Wrong { replaced, words } = &WRONG[way % WAYS];
        let text = self.valid(mark, 1);
        let text = text.replacen(replaced.0, replaced.1, 1);
        let words = words
            .iter()
            .map(|word| word.replace("@taken@", &self.taken));
        (text.replace("@taken@", &self.taken), words.collect())
    }
}

/// A file that no gateway should take, and words of its refusal.
pub(super) fn broken(version: &Version, way: usize) -> (Vec<u8>, &'static str) {
    let bytes = &version.bytes;
    match way % 3 {
        0 => (bytes[..bytes.len() / 2].to_vec(), "it is cut off"),
        1 => (b"this is no library\n".to_vec(), "it is a text file"),
        // What it stamps is no text, which its own `configure` finds out, in the preflight.
        _ => {
            let text = version.text.as_bytes();
            let places: Vec<usize> = bytes
                .windows(text.len())
                .enumerate()
                .filter_map(|(at, window)| (window == text).then_some(at))
                .collect();
            let mut bytes = bytes.clone();
            places.iter().for_each(|at| bytes[*at] = 0xff);
            (bytes, "the stamp in the file is not UTF-8")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Places, WAYS, WRONG};

    #[test]
    fn every_way_changes_something() {
        let places = Places {
            echo: String::from("127.0.0.1:1"),
            calls: String::from("127.0.0.1:2"),
            taken: String::from("127.0.0.1:3"),
        };
        let valid = places.valid("a", 1);
        for (way, wrong) in WRONG.iter().enumerate() {
            assert_eq!(valid.matches(wrong.replaced.0).count(), 1, "{way}");
            assert_ne!(places.wrong("a", way).0, valid);
        }
        assert_eq!(places.wrong("a", WAYS), places.wrong("a", 0));
        assert!(places.wrong("a", 7).1[0].ends_with("127.0.0.1:3: "));
        let resting = places.resting();
        assert_eq!(resting.matches("127.0.0.1:3").count(), 2);
        assert_eq!(resting.matches("respond").count(), 1);
    }
}
