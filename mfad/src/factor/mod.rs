//! The factors: one file each. A factor knows how its credential is made, sealed and compared; it keeps no state and
//! reads no clock. Which factors a login may use is the policy's business, and how often it may guess is the throttle's.

pub mod answer;
pub mod backup;
pub mod otp;

use std::fmt;

use crate::store::Kind;

/// Words of the factors that a policy may name.
pub const WORDS: [&str; 3] = ["totp", "hotp", "backup-codes"];

/// Why a factor could not do its part.
#[derive(Debug)]
pub enum FactorError {
    /// A parameter is out of its range; says which and what is allowed.
    Parameter(String),
    /// The kernel gave no random bytes.
    Randomness,
    /// The secret could not be sealed or opened: no key, or another one.
    Key(String),
    /// A sealed record holds something this version cannot read.
    Record,
}

impl fmt::Display for FactorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(what) => f.write_str(what),
            Self::Randomness => f.write_str("the kernel gave no random bytes"),
            Self::Key(what) => write!(f, "the sealing key does not serve: {what}"),
            Self::Record => f.write_str("a credential's record cannot be read by this version"),
        }
    }
}

impl std::error::Error for FactorError {}

/// Which kinds one answer may be matched against: what the policy allows, less what this login has used already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Words of the policy; empty means every kind.
    any: Vec<String>,
    used: Vec<Kind>,
}

impl Allowed {
    /// What a policy's `any` list allows; empty allows every kind.
    pub fn by_policy(any: &[String]) -> Self {
        Self {
            any: any.to_vec(),
            used: Vec::new(),
        }
    }

    /// Whether `kind` may still be used.
    pub fn contains(&self, kind: Kind) -> bool {
        !self.used.contains(&kind)
            && (self.any.is_empty() || self.any.iter().any(|word| word == kind.word()))
    }

    /// Takes `kind` out: a second factor of the same kind proves nothing more.
    pub fn use_up(&mut self, kind: Kind) {
        self.used.push(kind);
    }

    /// The kinds that have been used.
    pub fn kinds(&self) -> &[Kind] {
        &self.used
    }

    /// How many distinct kinds have been used.
    pub fn used(&self) -> usize {
        self.used.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_a_word_of_the_policy() {
        for kind in [Kind::Totp, Kind::Hotp, Kind::BackupCodes] {
            assert!(WORDS.contains(&kind.word()));
        }
    }

    #[test]
    fn a_kind_counts_once() {
        let mut allowed = Allowed::by_policy(&[]);
        assert!(allowed.contains(Kind::Totp));
        allowed.use_up(Kind::Totp);
        assert!(!allowed.contains(Kind::Totp));
        assert!(allowed.contains(Kind::BackupCodes));
    }
}
