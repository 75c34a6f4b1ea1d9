//! Backup codes: look-up secrets of 80 bits (NIST SP 800-63B-4 §3.1.2), stored as salted hashes, each good once.
//!
//! One salt a set, so that one Argon2id run tests an answer against all codes; the result is keyed with a pepper that
//! the store never sees, so that a stolen database alone cannot be searched.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{FactorError, answer::BACKUP_LENGTH};
use crate::store::{
    Credential, Guess, Kind, Match, Standing,
    seal::{self, Identity, Keyring},
};

/// Codes in a set.
pub const COUNT: usize = 10;
/// RFC 4648 base32: no 0, 1, 8 or 9 to be misread.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SALT_LENGTH: usize = 16;
/// A record that names the key whose pepper keys the digests, and one that carries the pepper itself.
const NAMES_KEY: u8 = 1;
const CARRIES_PEPPER: u8 = 2;
/// Argon2id with 19 MiB and two passes (OWASP's minimum): about 35 ms, against codes that hold 80 bits anyway.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// What a set's sealed record holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Set {
    pepper: Pepper,
    salt: [u8; SALT_LENGTH],
}

/// What keys a set's digests beside its codes.
#[derive(Clone, PartialEq, Eq)]
enum Pepper {
    /// That of this key of the key file.
    OfKey(u8),
    /// That of a key which may be gone.
    Carried(Zeroizing<[u8; 32]>),
}

/// Codes as shown to their owner, once.
pub type Codes = Zeroizing<Vec<String>>;

impl Set {
    /// A new set: its record, its codes, and their digests in the same order.
    pub fn generate(keyring: &Keyring) -> Result<(Self, Codes, Vec<[u8; 32]>), FactorError> {
        let mut salt = [0; SALT_LENGTH];
        getrandom::fill(&mut salt).map_err(|_| FactorError::Randomness)?;
        let set = Self {
            pepper: Pepper::OfKey(keyring.newest()),
            salt,
        };
        let mut codes = Zeroizing::new(Vec::with_capacity(COUNT));
        let mut digests = Vec::with_capacity(COUNT);
        for _ in 0..COUNT {
            let code = random_code()?;
            digests.push(set.digest(keyring, &code)?);
            codes.push(code);
        }
        Ok((set, codes, digests))
    }

    /// A set that nobody holds a code of.
    pub fn decoy(keyring: &Keyring) -> Self {
        Self {
            pepper: Pepper::OfKey(keyring.newest()),
            salt: [0; SALT_LENGTH],
        }
    }

    /// Seals the record for the store.
    pub fn seal(&self, keyring: &Keyring, identity: &Identity) -> Result<Vec<u8>, FactorError> {
        let mut record = Zeroizing::new(Vec::with_capacity(1 + 32 + SALT_LENGTH));
        match &self.pepper {
            Pepper::OfKey(number) => record.extend_from_slice(&[NAMES_KEY, *number]),
            Pepper::Carried(pepper) => {
                record.push(CARRIES_PEPPER);
                record.extend_from_slice(pepper.as_ref());
            }
        }
        record.extend_from_slice(&self.salt);
        Ok(keyring.seal(identity, &record)?)
    }

    /// Opens what [`Set::seal`] made.
    pub fn open(
        keyring: &Keyring,
        identity: &Identity,
        sealed: &[u8],
    ) -> Result<Self, FactorError> {
        let record = keyring.open(identity, sealed)?;
        let (pepper, salt) = match record.as_slice() {
            [NAMES_KEY, number, salt @ ..] => (Pepper::OfKey(*number), salt),
            [CARRIES_PEPPER, rest @ ..] => {
                let (pepper, salt) = rest.split_first_chunk().ok_or(FactorError::Record)?;
                (Pepper::Carried(Zeroizing::new(*pepper)), salt)
            }
            _ => return Err(FactorError::Record),
        };
        let salt = salt.try_into().map_err(|_| FactorError::Record)?;
        Ok(Self { pepper, salt })
    }

    /// The same set, whose record needs no key but the one that seals it.
    pub fn carrying_its_pepper(self, keyring: &Keyring) -> Result<Self, FactorError> {
        let Pepper::OfKey(number) = self.pepper else {
            return Ok(self);
        };
        let pepper = keyring
            .pepper_to_carry(number)
            .ok_or_else(|| key_gone(number))?;
        Ok(Self {
            pepper: Pepper::Carried(pepper),
            ..self
        })
    }

    /// The digest of a code (16 base32 characters). Takes about 35 ms and 19 MiB: run it where it blocks nobody, and
    /// bound how many run at once.
    pub fn digest(&self, keyring: &Keyring, code: &str) -> Result<[u8; 32], FactorError> {
        let params =
            Params::new(MEMORY_KIB, PASSES, 1, Some(32)).map_err(|_| FactorError::Record)?;
        let mut hash = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(code.as_bytes(), &self.salt, hash.as_mut())
            .map_err(|_| FactorError::Record)?;
        match &self.pepper {
            Pepper::OfKey(number) => keyring
                .pepper(*number, hash.as_ref())
                .ok_or_else(|| key_gone(*number)),
            Pepper::Carried(pepper) => {
                seal::keyed(pepper, hash.as_ref()).ok_or(FactorError::Record)
            }
        }
    }
}

fn key_gone(number: u8) -> FactorError {
    FactorError::Key(format!("key {number} of the backup codes is gone"))
}

/// A code grouped for reading and typing: `ABCD-EFGH-IJKL-MNOP`.
pub fn grouped(code: &str) -> String {
    let groups: Vec<&str> = (0..code.len())
        .step_by(4)
        .map(|at| &code[at..code.len().min(at + 4)])
        .collect();
    groups.join("-")
}

fn random_code() -> Result<String, FactorError> {
    let mut bytes = Zeroizing::new([0_u8; BACKUP_LENGTH]);
    getrandom::fill(bytes.as_mut()).map_err(|_| FactorError::Randomness)?;
    // 256 is a multiple of 32, so that the remainder favours no letter.
    Ok(bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect())
}

/// An answer's digest, to be compared with all that is left of a person's set.
pub struct BackupGuess {
    /// From [`Set::digest`].
    pub digest: Zeroizing<[u8; 32]>,
    /// Whether the policy lets backup codes count here.
    pub allowed: bool,
}

impl BackupGuess {
    /// A guess of `digest`.
    pub fn new(digest: [u8; 32], allowed: bool) -> Self {
        Self {
            digest: Zeroizing::new(digest),
            allowed,
        }
    }
}

impl Guess for BackupGuess {
    fn examine(&mut self, credentials: &[Credential]) -> Option<Match> {
        let mut found = None;
        for credential in credentials {
            if credential.kind != Kind::BackupCodes
                || credential.standing != Standing::Active
                || !self.allowed
            {
                continue;
            }
            for (index, digest) in &credential.codes {
                if bool::from(digest.ct_eq(&*self.digest)) {
                    found = Some(Match::Burn {
                        credential: credential.id,
                        index: *index,
                    });
                }
            }
        }
        found
    }

    fn cost(&self, _credentials: &[Credential]) -> u32 {
        1
    }
}

/// The backup set among `credentials`, opened.
pub fn open_set(
    credentials: &[Credential],
    keyring: &Arc<Keyring>,
    identity: impl Fn(&Credential) -> Identity,
) -> Option<Set> {
    let set = credentials
        .iter()
        .find(|credential| credential.kind == Kind::BackupCodes)?;
    Set::open(keyring, &identity(set), &set.sealed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factor::answer::Answer;

    #[test]
    fn codes_hold_80_bits_and_are_sorted_as_backup_codes() {
        let code = random_code().unwrap();
        assert_eq!(code.len() * 5, 80);
        assert_ne!(code, random_code().unwrap());
        assert_eq!(
            Answer::sort(grouped(&code).to_lowercase().as_bytes()),
            Answer::Backup(code)
        );
    }

    #[test]
    fn grouping_is_in_fours() {
        assert_eq!(grouped("ABCDEFGHIJKLMNOP"), "ABCD-EFGH-IJKL-MNOP");
    }
}
