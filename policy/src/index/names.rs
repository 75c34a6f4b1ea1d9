//! Finds the patterns that match a name: exact ones by the name, globs by what stands before their first wildcard, or
//! else after their last.

use std::collections::{BTreeSet, HashMap};

use super::bits::{Bits, Posting};
use crate::name::{Case, glob};

/// Patterns, and the rules that have them.
#[derive(Debug, Default)]
pub(super) struct NameIndex {
    exact: HashMap<Box<str>, Posting>,
    /// Globs by what they begin with, and the lengths of that.
    beginning: HashMap<Box<str>, Vec<Glob>>,
    beginnings: BTreeSet<usize>,
    /// Of those that begin with a wildcard, by what they end with.
    ending: HashMap<Box<str>, Vec<Glob>>,
    endings: BTreeSet<usize>,
}

#[derive(Debug)]
struct Glob {
    pattern: Box<str>,
    rules: Posting,
}

impl NameIndex {
    /// Puts a rule's pattern in. Rules come in order.
    pub(super) fn insert(&mut self, pattern: &str, rule: u32) {
        let wildcard = ['*', '?'];
        let Some(first) = pattern.find(wildcard) else {
            let posting = self.exact.entry(pattern.into());
            posting
                .and_modify(|posting| posting.push(rule))
                .or_insert(Posting::One(rule));
            return;
        };
        let after = pattern.rfind(wildcard).map_or(0, |last| last + 1);
        let globs = if first > 0 {
            let literal = pattern.get(..first).unwrap_or_default();
            self.beginnings.insert(literal.len());
            self.beginning.entry(literal.into()).or_default()
        } else {
            let literal = pattern.get(after..).unwrap_or_default();
            self.endings.insert(literal.len());
            self.ending.entry(literal.into()).or_default()
        };
        // Rules come in order, so that those of one pattern are often neighbours; others may stand in the list twice.
        match globs.last_mut().filter(|glob| *glob.pattern == *pattern) {
            Some(glob) => glob.rules.push(rule),
            None => globs.push(Glob {
                pattern: pattern.into(),
                rules: Posting::One(rule),
            }),
        }
    }

    /// Takes the form that is quickest, of `count` rules in all.
    pub(super) fn finish(&mut self, count: usize) {
        for posting in self.exact.values_mut() {
            posting.finish(count);
        }
        for globs in self.beginning.values_mut().chain(self.ending.values_mut()) {
            for glob in globs {
                glob.rules.finish(count);
            }
        }
    }

    /// Puts the rules of every pattern that matches `name` into `found`.
    pub(super) fn find(&self, name: &str, found: &mut Bits) {
        if let Some(posting) = self.exact.get(name) {
            posting.add_to(found);
        }
        let within = |lengths: &BTreeSet<usize>| {
            let lengths = lengths.range(..=name.len());
            lengths.copied().collect::<Vec<usize>>()
        };
        for length in within(&self.beginnings) {
            add(name, name.get(..length), &self.beginning, found);
        }
        for length in within(&self.endings) {
            add(name, name.get(name.len() - length..), &self.ending, found);
        }
    }
}

/// `literal` is `None` where the length ends inside a character of the name.
fn add(name: &str, literal: Option<&str>, globs: &HashMap<Box<str>, Vec<Glob>>, found: &mut Bits) {
    let candidates = literal.and_then(|literal| globs.get(literal));
    for candidate in candidates.into_iter().flatten() {
        // Names and patterns were brought to one case before.
        if glob(&candidate.pattern, name, Case::Matters) {
            candidate.rules.add_to(found);
        }
    }
}
