//! One-time codes: TOTP (RFC 6238) and HOTP (RFC 4226), computed by `totp-rs`.

use std::sync::Arc;

use totp_rs::{Algorithm, Builder, Totp};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Allowed, FactorError, answer::Answer};
use crate::{
    clock::Now,
    store::{
        Credential, CredentialId, Guess, Kind, Match, PersonKey, Standing,
        seal::{Identity, Keyring},
    },
};

/// Length of a new secret: 160 bits, as RFC 4226 §4 (R6) recommends.
const SECRET_LENGTH: usize = 20;
/// How far ahead two codes in a row may resynchronise an HOTP token (RFC 4226 §7.4).
const RESYNCHRONISE: u64 = 100;
/// First byte of a sealed record.
const RECORD_VERSION: u8 = 1;

/// How wide an answer is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// TOTP: steps accepted on either side of the current one (RFC 6238 §5.2).
    pub skew: u16,
    /// HOTP: counters accepted from the next one on (RFC 4226 §7.2).
    pub look_ahead: u16,
}

/// A code generator's secret and parameters.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Generator {
    #[zeroize(skip)]
    algorithm: Hash,
    digits: u8,
    /// TOTP: seconds a step; HOTP: 0.
    period: u16,
    secret: Vec<u8>,
}

/// HMAC's hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// What every authenticator app knows.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl Hash {
    /// The word of `otpauth://` URIs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    /// The hash that `word` names, in either case, with or without a hyphen.
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.replace('-', "").to_ascii_uppercase();
        [Self::Sha1, Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|hash| hash.word() == word)
    }

    const fn of_totp_rs(self) -> Algorithm {
        match self {
            Self::Sha1 => Algorithm::SHA1,
            Self::Sha256 => Algorithm::SHA256,
            Self::Sha512 => Algorithm::SHA512,
        }
    }
}

impl Generator {
    /// A new TOTP or HOTP secret. `period` is ignored for HOTP.
    pub fn generate(
        kind: Kind,
        algorithm: Hash,
        digits: u32,
        period: u32,
    ) -> Result<Self, FactorError> {
        let mut secret = vec![0; SECRET_LENGTH];
        getrandom::fill(&mut secret).map_err(|_| FactorError::Randomness)?;
        Self::with_secret(kind, algorithm, digits, period, secret)
    }

    /// A generator of a given secret (import, test vectors), of at least 128 bits.
    pub fn with_secret(
        kind: Kind,
        algorithm: Hash,
        digits: u32,
        period: u32,
        secret: Vec<u8>,
    ) -> Result<Self, FactorError> {
        let digits = u8::try_from(digits)
            .ok()
            .filter(|digits| (6..=8).contains(digits))
            .ok_or_else(|| FactorError::Parameter("digits must be 6, 7 or 8".into()))?;
        let period = if kind == Kind::Hotp {
            0
        } else {
            u16::try_from(period)
                .ok()
                .filter(|period| (15..=120).contains(period))
                .ok_or_else(|| {
                    FactorError::Parameter("the period must be 15 to 120 seconds".into())
                })?
        };
        if !(16..=128).contains(&secret.len()) {
            return Err(FactorError::Parameter(
                "the secret must have 16 to 128 bytes (RFC 4226 §4)".into(),
            ));
        }
        Ok(Self {
            algorithm,
            digits,
            period,
            secret,
        })
    }

    /// A generator that nobody holds, for people who are unknown or not enrolled: the same work, never a match.
    pub fn decoy() -> Result<Self, FactorError> {
        Self::generate(Kind::Totp, Hash::Sha1, 6, 30)
    }

    /// How it is described to its owner.
    pub fn describe(&self) -> String {
        let algorithm = self.algorithm.word();
        match self.period {
            0 => format!("{algorithm}, {} digits, counter", self.digits),
            period => format!("{algorithm}, {} digits, {period} s", self.digits),
        }
    }

    /// Base32 of the secret, for typing.
    pub fn base32(&self) -> Result<Zeroizing<String>, FactorError> {
        Ok(Zeroizing::new(self.totp(0)?.secret().to_base32()))
    }

    /// The `otpauth://` URI for authenticator apps. Colons, which the format reserves, are replaced.
    pub fn uri(&self, issuer: &str, account: &str) -> Result<Zeroizing<String>, FactorError> {
        let clean = |text: &str| text.replace(':', "_");
        let totp = self
            .builder(0)
            .with_issuer(Some(clean(issuer)))
            .with_account_name(clean(account))
            .build()
            .map_err(|_| FactorError::Record)?;
        let uri = totp.to_url().map_err(|_| FactorError::Record)?;
        if self.period == 0 {
            // totp-rs writes TOTP URIs only; HOTP's differ in the type and carry the counter.
            let counted = uri
                .replacen("otpauth://totp/", "otpauth://hotp/", 1)
                .replace("&period=1", "");
            return Ok(Zeroizing::new(format!("{counted}&counter=0")));
        }
        Ok(Zeroizing::new(uri))
    }

    /// Seals secret and parameters for the store.
    pub fn seal(&self, keyring: &Keyring, identity: &Identity) -> Result<Vec<u8>, FactorError> {
        let [high, low] = self.period.to_be_bytes();
        let mut record = Zeroizing::new(vec![
            RECORD_VERSION,
            self.algorithm as u8,
            self.digits,
            high,
            low,
        ]);
        record.extend_from_slice(&self.secret);
        Ok(keyring.seal(identity, &record)?)
    }

    /// Opens what [`Generator::seal`] made.
    pub fn open(
        keyring: &Keyring,
        identity: &Identity,
        sealed: &[u8],
    ) -> Result<Self, FactorError> {
        let record = keyring.open(identity, sealed)?;
        let [RECORD_VERSION, algorithm, digits, high, low, secret @ ..] = record.as_slice() else {
            return Err(FactorError::Record);
        };
        let algorithm = [Hash::Sha1, Hash::Sha256, Hash::Sha512]
            .into_iter()
            .find(|hash| *hash as u8 == *algorithm)
            .ok_or(FactorError::Record)?;
        let period = u16::from_be_bytes([*high, *low]);
        let kind = if period == 0 { Kind::Hotp } else { Kind::Totp };
        Self::with_secret(
            kind,
            algorithm,
            u32::from(*digits),
            u32::from(period),
            secret.to_vec(),
        )
        .map_err(|_| FactorError::Record)
    }

    /// The TOTP step of a moment.
    pub fn step_at(&self, wall: i64) -> i64 {
        wall / i64::from(self.period.max(1))
    }

    /// Seconds until the next step begins.
    pub fn until_next_step(&self, wall: i64) -> i64 {
        let period = i64::from(self.period.max(1));
        period - wall.rem_euclid(period)
    }

    /// The new value of the moving factor that `answer` leads to, whether or not it has been used already.
    pub fn matches(&self, answer: &Answer, moving: i64, now: Now, windows: Windows) -> Option<i64> {
        let counter = u64::try_from(moving).unwrap_or(0);
        match (answer, self.period) {
            (Answer::Code(code), 0) => self
                .find_counter(code, counter, u64::from(windows.look_ahead))
                .map(|found| found + 1),
            (Answer::Code(code), _) => {
                let wall = u64::try_from(now.wall).ok()?;
                self.totp(windows.skew).ok()?.check(code, wall)
            }
            (Answer::TwoCodes(first, second), 0) => {
                let found = self.find_counter(first, counter, RESYNCHRONISE)?;
                self.find_counter(second, found + 1, 1)
                    .map(|found| found + 1)
            }
            _ => None,
        }
        .and_then(|moving| i64::try_from(moving).ok())
    }

    /// The first of `window` counters from `counter` on whose code it is; every one is computed.
    fn find_counter(&self, code: &str, counter: u64, window: u64) -> Option<u64> {
        let totp = self.totp(0).ok()?;
        let mut found = None;
        for candidate in counter..counter.saturating_add(window) {
            if totp.check(code, candidate).is_some() && found.is_none() {
                found = Some(candidate);
            }
        }
        found
    }

    /// How many codes one answer is compared with.
    fn width(&self, windows: Windows) -> u32 {
        if self.period == 0 {
            u32::from(windows.look_ahead)
        } else {
            2 * u32::from(windows.skew) + 1
        }
    }

    fn totp(&self, skew: u16) -> Result<Totp, FactorError> {
        self.builder(skew).build().map_err(|_| FactorError::Record)
    }

    /// HOTP is TOTP with a step of one "second", the counter being the time.
    fn builder(&self, skew: u16) -> Builder {
        Builder::new()
            .with_algorithm(self.algorithm.of_totp_rs())
            .with_digits(self.digits)
            .with_skew(skew)
            .with_step_duration(u64::from(self.period.max(1)))
            .with_secret(self.secret.clone())
    }
}

/// What binds a credential's seal to its owner.
pub fn identity(person: &PersonKey, kind: Kind, credential: CredentialId) -> Identity {
    Identity {
        person: person.clone(),
        kind,
        credential,
    }
}

/// An answer to be compared with all of a person's one-time code generators.
pub struct OtpGuess {
    /// What was typed.
    pub answer: Answer,
    /// Whose credentials they are; `None` for a decoy.
    pub person: Option<PersonKey>,
    /// Which kinds may match.
    pub allowed: Allowed,
    /// How wide.
    pub windows: Windows,
    /// When.
    pub now: Now,
    /// Opens the seals.
    pub keyring: Arc<Keyring>,
    /// Stands in where there is no credential.
    pub decoy: Arc<(Generator, Vec<u8>, Identity)>,
}

impl OtpGuess {
    fn generators<'a>(&self, credentials: &'a [Credential]) -> Vec<(&'a Credential, Generator)> {
        let Some(person) = &self.person else {
            return Vec::new();
        };
        credentials
            .iter()
            .filter(|credential| credential.standing == Standing::Active)
            .filter(|credential| matches!(credential.kind, Kind::Totp | Kind::Hotp))
            .filter(|credential| self.allowed.contains(credential.kind))
            .filter_map(|credential| {
                let identity = identity(person, credential.kind, credential.id);
                // A record that does not open matches nothing; `doctor` and the audit log name it.
                Generator::open(&self.keyring, &identity, &credential.sealed)
                    .ok()
                    .map(|opened| (credential, opened))
            })
            .collect()
    }
}

impl Guess for OtpGuess {
    fn examine(&mut self, credentials: &[Credential]) -> Option<Match> {
        let generators = self.generators(credentials);
        if generators.is_empty() {
            let (decoy, sealed, identity) = &*self.decoy;
            let opened = Generator::open(&self.keyring, identity, sealed);
            let _never = decoy.matches(&self.answer, -1, self.now, self.windows);
            drop(opened);
            return None;
        }
        let mut best: Option<(bool, Match)> = None;
        for (credential, generator) in &generators {
            let Some(to) =
                generator.matches(&self.answer, credential.moving, self.now, self.windows)
            else {
                continue;
            };
            let fresh = to > credential.moving;
            if best
                .as_ref()
                .is_none_or(|(best_is_fresh, _)| fresh && !best_is_fresh)
            {
                best = Some((
                    fresh,
                    Match::Advance {
                        credential: credential.id,
                        to,
                    },
                ));
            }
        }
        best.map(|(_, matched)| matched)
    }

    fn cost(&self, credentials: &[Credential]) -> u32 {
        let codes: u32 = self
            .generators(credentials)
            .iter()
            .map(|(_, generator)| generator.width(self.windows))
            .sum();
        codes.div_ceil(3).max(1)
    }
}

#[cfg(test)]
mod tests;
