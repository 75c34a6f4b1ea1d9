//! The three answers to a question about a login, and how they combine (Kleene's strong logic).

use std::ops::Not;

use serde::{Deserialize, Serialize};

/// Whether something holds.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// It does not.
    No,
    /// It could not be found out.
    Unknown,
    /// It does.
    Yes,
}

impl Truth {
    /// Holds if both do.
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        }
    }

    /// Holds if one of them does.
    pub const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            _ => Self::Unknown,
        }
    }

    /// The word for it: `yes`, `no`, `unknown`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Unknown => "unknown",
            Self::Yes => "yes",
        }
    }

    /// The answer about something that the login does not name at all, such as the address of a far end.
    ///
    /// Such a login is not in any list; but under a `not` that must not count as being outside of it.
    pub(crate) const fn unnamed(sense: Sense) -> Self {
        match sense {
            Sense::Plain => Self::No,
            Sense::Negated | Sense::Open => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

/// Whether a condition stands below an odd number of `not`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sense {
    Plain,
    Negated,
    /// Either, in a login that is only thought of: what it does not name, and when it comes, may be anything.
    Open,
}

impl Not for Sense {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Plain => Self::Negated,
            Self::Negated => Self::Plain,
            Self::Open => Self::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Truth; 3] = [Truth::No, Truth::Unknown, Truth::Yes];

    /// What an answer may turn out to be.
    fn readings(truth: Truth) -> Vec<bool> {
        match truth {
            Truth::No => vec![false],
            Truth::Unknown => vec![false, true],
            Truth::Yes => vec![true],
        }
    }

    #[test]
    fn and_or_and_not_say_no_more_than_every_reading_agrees_on() {
        let summary = |mut readings: Vec<bool>| {
            readings.sort_unstable();
            readings.dedup();
            match readings[..] {
                [one] => Truth::from(one),
                _ => Truth::Unknown,
            }
        };
        for a in ALL {
            let negated = readings(a).into_iter().map(|a| !a).collect();
            assert_eq!(!a, summary(negated));
            for b in ALL {
                let pairs = || {
                    let second = readings(b);
                    readings(a).into_iter().flat_map(move |a| {
                        let second = second.clone();
                        second.into_iter().map(move |b| (a, b))
                    })
                };
                assert_eq!(a.and(b), summary(pairs().map(|(a, b)| a && b).collect()));
                assert_eq!(a.or(b), summary(pairs().map(|(a, b)| a || b).collect()));
            }
        }
    }
}
