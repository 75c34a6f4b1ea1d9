//! Comparisons in a condition's text: `>= high`, `> 30d`.

use std::cmp::Ordering;

/// How two things are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

impl Compare {
    /// The longer signs first, since they begin with the shorter ones.
    const ALL: [Self; 5] = [
        Self::AtLeast,
        Self::AtMost,
        Self::More,
        Self::Less,
        Self::Equal,
    ];

    /// Takes the sign off the front of a text, if there is one.
    pub(super) fn split(text: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|compare| {
            let rest = text.strip_prefix(compare.sign())?;
            Some((compare, rest.trim_start_matches(' ')))
        })
    }

    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Equal => "=",
            Self::AtLeast => ">=",
            Self::More => ">",
        }
    }

    /// Whether it holds between `found` and `written`.
    pub(super) fn holds<T: Ord>(self, found: &T, written: &T) -> bool {
        let ordering = found.cmp(written);
        match self {
            Self::Less => ordering == Ordering::Less,
            Self::AtMost => ordering != Ordering::Greater,
            Self::Equal => ordering == Ordering::Equal,
            Self::AtLeast => ordering != Ordering::Less,
            Self::More => ordering == Ordering::Greater,
        }
    }
}
