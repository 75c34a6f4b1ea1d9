//! Proves that one rule's conditions imply another's, or contradict each other. It says yes only where that is certain, and
//! gives up when it takes too long.
//!
//! What it proves is an order of answers, no < unknown < yes, that holds for every login: `a ≤ b`. Conditions of one kind ask
//! for the same fact, so that a list within another answers ≤ also where that fact is not known. `all` is the smaller
//! of answers, `any` the greater, and `not` turns the order around; so each step below holds for unknown answers too.

use crate::{
    condition::{Meaning, Part, Span, When},
    name::{Case, glob},
    rule::Rule,
};

/// Comparisons after which it gives up: many thousand rules, all different, would take minutes.
const PATIENCE: u64 = 3_000_000;
/// Most conditions that are considered together.
const MOST_PARTS: usize = 1024;

/// Conditions that all hold.
type Together<'p> = Vec<&'p Part>;

/// Compares conditions.
#[derive(Debug)]
pub(crate) struct Prover {
    left: u64,
}

impl Default for Prover {
    fn default() -> Self {
        Self { left: PATIENCE }
    }
}

impl Prover {
    /// Whether it has given up, so that its later answers mean nothing.
    pub(crate) fn gave_up(&self) -> bool {
        self.left == 0
    }

    /// The first of some rules of which, for every login, the answer is ≥ that of `conditions`.
    pub(crate) fn covering<'r>(
        &mut self,
        conditions: &When,
        rules: &[&'r Rule],
    ) -> Option<&'r Rule> {
        let together = together(&conditions.0);
        for rule in rules {
            if self.gave_up() {
                return None;
            }
            if self.implied(&together, &rule.when) {
                return Some(rule);
            }
        }
        None
    }

    /// Whether the answer of `when` is never yes.
    pub(crate) fn is_impossible(&mut self, when: &When) -> bool {
        let together = together(&when.0);
        self.impossible(&together)
    }

    fn spend(&mut self, steps: usize) -> bool {
        self.left = self.left.saturating_sub(steps as u64);
        self.left > 0
    }

    /// together ≤ goal
    fn implied(&mut self, together: &[&Part], goal: &When) -> bool {
        goal.0.iter().all(|part| self.implied_part(together, part))
    }

    fn implied_part(&mut self, held: &[&Part], goal: &Part) -> bool {
        if !self.spend(1 + held.len()) {
            return false;
        }
        let direct = match goal.condition.meaning() {
            Meaning::All(whens) => whens.iter().all(|when| self.implied(held, when)),
            Meaning::Any(whens) => whens.iter().any(|when| self.implied(held, when)),
            Meaning::Not(when) => self.excluded(held, when),
            Meaning::Opaque => held.iter().any(|part| same(part, goal)),
            Meaning::Names { patterns, .. } => held
                .iter()
                .any(|part| part.kind.key == goal.kind.key && self.names_within(part, &patterns)),
            Meaning::Spans(spans) => held
                .iter()
                .any(|part| part.kind.key == goal.kind.key && self.spans_within(part, &spans)),
        };
        direct || self.by_cases(held, &mut |prover, held| prover.implied_part(held, goal))
    }

    /// together ≤ not when
    fn excluded(&mut self, held: &[&Part], when: &When) -> bool {
        if !self.spend(1 + held.len()) {
            return false;
        }
        let inner = together(&when.0);
        let refuted = held.iter().any(|part| match part.condition.meaning() {
            Meaning::Not(other) => self.implied(&inner, other),
            _ => false,
        });
        refuted || when.0.iter().any(|part| self.excluded_part(held, part))
    }

    fn excluded_part(&mut self, held: &[&Part], part: &Part) -> bool {
        match part.condition.meaning() {
            Meaning::Any(whens) => whens.iter().all(|when| self.excluded(held, when)),
            Meaning::All(whens) => whens.iter().any(|when| self.excluded(held, when)),
            Meaning::Not(when) => self.implied(held, when),
            Meaning::Opaque | Meaning::Names { .. } | Meaning::Spans(_) => {
                held.iter().any(|one| self.disjoint(one, part))
            }
        }
    }

    /// The answer of all together is never yes.
    fn impossible(&mut self, held: &[&Part]) -> bool {
        if !self.spend(1 + held.len()) {
            return false;
        }
        let contradicted = held.iter().any(|part| match part.condition.meaning() {
            Meaning::Not(when) => self.implied(held, when),
            _ => held.iter().any(|other| self.disjoint(part, other)),
        });
        contradicted || self.by_cases(held, &mut |prover, held| prover.impossible(held))
    }

    /// Whether something holds for each table of one of the `any` among `held`, put in its place.
    fn by_cases(
        &mut self,
        held: &[&Part],
        holds: &mut dyn FnMut(&mut Self, &[&Part]) -> bool,
    ) -> bool {
        for (position, part) in held.iter().enumerate() {
            // Asked by the key first: to ask for a meaning may cost a list.
            if part.kind.key != "any" {
                continue;
            }
            let Meaning::Any(whens) = part.condition.meaning() else {
                continue;
            };
            let (before, after) = (held.get(..position), held.get(position + 1..));
            let others = [before.unwrap_or_default(), after.unwrap_or_default()].concat();
            let every = whens.iter().all(|when| {
                let mut case = others.clone();
                case.extend(together(&when.0));
                case.len() <= MOST_PARTS && self.spend(case.len()) && holds(self, &case)
            });
            if every {
                return true;
            }
        }
        false
    }

    /// Whether a part's names are all among those that `patterns` fit.
    fn names_within(&mut self, part: &Part, patterns: &[String]) -> bool {
        let Meaning::Names {
            patterns: names, ..
        } = part.condition.meaning()
        else {
            return false;
        };
        names.iter().all(|name| {
            self.spend(patterns.len()) && patterns.iter().any(|pattern| covers(pattern, name))
        })
    }

    fn spans_within(&mut self, part: &Part, spans: &[Span]) -> bool {
        let Meaning::Spans(inner) = part.condition.meaning() else {
            return false;
        };
        let outer = merged(spans);
        self.spend(inner.len() + spans.len())
            && inner.iter().all(|(space, first, last)| {
                outer
                    .iter()
                    .any(|(other, from, to)| other == space && from <= first && last <= to)
            })
    }

    /// Whether no login has both.
    fn disjoint(&mut self, one: &Part, other: &Part) -> bool {
        if one.kind.key != other.kind.key {
            return false;
        }
        match (one.condition.meaning(), other.condition.meaning()) {
            (
                Meaning::Names {
                    patterns: ours,
                    sole,
                },
                Meaning::Names {
                    patterns: theirs, ..
                },
            ) => {
                sole && self.spend(ours.len().saturating_mul(theirs.len()))
                    && ours.iter().all(|name| apart(name, &theirs))
            }
            (Meaning::Spans(ours), Meaning::Spans(theirs)) => {
                let (ours, theirs) = (merged(&ours), merged(&theirs));
                self.spend(ours.len().saturating_mul(theirs.len()))
                    && ours.iter().all(|(space, first, last)| {
                        theirs
                            .iter()
                            .all(|(other, from, to)| other != space || last < from || to < first)
                    })
            }
            _ => false,
        }
    }
}

/// The conditions, with those within `all` taken out of it.
fn together(parts: &[Part]) -> Together<'_> {
    let mut found = Vec::with_capacity(parts.len());
    for part in parts {
        if part.kind.key == "all"
            && let Meaning::All(whens) = part.condition.meaning()
        {
            found.extend(whens.iter().flat_map(|when| together(&when.0)));
        } else {
            found.push(part);
        }
    }
    found
}

fn same(one: &Part, other: &Part) -> bool {
    one.kind.key == other.kind.key && one.condition.to_string() == other.condition.to_string()
}

fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Whether `pattern` fits every name that `inner` fits. The signs of `inner` are taken for characters that nothing but a `*`
/// stands for; a `?` could stand for a `*` by mistake.
fn covers(pattern: &str, inner: &str) -> bool {
    pattern == inner
        || (!(pattern.contains('?') && inner.contains('*')) && glob(pattern, inner, Case::Matters))
}

/// Whether no name fits both. Of two globs that is not told.
fn apart(name: &str, patterns: &[String]) -> bool {
    patterns
        .iter()
        .all(|other| match (is_glob(name), is_glob(other)) {
            (false, false) => name != other,
            (false, true) => !glob(other, name, Case::Matters),
            (true, false) => !glob(name, other, Case::Matters),
            (true, true) => false,
        })
}

/// The same numbers in as few spans as possible.
fn merged(spans: &[Span]) -> Vec<Span> {
    let mut spans = spans.to_vec();
    spans.sort_unstable();
    spans.dedup_by(|next, kept| {
        let joins = next.0 == kept.0 && next.1 <= kept.2.saturating_add(1);
        if joins {
            kept.2 = kept.2.max(next.2);
        }
        joins
    });
    spans
}
