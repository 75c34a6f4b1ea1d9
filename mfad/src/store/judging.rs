//! One answer, and what comes of it: the words of [`Store::judge`](super::Store::judge).

use super::{Credential, CredentialId, Kind, PersonId};
use crate::{
    audit::Record,
    clock::Now,
    throttle::{self, Class, Place},
};

/// What a right answer matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The credential's moving factor goes to `to`: an accepted TOTP step, or an HOTP counter plus one.
    Advance {
        /// Which credential.
        credential: CredentialId,
        /// New value; the store accepts only a greater one than it has.
        to: i64,
    },
    /// The backup code of this index is spent.
    Burn {
        /// Which set.
        credential: CredentialId,
        /// Which code of it.
        index: u16,
    },
    /// A key has signed, and its signature counter says `to`.
    Counter {
        /// Which key.
        credential: CredentialId,
        /// The counter. The store accepts only a greater one than it has, or 0 of a key that never counted; anything else
        /// means that there are two of the key (W3C Web Authentication 3 §7.2, step 22).
        to: i64,
    },
    /// A key has signed for somebody whose word counts and who does not tell the counter (sshd), or it is a key that has
    /// none. Nothing moves.
    Vouched {
        /// Which key.
        credential: CredentialId,
    },
}

impl Match {
    /// The credential that it is about.
    pub const fn credential(self) -> CredentialId {
        match self {
            Self::Advance { credential, .. }
            | Self::Burn { credential, .. }
            | Self::Counter { credential, .. }
            | Self::Vouched { credential } => credential,
        }
    }
}

/// An answer to be judged against a person's credentials, inside the transaction that charges it.
pub trait Guess: Send {
    /// Compares with every credential in the same time whichever matches, and says which did. It is shown the person's
    /// credentials in use that draw on the attempt's class, and none for somebody unknown, without such credentials or
    /// refused: then the implementation does the same work against a decoy and returns `None`.
    ///
    /// The writer waits for it: what takes more than some microseconds (a slow hash) comes before [`Store::judge`](super::Store::judge).
    fn examine(&mut self, credentials: &[Credential]) -> Option<Match>;

    /// How many budget units a failure costs: one for each three codes that this answer could have matched
    /// (rounded up), so that the odds of guessing do not grow with devices and look-ahead.
    fn cost(&self, credentials: &[Credential]) -> u32;
}

/// One attempt at a code.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Whose; `None` for somebody unknown or not enrolled: the same work and the same write, charged to the source only.
    pub person: Option<PersonId>,
    /// Which budget it draws on.
    pub class: Class,
    /// Where it comes from; the store turns a remote place into the trusted or the other lane.
    pub place: Place,
    /// When.
    pub now: Now,
    /// Whether a right answer is the last that the policy asks for: `granted` in the record, else `accepted`.
    pub completes: bool,
    /// The audit record to write with it; the store fills in what came of it.
    pub record: Record,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Right, and spent.
    Accepted {
        /// What kind of credential matched.
        kind: Kind,
        /// Its owner's name for it.
        name: String,
    },
    /// Wrong (or already spent), and charged.
    Wrong,
    /// The signature was right, and its counter had gone back: there are two of the key, and either may have signed.
    Cloned {
        /// What kind of credential.
        kind: Kind,
        /// Its owner's name for it.
        name: String,
    },
    /// A delay or an exhausted budget stood in the way: not looked at, not charged.
    NotEvaluated(throttle::Refusal),
}
