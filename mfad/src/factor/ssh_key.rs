//! An SSH key as a factor: how its record is sealed, and what a signature of it is worth. It talks to no agent.

use super::{Evidence, FactorError};
use crate::{
    ssh::key::{PublicKey, Signed},
    store::{
        Credential, CredentialId, Guess, Kind, Match, Standing,
        seal::{Identity, Keyring},
    },
};

/// Version of the record: the key as it travels follows.
const RECORD_VERSION: u8 = 1;

/// Seals a key for the store. There is nothing secret in it; but who can write the database must not plant one.
pub fn seal(
    key: &PublicKey,
    keyring: &Keyring,
    identity: &Identity,
) -> Result<Vec<u8>, FactorError> {
    let mut record = vec![RECORD_VERSION];
    record.extend_from_slice(key.blob());
    Ok(keyring.seal(identity, &record)?)
}

/// Opens what [`seal`] made.
pub fn open(
    keyring: &Keyring,
    identity: &Identity,
    sealed: &[u8],
) -> Result<PublicKey, FactorError> {
    let record = keyring.open(identity, sealed)?;
    let [RECORD_VERSION, blob @ ..] = record.as_slice() else {
        return Err(FactorError::Record);
    };
    PublicKey::read(blob).map_err(|_| FactorError::Record)
}

/// What a right signature that came through an agent is worth. That it was made for this host and no other is the
/// forwarding client's word, and so it does not withstand phishing.
pub fn through_agent(kind: Kind, signed: Signed) -> Evidence {
    Evidence {
        kind,
        phishing_resistant: false,
        user_verified: signed
            .authenticator
            .is_some_and(|authenticator| authenticator.user_verified),
    }
}

/// What the key of an ssh login is worth. sshd's signature covers its own session, and sshd does not tell whether the
/// user was verified.
pub const LOGIN_KEY: Evidence = Evidence {
    kind: Kind::SshSk,
    phishing_resistant: true,
    user_verified: false,
};

/// A signature, verified before: what is left to judge is its counter.
#[derive(Debug)]
pub struct SignatureGuess {
    /// Whose signature it is, and its counter if it has one. `None`: it was not right.
    right: Option<(CredentialId, Option<u32>)>,
}

impl SignatureGuess {
    /// A right signature of an authenticator's, or of a plain key (which has no counter).
    pub fn right(credential: CredentialId, signed: Signed) -> Self {
        let counter = signed.authenticator.map(|says| says.counter);
        Self {
            right: Some((credential, counter)),
        }
    }

    /// A right signature with this counter.
    pub fn counted(credential: CredentialId, counter: u32) -> Self {
        Self {
            right: Some((credential, Some(counter))),
        }
    }

    /// The word of sshd that this key has signed for it.
    pub const fn vouched(credential: CredentialId) -> Self {
        Self {
            right: Some((credential, None)),
        }
    }

    /// A signature that is not right.
    pub const fn wrong() -> Self {
        Self { right: None }
    }
}

impl Guess for SignatureGuess {
    fn examine(&mut self, credentials: &[Credential]) -> Option<Match> {
        let (credential, counter) = self.right?;
        // It may have been removed since.
        let is_there = credentials
            .iter()
            .any(|known| known.id == credential && known.standing == Standing::Active);
        is_there.then_some(match counter {
            Some(counter) => Match::Counter {
                credential,
                to: counter.into(),
            },
            None => Match::Vouched { credential },
        })
    }

    fn cost(&self, _credentials: &[Credential]) -> u32 {
        1
    }
}
