//! What a rule demands: the values of `require`, and how a floor tightens one.

use std::fmt;

use crate::{
    Vocabulary,
    diagnostic::quoted,
    document::{Findings, Value},
    requirement::{Factor, Requirement},
};

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
                    "`{}` cannot be {found}; write \"none\", \"any\", \"deny\" or a table such as {{ any = [\"totp\"], count = 1 }}",
                    value.key()
                ),
            );
            return None;
        };
        Requirement::read(table, vocabulary, findings).map(Self::Require)
    }

    /// The weakest verdict at hand that is as strict as both: whoever meets it meets `self` and `floor`.
    ///
    /// `factors` is every factor there is, which an empty [`Requirement::any`] stands for.
    pub(crate) fn tightened(&self, floor: &Self, factors: &[Factor]) -> Self {
        match (self, floor) {
            (Self::Deny, _) | (_, Self::Deny) => Self::Deny,
            (Self::NotRequired, other) | (other, Self::NotRequired) => other.clone(),
            (Self::Require(ours), Self::Require(floor)) => ours.tightened(floor, factors),
        }
    }

    /// The same with the factors that can meet it named, where only strong ones can.
    pub(crate) fn settled(self, factors: &[Factor]) -> Self {
        match self {
            Self::Require(requirement) => requirement.settled(factors),
            other => other,
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
