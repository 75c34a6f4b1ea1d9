//! The facts about a login that a policy may ask for, and sets of them. It finds none of them out.

use std::fmt;

/// Something about a login. The doc of each names the field of [`Request`](crate::Request).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// `service`
    Service,
    /// `user`
    User,
    /// `uid`
    Uid,
    /// `groups`
    Groups,
    /// `target`
    Target,
    /// `address` and `local`
    Network,
    /// `tty`
    Tty,
    /// `seat`: logind knows.
    Seat,
    /// `country`: a database knows.
    Country,
    /// `first`
    First,
    /// `device`: the store knows.
    Device,
    /// `risk`: the store's history knows.
    Risk,
    /// `last_mfa`: the store knows.
    LastMfa,
    /// `last_login`: the store knows.
    LastLogin,
    /// `now`
    Time,
    /// No field: whether this device is remembered. A rule has `remember`.
    Remembered,
    /// No field: proofs made earlier in this session. A requirement has `max-age`.
    Proofs,
}

impl Fact {
    /// Every fact there is.
    pub const ALL: [Self; 17] = [
        Self::Service,
        Self::User,
        Self::Uid,
        Self::Groups,
        Self::Target,
        Self::Network,
        Self::Tty,
        Self::Seat,
        Self::Country,
        Self::First,
        Self::Device,
        Self::Risk,
        Self::LastMfa,
        Self::LastLogin,
        Self::Time,
        Self::Remembered,
        Self::Proofs,
    ];

    /// The word for it, in audit records and explanations.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::User => "user",
            Self::Uid => "uid",
            Self::Groups => "groups",
            Self::Target => "target",
            Self::Network => "network",
            Self::Tty => "tty",
            Self::Seat => "seat",
            Self::Country => "country",
            Self::First => "first-factor",
            Self::Device => "device",
            Self::Risk => "risk",
            Self::LastMfa => "last-mfa",
            Self::LastLogin => "last-login",
            Self::Time => "time",
            Self::Remembered => "remembered",
            Self::Proofs => "proofs",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of facts. Displayed as their words with commas between them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FactSet(u32);

impl FactSet {
    /// No fact.
    pub const NONE: Self = Self(0);

    /// This fact alone.
    pub const fn of(fact: Fact) -> Self {
        Self(fact.bit())
    }

    /// Whether `fact` is in it.
    pub const fn contains(self, fact: Fact) -> bool {
        self.0 & fact.bit() != 0
    }

    /// Whether one of `facts` is in it.
    pub fn contains_any(self, facts: &[Fact]) -> bool {
        facts.iter().any(|fact| self.contains(*fact))
    }

    /// Whether there is none in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The facts in it.
    pub fn iter(self) -> impl Iterator<Item = Fact> {
        Fact::ALL
            .into_iter()
            .filter(move |fact| self.contains(*fact))
    }
}

impl FromIterator<Fact> for FactSet {
    fn from_iter<I: IntoIterator<Item = Fact>>(facts: I) -> Self {
        let bits = facts.into_iter().map(Fact::bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

impl FromIterator<FactSet> for FactSet {
    fn from_iter<I: IntoIterator<Item = FactSet>>(sets: I) -> Self {
        sets.into_iter().fold(Self::NONE, Self::union)
    }
}

impl fmt::Display for FactSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fact) in self.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { ", " })?;
            f.write_str(fact.word())?;
        }
        Ok(())
    }
}

impl fmt::Debug for FactSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        for fact in Fact::ALL {
            let alone = FactSet::of(fact);
            for other in Fact::ALL {
                assert_eq!(alone.contains(other), fact == other);
            }
        }
        let both: FactSet = [Fact::Risk, Fact::Uid].into_iter().collect();
        assert_eq!(both.to_string(), "uid, risk");
        assert!(FactSet::NONE.is_empty() && !both.is_empty());
    }
}
