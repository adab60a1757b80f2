//! What the parameters of the chosen route are.

use regex_automata::util::primitives::NonMaxUsize;
use smallvec::SmallVec;

use super::level::advance;
use super::order::Candidate;
use super::regex::PathRegex;
use super::table::Table;

/// Where in the path the parameters of the chosen route are. Belongs to the path and the table it was filled from; made
/// to be used again, since [`Table::find`] empties it first.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// Rank of the chosen candidate, which knows the names.
    candidate: usize,
    spans: SmallVec<[Span; 4]>,
}

/// One parameter. Not every one that has a name has a value: a group of a regular expression may not take part.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// Index into the names of the candidate.
    name: u32,
    start: u32,
    end: u32,
}

impl Span {
    fn new(name: usize, start: usize, end: usize) -> Option<Self> {
        Some(Self {
            name: name.try_into().ok()?,
            start: start.try_into().ok()?,
            end: end.try_into().ok()?,
        })
    }

    fn of(self, path: &str) -> Option<&str> {
        path.get(self.start as usize..self.end as usize)
    }
}

impl Params {
    /// The value of a parameter: a piece of the path, in normal form. One segment that is not empty, or whatever the
    /// group of a regular expression took.
    #[must_use]
    pub fn get<'p>(&self, table: &Table, path: &'p str, name: &str) -> Option<&'p str> {
        let names = &table.candidates.get(self.candidate)?.parameters;
        let index = names.iter().position(|(_, other)| **other == *name)?;
        let span = self.spans.iter().find(|span| span.name as usize == index)?;
        span.of(path)
    }

    /// Name and value of one parameter, counted from 0 and from the left.
    #[must_use]
    pub fn nth<'t, 'p>(
        &self,
        table: &'t Table,
        index: usize,
        path: &'p str,
    ) -> Option<(&'t str, &'p str)> {
        let span = self.spans.get(index)?;
        let names = &table.candidates.get(self.candidate)?.parameters;
        let (_, name) = names.get(span.name as usize)?;
        Some((name, span.of(path)?))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.spans.clear();
    }

    /// Fills in the parameters of the chosen candidate, whose segments end at `end`; gives how much of the path it took.
    pub(super) fn fill(
        &mut self,
        rank: usize,
        candidate: &Candidate,
        path: &str,
        end: usize,
    ) -> usize {
        self.candidate = rank;
        if let Some(regex) = &candidate.regex {
            return self.fill_groups(regex, path);
        }
        self.fill_segments(candidate, path);
        if candidate.tail.is_exact() {
            path.len()
        } else {
            end
        }
    }

    fn fill_segments(&mut self, candidate: &Candidate, path: &str) {
        let mut end = 0;
        let mut passed = 0;
        for (name, &(segment, _)) in candidate.parameters.iter().enumerate() {
            let start = advance(path, end, segment - passed);
            let Some((start, after)) =
                start.and_then(|start| Some((start, advance(path, start, 1)?)))
            else {
                return;
            };
            self.spans.extend(Span::new(name, start + 1, after));
            end = after;
            passed = segment + 1;
        }
    }

    fn fill_groups(&mut self, regex: &PathRegex, path: &str) -> usize {
        let slots = regex.slots(path);
        let slot = |at: usize| slots.get(at).copied().flatten().map(NonMaxUsize::get);
        for (name, &(group, _)) in regex.names().iter().enumerate() {
            if let (Some(start), Some(end)) = (slot(2 * group), slot(2 * group + 1)) {
                self.spans.extend(Span::new(name, start, end));
            }
        }
        slot(1).unwrap_or(0)
    }
}
