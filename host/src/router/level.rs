//! The paths of one host level, held by matchit in a way that cannot conflict.
//!
//! matchit answers with one entry, its own favourite, and refuses entries it finds ambiguous (`/a/{x}` beside
//! `/a/{*rest}`); users must see neither. So no router here ever holds a choice:
//!
//! - The *skeleton* holds the leading literal segments of all patterns (`/users` for `/users/{id}/posts`) and every
//!   shorter beginning of them: plain text, one entry for one text. A lookup asks it for each beginning of the path,
//!   until one is not there.
//! - At each node of the skeleton, what follows it (a parameter first) is sorted by *shape*: which segments are literal
//!   and which are parameters. Patterns of one shape differ in their literals only, so a path fits one entry at most.
//!
//! A regular expression is kept at the node of the literal segments that it surely begins with, together with all others
//! that begin so (see [`super::regex`]); those that fit are found in one pass over the path.
//!
//! All candidates a path fits are in the lists of these entries, each list sorted by rank. The number of questions is
//! bounded by the segments of the path and the shapes at the nodes it passes, not by the number of routes. Nothing is
//! allocated (but see [`super::regex`] for what expressions keep): matchit does so when it backtracks from a literal to a parameter, which cannot happen here, and for the
//! fourth parameter, so shapes are cut into stages of three.

use std::collections::HashMap;
use std::sync::Arc;

use thiserror::Error;

use super::order::Candidate;
use super::pattern::{PathKind, PathPattern, Plain, Segment};
use super::regex::{Expressions, PathRegex};

/// As many parameters as matchit holds without allocating.
const STAGE_PARAMETERS: usize = 3;

/// A pattern does not fit beside the others. What this page says keeps it from happening; if it did, a table without the
/// pattern could lead its requests to a route with fewer plugins, so there is none then.
#[derive(Debug, Error)]
#[error(
    "the path {text} cannot be held beside the others; this is a fault of the gateway, so keep the configuration of before and report it"
)]
pub struct Misfit {
    text: String,
}

impl Misfit {
    fn of(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

/// The paths of one host level.
#[derive(Debug, Default)]
pub(super) struct Level {
    root: Node,
    /// From leading literal segments to an index into `nodes`.
    skeleton: matchit::Router<usize>,
    nodes: Vec<Node>,
}

/// A place in the skeleton.
#[derive(Debug, Default)]
struct Node {
    /// Candidates whose pattern has no segments after this place, by rank.
    here: Vec<usize>,
    shapes: Vec<Shape>,
    /// Regular expressions that begin with the segments so far.
    regexes: Option<Box<Regexes>>,
}

/// The regular expressions at one node.
#[derive(Debug, Default)]
struct Regexes {
    expressions: Expressions,
    /// Candidates by rank, for each expression.
    lists: Vec<Vec<usize>>,
    /// Where each expression is in `lists`, while the table is built: routes that write the same one share a list.
    places: HashMap<Box<str>, usize>,
}

/// Patterns that agree in which of their segments are parameters.
#[derive(Debug)]
struct Shape {
    parameters: Vec<bool>,
    stages: Vec<Stage>,
    /// Candidates by rank, for each value of the last stage.
    lists: Vec<Vec<usize>>,
}

/// Some segments of a shape. The value of an entry says which router of the next stage goes on.
#[derive(Debug)]
struct Stage {
    segments: usize,
    routers: Vec<matchit::Router<usize>>,
}

impl Level {
    /// Adds the candidate with this rank. Ranks must come in ascending order.
    pub(super) fn insert(
        &mut self,
        pattern: &PathPattern,
        (rank, candidate): (usize, &Candidate),
        candidates: &[Candidate],
    ) -> Result<(), Misfit> {
        let list = match &pattern.kind {
            PathKind::Plain(plain) => self.plain(plain)?,
            PathKind::Regex(regex) => self.regex(regex)?,
        };
        let better = list.iter().filter_map(|&rank| candidates.get(rank));
        if !candidate.is_covered(better) {
            list.push(rank);
        }
        Ok(())
    }

    /// Makes the level ready to be asked, once everything is in it.
    pub(super) fn finish(&mut self) {
        for node in self.nodes.iter_mut().chain([&mut self.root]) {
            if let Some(regexes) = &mut node.regexes {
                regexes.expressions.finish();
                regexes.places = HashMap::new();
            }
        }
    }

    fn plain(&mut self, pattern: &Plain) -> Result<&mut Vec<usize>, Misfit> {
        let mut literals = Vec::new();
        let mut rest = &*pattern.segments;
        while let [Segment::Literal(text), others @ ..] = rest {
            literals.push(&**text);
            rest = others;
        }
        let node = self.node(literals.into_iter())?;
        if rest.is_empty() {
            Ok(&mut node.here)
        } else {
            node.list(rest)
        }
    }

    fn regex(&mut self, regex: &Arc<PathRegex>) -> Result<&mut Vec<usize>, Misfit> {
        let node = self.node(regex.leading().iter().map(|text| &**text))?;
        let regexes = node.regexes.get_or_insert_default();
        let known = regexes.places.get(regex.text()).copied();
        let at = known.unwrap_or_else(|| {
            regexes.lists.push(Vec::new());
            let at = regexes.expressions.add(regex);
            regexes.places.insert(regex.text().into(), at);
            at
        });
        let list = regexes.lists.get_mut(at);
        list.ok_or_else(|| Misfit::of(regex.text()))
    }

    /// The node behind these literal segments, made if it is not there.
    fn node<'s>(&mut self, leading: impl Iterator<Item = &'s str>) -> Result<&mut Node, Misfit> {
        let mut at = None;
        let mut text = String::new();
        for segment in leading {
            text.push('/');
            text.push_str(segment);
            let id = id_of(&mut self.skeleton, &text, self.nodes.len())?;
            if id == self.nodes.len() {
                self.nodes.push(Node::default());
            }
            at = Some(id);
        }
        match at {
            Some(id) => self.nodes.get_mut(id).ok_or_else(|| Misfit::of(text)),
            None => Ok(&mut self.root),
        }
    }

    /// Shows every list of candidates whose segments the path begins with, and where in the path these end; and every
    /// list of candidates whose regular expression fits, with 0.
    pub(super) fn walk(&self, path: &str, mut see: impl FnMut(&[usize], usize)) {
        let mut node = &self.root;
        let mut end = 0;
        loop {
            node.walk(path, end, &mut see);
            let Some(next) = advance(path, end, 1) else {
                return;
            };
            let Some(Ok(found)) = path.get(..next).map(|text| self.skeleton.at(text)) else {
                return;
            };
            let Some(deeper) = self.nodes.get(*found.value) else {
                return;
            };
            node = deeper;
            end = next;
        }
    }
}

impl Node {
    fn walk(&self, path: &str, end: usize, see: &mut impl FnMut(&[usize], usize)) {
        if !self.here.is_empty() {
            see(&self.here, end);
        }
        for shape in &self.shapes {
            if let Some((list, end)) = shape.find(path, end) {
                see(list, end);
            }
        }
        if let Some(regexes) = &self.regexes {
            regexes.expressions.search(path, |at| {
                if let Some(list) = regexes.lists.get(at) {
                    see(list, 0);
                }
            });
        }
    }

    /// The list for a pattern that goes on with these segments.
    fn list(&mut self, rest: &[Segment]) -> Result<&mut Vec<usize>, Misfit> {
        let parameters: Vec<bool> = rest
            .iter()
            .map(|segment| matches!(segment, Segment::Parameter(_)))
            .collect();
        let at = self
            .shapes
            .iter()
            .position(|shape| shape.parameters == parameters);
        let at = at.unwrap_or_else(|| {
            self.shapes.push(Shape::new(parameters));
            self.shapes.len() - 1
        });
        let shape = self.shapes.get_mut(at);
        shape.ok_or_else(|| Misfit::of(spelt(rest)))?.list(rest)
    }
}

impl Shape {
    fn new(parameters: Vec<bool>) -> Self {
        let mut stages: Vec<Stage> = Vec::new();
        let mut free = 0;
        for &parameter in &parameters {
            if stages.is_empty() || (parameter && free == 0) {
                stages.push(Stage {
                    segments: 0,
                    routers: Vec::new(),
                });
                free = STAGE_PARAMETERS;
            }
            if let Some(stage) = stages.last_mut() {
                stage.segments += 1;
            }
            free -= usize::from(parameter);
        }
        Self {
            parameters,
            stages,
            lists: Vec::new(),
        }
    }

    fn list(&mut self, pattern: &[Segment]) -> Result<&mut Vec<usize>, Misfit> {
        let mut id = 0;
        let mut rest = pattern;
        let mut stages = &mut *self.stages;
        while let [stage, later @ ..] = stages {
            let next = match &*later {
                [stage, ..] => stage.routers.len(),
                [] => self.lists.len(),
            };
            if stage.routers.len() <= id {
                stage.routers.resize_with(id + 1, matchit::Router::new);
            }
            let parts = rest.split_at_checked(stage.segments);
            let (Some(router), Some((these, others))) = (stage.routers.get_mut(id), parts) else {
                return Err(Misfit::of(spelt(pattern)));
            };
            id = id_of(router, &spelt(these), next)?;
            (stages, rest) = (later, others);
        }
        if self.lists.len() <= id {
            self.lists.resize_with(id + 1, Vec::new);
        }
        let list = self.lists.get_mut(id);
        list.ok_or_else(|| Misfit::of(spelt(pattern)))
    }

    fn find(&self, path: &str, start: usize) -> Option<(&[usize], usize)> {
        let mut id = 0;
        let mut start = start;
        for stage in &self.stages {
            let end = advance(path, start, stage.segments)?;
            id = *stage.routers.get(id)?.at(path.get(start..end)?).ok()?.value;
            start = end;
        }
        Some((self.lists.get(id)?, start))
    }
}

/// Where the path is after this many more segments; none when it has not as many, or one of them is empty (a pattern
/// has no empty segments, and no parameter takes one).
pub(super) fn advance(path: &str, from: usize, segments: usize) -> Option<usize> {
    let mut end = from;
    for _ in 0..segments {
        let rest = path.get(end..)?.strip_prefix('/')?;
        let length = rest
            .bytes()
            .position(|byte| byte == b'/')
            .unwrap_or(rest.len());
        if length == 0 {
            return None;
        }
        end += 1 + length;
    }
    Some(end)
}

/// Segments in matchit's spelling. All parameters are called the same, and literals have no braces to escape.
fn spelt(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments {
        text.push('/');
        text.push_str(match segment {
            Segment::Literal(literal) => literal,
            Segment::Parameter(_) => "{p}",
        });
    }
    text
}

/// The value under this text, which becomes `next` when there is none. A pattern also fits its own text read as a path.
fn id_of(router: &mut matchit::Router<usize>, text: &str, next: usize) -> Result<usize, Misfit> {
    if let Ok(found) = router.at(text) {
        return Ok(*found.value);
    }
    // Entries of one shape cannot conflict.
    let inserted = router.insert(text, next);
    inserted.map(|()| next).map_err(|_| Misfit::of(text))
}
