//! Many regular expressions, asked at once.
//!
//! Where several expressions stand at one place of a level they are compiled into one lazy DFA that reports every
//! expression that fits in one pass over the path, so that the time depends on the path and not on how many there are.
//! Its states are made as paths are seen, in a cache that each thread needs for itself. The caches are in a pool: the
//! thread that asked first owns one and reaches it with one atomic load; every other worker takes one off one of a few
//! stacks by `try_lock`, which never waits (a worker that finds the stack taken makes a cache of its own for this one
//! lookup). A cache is bounded and starts afresh when it is full, so paths made to fill it cost time linear in their
//! length and in the expressions at that place, and no more memory. What an expression captured is read afterwards, for
//! the chosen route alone.

use std::fmt;
use std::sync::Arc;

use regex_automata::MatchKind;
use regex_automata::hybrid::dfa::{Cache, DFA, OverlappingState};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;

use super::{PathRegex, anchored, over_paths};

/// What the states of many expressions may take for each thread: the least, for each expression, the most.
const CACHE: (usize, usize, usize) = (256 * 1024, 4 * 1024, 16 * 1024 * 1024);

/// What many expressions may take together when they are compiled. Each is bounded by itself, but there may be thousands.
const SIZE_LIMIT: usize = 16 * 1024 * 1024;

/// Many expressions, asked at once.
#[derive(Default)]
pub(in crate::router) struct Expressions {
    each: Vec<Arc<PathRegex>>,
    /// None where there is one expression only, or where they would take too much; they are then asked one by one.
    all: Option<Together>,
}

struct Together {
    dfa: DFA,
    pool: Pool<Scratch, Box<dyn Fn() -> Scratch + Send + Sync>>,
}

/// What one search needs besides the automaton.
struct Scratch {
    cache: Cache,
    /// One bit for each expression that was reported already: it is, once for each place where it could end.
    seen: Vec<u64>,
}

impl Expressions {
    /// The position of an expression, which is added if it is new.
    pub(in crate::router) fn add(&mut self, regex: &Arc<PathRegex>) -> usize {
        self.each.push(Arc::clone(regex));
        self.each.len() - 1
    }

    /// Compiles them, once all are there.
    pub(in crate::router) fn finish(&mut self) {
        self.all = if self.each.len() > 1 {
            Together::new(&self.each)
        } else {
            None
        };
    }

    /// Shows the position of every expression that fits, in no order.
    pub(in crate::router) fn search(&self, path: &str, mut see: impl FnMut(usize)) {
        if let Some(all) = &self.all
            && all.search(path, &mut see)
        {
            return;
        }
        for (at, regex) in self.each.iter().enumerate() {
            if regex.fits(path) {
                see(at);
            }
        }
    }
}

impl fmt::Debug for Expressions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.each).finish()
    }
}

impl Together {
    /// None if they are too many for one automaton; they are then asked one by one.
    fn new(each: &[Arc<PathRegex>]) -> Option<Self> {
        let (least, share, most) = CACHE;
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity((share * each.len()).clamp(least, most))
            .skip_cache_capacity_check(true);
        let texts: Vec<&str> = each.iter().map(|regex| regex.text()).collect();
        let dfa = DFA::builder()
            .configure(config)
            .syntax(over_paths())
            .thompson(
                thompson::Config::new()
                    .utf8(false)
                    .which_captures(thompson::WhichCaptures::None)
                    .nfa_size_limit(Some(SIZE_LIMIT)),
            )
            .build_many(&texts)
            .ok()?;
        let (maker, words) = (dfa.clone(), each.len().div_ceil(64));
        let make = move || Scratch {
            cache: maker.create_cache(),
            seen: vec![0; words],
        };
        Some(Self {
            dfa,
            pool: Pool::new(Box::new(make)),
        })
    }

    /// False if the automaton gave up, which it is not configured to do.
    fn search(&self, path: &str, see: &mut impl FnMut(usize)) -> bool {
        let mut scratch = self.pool.get();
        let Scratch { cache, seen } = &mut *scratch;
        seen.fill(0);
        let input = anchored(path);
        let mut state = OverlappingState::start();
        loop {
            let searched = self
                .dfa
                .try_search_overlapping_fwd(cache, &input, &mut state);
            if searched.is_err() {
                return false;
            }
            let Some(found) = state.get_match() else {
                return true;
            };
            let at = found.pattern().as_usize();
            let Some(word) = seen.get_mut(at / 64) else {
                return true;
            };
            let bit = 1 << (at % 64);
            if *word & bit == 0 {
                *word |= bit;
                see(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_answer_like_each() {
        let texts = [
            "/a/.*",
            "/a/b",
            "/a/[a-z]+$",
            "/(a|b)/x",
            r"/a/\w+\b",
            "/.*/z",
            ".*",
        ];
        let mut many = Expressions::default();
        for text in texts {
            many.add(&Arc::new(PathRegex::parse(text).unwrap()));
        }
        many.finish();
        assert!(many.all.is_some());
        for path in [
            "/", "/a/b", "/a/bcd/z", "/b/x", "/a/x", "/c", "/a/", "/a/b-",
        ] {
            let mut found = Vec::new();
            many.search(path, |at| found.push(at));
            found.sort_unstable();
            let each: Vec<usize> = (0..texts.len())
                .filter(|&at| many.each[at].fits(path))
                .collect();
            assert_eq!(found, each, "{path}");
        }
    }

    #[test]
    fn what_would_take_too_much_is_asked_one_by_one() {
        // Just below what one expression may take; together they are far above what all may.
        let heavy = Arc::new(PathRegex::parse("/((x{30}){30}){20}").unwrap());
        let mut many = Expressions::default();
        for _ in 0..100 {
            many.add(&heavy);
        }
        many.add(&Arc::new(PathRegex::parse("/y").unwrap()));
        many.finish();
        assert!(many.all.is_none());
        let mut found = Vec::new();
        many.search("/y/z", |at| found.push(at));
        assert_eq!(found, [100]);
    }
}
