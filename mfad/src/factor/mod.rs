//! The factors: one file each. A factor knows how its credential is made, sealed and compared; it keeps no state and
//! reads no clock. Which factors a login may use is the policy's business, and how often it may guess is the throttle's.

pub mod answer;
pub mod backup;
pub mod fido2;
pub mod otp;
pub mod ssh_key;

use std::fmt;

use mfad_protocol::factors;
use policy::Requirement;

use crate::store::{Kind, seal::SealError};

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

impl From<SealError> for FactorError {
    fn from(error: SealError) -> Self {
        Self::Key(error.to_string())
    }
}

/// What somebody has proven themselves with, and what that is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// The kind of factor.
    pub kind: Kind,
    /// It could not have been relayed by somebody in between.
    pub phishing_resistant: bool,
    /// The authenticator knew its user (PIN, finger), and says so.
    pub user_verified: bool,
}

impl From<Kind> for Evidence {
    /// A factor that is nothing more than that.
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            phishing_resistant: false,
            user_verified: false,
        }
    }
}

impl Evidence {
    const PHISHING_RESISTANT: &'static str = "+phishing-resistant";
    const USER_VERIFIED: &'static str = "+user-verified";

    /// As it is kept for the session that it was made in.
    pub fn word(self) -> String {
        let mut word = self.kind.word().to_owned();
        if self.phishing_resistant {
            word.push_str(Self::PHISHING_RESISTANT);
        }
        if self.user_verified {
            word.push_str(Self::USER_VERIFIED);
        }
        word
    }

    /// What [`Evidence::word`] wrote.
    pub fn from_word(word: &str) -> Option<Self> {
        let (word, user_verified) = cut(word, Self::USER_VERIFIED);
        let (word, phishing_resistant) = cut(word, Self::PHISHING_RESISTANT);
        Some(Self {
            kind: Kind::from_word(word)?,
            phishing_resistant,
            user_verified,
        })
    }
}

fn cut<'w>(word: &'w str, suffix: &str) -> (&'w str, bool) {
    word.strip_suffix(suffix)
        .map_or((word, false), |stem| (stem, true))
}

/// Which kinds one answer may be matched against: what the policy allows, less what this login has used already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Words of the policy; empty means every kind.
    any: Vec<String>,
    used: Vec<Evidence>,
    phishing_resistant: bool,
    user_verified: bool,
}

impl Allowed {
    /// What a requirement allows.
    pub fn by_policy(requirement: &Requirement) -> Self {
        Self {
            any: requirement.any.clone(),
            used: Vec::new(),
            phishing_resistant: requirement.phishing_resistant,
            user_verified: requirement.user_verified,
        }
    }

    /// Whether `kind` may still be used. Of a kind that can be strong, [`Allowed::accepts`] says whether it was.
    pub fn contains(&self, kind: Kind) -> bool {
        let used = self.used.iter().any(|evidence| evidence.kind == kind);
        let word = kind.word();
        let listed = if self.any.is_empty() {
            !factors::ONLY_NAMED.contains(&word)
        } else {
            self.any.iter().any(|listed| listed == word)
        };
        listed && !used
    }

    /// Whether this evidence may still be used: of a kind that may, and as strong as demanded.
    pub fn accepts(&self, evidence: Evidence) -> bool {
        self.contains(evidence.kind)
            && (evidence.phishing_resistant || !self.phishing_resistant)
            && (evidence.user_verified || !self.user_verified)
    }

    /// Whether the authenticator must verify its user.
    pub const fn wants_user_verified(&self) -> bool {
        self.user_verified
    }

    /// Takes a kind out: a second factor of the same kind proves nothing more.
    pub fn use_up(&mut self, evidence: Evidence) {
        self.used.push(evidence);
    }

    /// What has been used.
    pub fn evidence(&self) -> &[Evidence] {
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

    fn allowed(any: &[&str]) -> Allowed {
        Allowed {
            any: any.iter().map(|word| (*word).to_owned()).collect(),
            ..Allowed::default()
        }
    }

    #[test]
    fn every_kind_is_a_word_of_the_policy() {
        assert_eq!(Kind::ALL.map(Kind::word), factors::ALL);
    }

    #[test]
    fn a_kind_counts_once() {
        let mut allowed = allowed(&[]);
        assert!(allowed.contains(Kind::Totp));
        allowed.use_up(Kind::Totp.into());
        assert!(!allowed.contains(Kind::Totp));
        assert!(allowed.contains(Kind::BackupCodes));
    }

    #[test]
    fn a_plain_key_counts_only_where_it_is_named() {
        assert!(!allowed(&[]).contains(Kind::SshAgent));
        assert!(!allowed(&["totp"]).contains(Kind::SshAgent));
        assert!(allowed(&["totp", "ssh-agent"]).contains(Kind::SshAgent));
        assert!(allowed(&[]).contains(Kind::SshSk));
    }

    #[test]
    fn evidence_must_be_as_strong_as_demanded() {
        let strong = Allowed {
            phishing_resistant: true,
            ..allowed(&["fido2", "ssh-sk"])
        };
        let plain = Evidence::from(Kind::SshSk);
        let login_key = Evidence {
            phishing_resistant: true,
            ..plain
        };
        assert!(!strong.accepts(plain) && strong.accepts(login_key));
        let verified = Allowed {
            user_verified: true,
            ..allowed(&["ssh-sk"])
        };
        assert!(!verified.accepts(login_key));
        assert!(verified.accepts(Evidence {
            user_verified: true,
            ..plain
        }));
    }

    #[test]
    fn evidence_is_read_as_it_was_written() {
        for kind in Kind::ALL {
            for bits in 0..4 {
                let evidence = Evidence {
                    kind,
                    phishing_resistant: bits & 1 != 0,
                    user_verified: bits & 2 != 0,
                };
                assert_eq!(Evidence::from_word(&evidence.word()), Some(evidence));
            }
        }
        assert_eq!(Evidence::from_word("totp+"), None);
        assert_eq!(Evidence::from_word("totp+user-verified+"), None);
    }
}
