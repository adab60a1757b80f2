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

use super::order::Candidate;
use super::pattern::{PathKind, PathPattern, Plain, Segment};
use super::regex::{Expressions, PathRegex};

/// As many parameters as matchit holds without allocating.
const STAGE_PARAMETERS: usize = 3;

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
    pub(super) fn insert(&mut self, pattern: &PathPattern, rank: usize, candidates: &[Candidate]) {
        let list = match &pattern.kind {
            PathKind::Plain(plain) => self.plain(plain),
            PathKind::Regex(regex) => self.regex(regex),
        };
        let better = list.iter().filter_map(|&rank| candidates.get(rank));
        if !candidates[rank].is_covered(better) {
            list.push(rank);
        }
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

    fn plain(&mut self, pattern: &Plain) -> &mut Vec<usize> {
        let literals = pattern.segments.iter().map_while(|segment| match segment {
            Segment::Literal(text) => Some(&**text),
            Segment::Parameter(_) => None,
        });
        let rest = &pattern.segments[literals.clone().count()..];
        let node = self.node(literals);
        if rest.is_empty() {
            &mut node.here
        } else {
            node.list(rest)
        }
    }

    fn regex(&mut self, regex: &Arc<PathRegex>) -> &mut Vec<usize> {
        let node = self.node(regex.leading().iter().map(|text| &**text));
        let regexes = node.regexes.get_or_insert_default();
        let known = regexes.places.get(regex.text()).copied();
        let at = known.unwrap_or_else(|| {
            regexes.lists.push(Vec::new());
            let at = regexes.expressions.add(regex);
            regexes.places.insert(regex.text().into(), at);
            at
        });
        &mut regexes.lists[at]
    }

    /// The node behind these literal segments, made if it is not there.
    fn node<'s>(&mut self, leading: impl Iterator<Item = &'s str>) -> &mut Node {
        let mut at = None;
        let mut text = String::new();
        for segment in leading {
            text.push('/');
            text.push_str(segment);
            let id = id_of(&mut self.skeleton, &text, self.nodes.len());
            if id == self.nodes.len() {
                self.nodes.push(Node::default());
            }
            at = Some(id);
        }
        match at {
            Some(id) => &mut self.nodes[id],
            None => &mut self.root,
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
    fn list(&mut self, rest: &[Segment]) -> &mut Vec<usize> {
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
        self.shapes[at].list(rest)
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

    fn list(&mut self, mut rest: &[Segment]) -> &mut Vec<usize> {
        let mut id = 0;
        for index in 0..self.stages.len() {
            let next = self
                .stages
                .get(index + 1)
                .map_or(self.lists.len(), |stage| stage.routers.len());
            let stage = &mut self.stages[index];
            if stage.routers.len() <= id {
                stage.routers.resize_with(id + 1, matchit::Router::new);
            }
            let (these, others) = rest.split_at(stage.segments);
            let mut text = String::new();
            these
                .iter()
                .for_each(|segment| push_text(&mut text, segment));
            id = id_of(&mut stage.routers[id], &text, next);
            rest = others;
        }
        if self.lists.len() <= id {
            self.lists.resize_with(id + 1, Vec::new);
        }
        &mut self.lists[id]
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

/// A segment in matchit's spelling. All parameters are called the same, and literals have no braces to escape.
fn push_text(text: &mut String, segment: &Segment) {
    text.push('/');
    text.push_str(match segment {
        Segment::Literal(literal) => literal,
        Segment::Parameter(_) => "{p}",
    });
}

/// The value under this text, which becomes `next` when there is none. A pattern also fits its own text read as a path.
fn id_of(router: &mut matchit::Router<usize>, text: &str, next: usize) -> usize {
    if let Ok(found) = router.at(text) {
        return *found.value;
    }
    let inserted = router.insert(text, next);
    assert!(
        inserted.is_ok(),
        "entries of one shape cannot conflict: {text}: {inserted:?}"
    );
    next
}
