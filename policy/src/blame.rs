//! The part of a rule that a warning is about, and how to show it. It judges nothing.

use std::ops::Range;

use crate::{Diagnostic, Place, Source, rule::Rule};

/// A part of a rule, found again in the text that the policy was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// The rule's name.
    pub rule: String,
    /// Where the rule begins.
    pub place: Place,
    part: Range<usize>,
}

impl Blame {
    /// What a rule says of when it applies.
    pub(crate) fn when(rule: &Rule) -> Self {
        Self::of(rule, &rule.written.when)
    }

    /// What it demands.
    pub(crate) fn require(rule: &Rule) -> Self {
        Self::of(rule, &rule.written.require)
    }

    fn of(rule: &Rule, part: &Range<usize>) -> Self {
        Self {
            rule: rule.name.clone(),
            place: rule.place.clone(),
            part: part.clone(),
        }
    }

    /// `message`, at the part's line and column. `None` if the rule is in none of these sources.
    pub fn diagnostic(&self, sources: &[Source<'_>], message: String) -> Option<Diagnostic> {
        let source = sources
            .iter()
            .find(|source| *source.name == *self.place.file)?;
        Some(Diagnostic::at(source, self.part.clone(), message))
    }
}
