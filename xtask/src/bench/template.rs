//! Configurations with places to fill in; `tests/bench/field/README.md` says which.

use crate::failure::{Failure, Outcome};

/// What is filled in.
#[derive(Debug)]
pub(crate) struct Values {
    /// Names of places, without the signs around them, and what stands there.
    pub(crate) places: Vec<(&'static str, String)>,
    pub(crate) routes: usize,
}

impl Values {
    /// Fills `text` in; a place nobody knows is a failure, for the gateway would take it for a value.
    pub(crate) fn fill(&self, text: &str) -> Outcome<String> {
        let mut filled = String::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(block) = line.trim().strip_prefix("#@") else {
                self.put(&mut filled, line, None);
                continue;
            };
            let body: Vec<&str> = lines
                .by_ref()
                .take_while(|line| line.trim() != "#@end")
                .collect();
            for number in 0..self.times(block)? {
                for line in &body {
                    self.put(&mut filled, line, Some(number));
                }
            }
        }
        match unknown_place(&filled) {
            Some(place) => Err(Failure::new(format!(
                "a template names {place}, which nobody fills in"
            ))),
            None => Ok(filled),
        }
    }

    /// Fills one word in.
    pub(crate) fn word(&self, word: &str) -> String {
        self.places
            .iter()
            .fold(word.to_owned(), |word, (place, value)| {
                word.replace(&format!("@{place}@"), value)
            })
    }

    /// The path of a route: everything where there is one, a folder of its own where there are many.
    fn path(&self, number: usize) -> String {
        match self.routes {
            1 => String::from("/"),
            _ => format!("/r{number}/"),
        }
    }

    fn times(&self, block: &str) -> Outcome<usize> {
        match block {
            "each-route" => Ok(self.routes),
            "one-route" => Ok(usize::from(self.routes == 1)),
            "many-routes" => Ok(usize::from(self.routes > 1)),
            other => Err(Failure::new(format!(
                "a template has a block {other:?}, which means nothing"
            ))),
        }
    }

    fn put(&self, filled: &mut String, line: &str, number: Option<usize>) {
        let mut line = self.word(line);
        if let Some(number) = number {
            line = line
                .replace("@NUMBER@", &number.to_string())
                .replace("@PATH@", &self.path(number));
        }
        filled.push_str(&line);
        filled.push('\n');
    }
}

/// A word in capitals between two signs.
fn unknown_place(text: &str) -> Option<String> {
    let mut parts = text.split('@').skip(1);
    let place = parts.find(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    });
    place.map(|place| format!("@{place}@"))
}

#[cfg(test)]
mod tests {
    use super::Values;

    fn values(routes: usize) -> Values {
        Values {
            places: vec![("LISTEN", String::from("[::1]:1"))],
            routes,
        }
    }

    const TEXT: &str = "on @LISTEN@;\n#@each-route\n  @NUMBER@ @PATH@\n#@end\n#@one-route\none\n#@end\n  #@many-routes\nmany\n  #@end\na@b@c\n";

    #[test]
    fn blocks_stand_as_often_as_they_should() {
        let one = values(1).fill(TEXT).unwrap();
        assert_eq!(one, "on [::1]:1;\n  0 /\none\na@b@c\n");
        let two = values(2).fill(TEXT).unwrap();
        assert_eq!(two, "on [::1]:1;\n  0 /r0/\n  1 /r1/\nmany\na@b@c\n");
    }

    #[test]
    fn places_nobody_knows_are_told() {
        let refusal = |text| values(1).fill(text).unwrap_err().to_string();
        assert_eq!(
            refusal("to @UPSTREAM@"),
            "a template names @UPSTREAM@, which nobody fills in"
        );
        assert_eq!(
            refusal("#@each-hour\n#@end"),
            "a template has a block \"each-hour\", which means nothing"
        );
    }
}
