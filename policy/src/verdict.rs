//! What a rule demands: the values of `require`, and how a floor tightens one.

use std::fmt;

use crate::{
    Vocabulary,
    diagnostic::quoted,
    document::{Findings, QuotedList, Table, Value},
};

/// Most factors that one login may demand.
const MAX_COUNT: u32 = 3;

/// What a login needs. Displayed as the value of `require`.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No second factor.
    NotRequired,
    /// These.
    Require(Requirement),
    /// It is refused, whatever it brings.
    Deny,
}

/// Which second factors, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Factors of which `count` different ones are needed. Empty: any that the user has enrolled.
    pub any: Vec<String>,
    /// At least 1.
    pub count: u8,
}

impl Requirement {
    /// One factor, whichever the user has.
    pub const fn any_factor() -> Self {
        Self {
            any: Vec::new(),
            count: 1,
        }
    }
}

impl Verdict {
    /// Reads the value of `require`.
    pub(crate) fn read(
        value: Value<'_>,
        vocabulary: &Vocabulary<'_>,
        findings: &mut Findings<'_>,
    ) -> Option<Self> {
        match value.as_str() {
            Some("none") => return Some(Self::NotRequired),
            Some("deny") => return Some(Self::Deny),
            Some("any") => return Some(Self::Require(Requirement::any_factor())),
            _ => {}
        }
        let Some(table) = value.as_table("`require`") else {
            let found = value.as_str().map_or_else(|| "this".to_owned(), quoted);
            value.error(
                findings,
                format!(
                    "`require` cannot be {found}; write \"none\", \"any\", \"deny\" or a table such as {{ any = [\"totp\"], count = 1 }}"
                ),
            );
            return None;
        };
        Requirement::read(table, vocabulary, findings).map(Self::Require)
    }

    /// The weakest verdict at hand that is as strict as both: whoever meets it meets `self` and `floor`.
    ///
    /// `factors` is every factor there is, which an empty [`Requirement::any`] stands for.
    pub(crate) fn tightened(&self, floor: &Self, factors: &[String]) -> Self {
        match (self, floor) {
            (Self::Deny, _) | (_, Self::Deny) => Self::Deny,
            (Self::NotRequired, other) | (other, Self::NotRequired) => other.clone(),
            (Self::Require(ours), Self::Require(floor)) => {
                Self::Require(ours.tightened(floor, factors))
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRequired => f.write_str("\"none\""),
            Self::Deny => f.write_str("\"deny\""),
            Self::Require(requirement) => requirement.fmt(f),
        }
    }
}

impl Requirement {
    fn read(
        table: Table<'_>,
        vocabulary: &Vocabulary<'_>,
        findings: &mut Findings<'_>,
    ) -> Option<Self> {
        if table.is_empty() {
            let message = "`require` is empty; for any factor the user has, write \"any\"";
            findings.error(table.span(), message);
            return None;
        }
        let any = match table.take("any") {
            Some(value) => factors(value, vocabulary, findings),
            None => Some(Vec::new()),
        };
        let written = table.take("count");
        let count = match written {
            Some(value) => value.integer(1..=MAX_COUNT, findings),
            None => Some(1),
        };
        table.finish(findings);

        let (any, count) = (any?, count?);
        let choice = if any.is_empty() {
            vocabulary.factors.len()
        } else {
            any.len()
        };
        if let (Some(value), true) = (written, count as usize > choice) {
            let message =
                format!("`count` is {count}, but there are only {choice} factors to choose from");
            value.error(findings, message);
            return None;
        }
        let count = u8::try_from(count).ok()?;
        Some(Self { any, count })
    }

    /// Where both lists share enough factors, those; else as many of either list's factors as make sure that both
    /// have their share. The latter asks for more than each alone, which is the price of one list and one number.
    fn tightened(&self, floor: &Self, factors: &[String]) -> Self {
        let count = self.count.max(floor.count);
        let (ours, theirs) = (self.choice(factors), floor.choice(factors));
        let shared: Vec<String> = ours
            .iter()
            .filter(|word| theirs.contains(word))
            .cloned()
            .collect();
        if shared.len() >= usize::from(count) {
            let everything = self.any.is_empty() && floor.any.is_empty();
            let any = if everything { Vec::new() } else { shared };
            return Self { any, count };
        }
        let missed_by = |mine: &[String], other: &[String]| {
            other.iter().filter(|word| !mine.contains(word)).count()
        };
        let for_ours = missed_by(ours, theirs) + usize::from(self.count);
        let for_theirs = missed_by(theirs, ours) + usize::from(floor.count);
        let added = theirs.iter().filter(|word| !ours.contains(word));
        Self {
            any: ours.iter().chain(added).cloned().collect(),
            count: u8::try_from(for_ours.max(for_theirs)).unwrap_or(u8::MAX),
        }
    }

    fn choice<'a>(&'a self, factors: &'a [String]) -> &'a [String] {
        if self.any.is_empty() {
            factors
        } else {
            &self.any
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.any.as_slice(), self.count) {
            ([], 1) => f.write_str("\"any\""),
            ([], count) => write!(f, "{{ count = {count} }}"),
            (any, count) => write!(f, "{{ any = {}, count = {count} }}", QuotedList(any)),
        }
    }
}

fn factors(
    value: Value<'_>,
    vocabulary: &Vocabulary<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<String>> {
    let strings = value.strings(findings)?;
    let count = strings.len();
    let mut words: Vec<String> = Vec::with_capacity(count);
    for (word, span) in strings {
        if !vocabulary.factors.contains(&word) {
            let known = vocabulary.factors.join(", ");
            let message = format!("there is no factor {}; there are {known}", quoted(word));
            findings.error(span, message);
        } else if words.iter().any(|listed| listed == word) {
            findings.error(span, format!("{} is listed twice", quoted(word)));
        } else {
            words.push(word.to_owned());
        }
    }
    (words.len() == count).then_some(words)
}
