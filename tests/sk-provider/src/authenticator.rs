//! What a FIDO authenticator computes: keys, and signatures over application, flags, counter and message as CTAP2 has
//! them (§6.2, "authenticatorGetAssertion"; OpenSSH's PROTOCOL.u2f). It reads no file and decides nothing.

use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};

/// What sk-api.h has for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// Nothing more is said: what a person who does not touch gets.
    General,
    /// Not what this authenticator can do.
    Unsupported,
    /// A PIN is missing or wrong.
    PinRequired,
    /// Unplugged.
    NoDevice,
}

impl Error {
    /// The number for it.
    pub const fn code(self) -> i32 {
        match self {
            Self::General => -1,
            Self::Unsupported => -2,
            Self::PinRequired => -3,
            Self::NoDevice => -4,
        }
    }
}

/// The two kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `ecdsa-sk`
    P256,
    /// `ed25519-sk`
    Ed25519,
}

impl Algorithm {
    /// By sk-api.h's number.
    pub const fn of(number: u32) -> Result<Self, Error> {
        match number {
            0 => Ok(Self::P256),
            1 => Ok(Self::Ed25519),
            _ => Err(Error::Unsupported),
        }
    }
}

/// A new key.
#[derive(Debug)]
pub struct Made {
    /// As SSH writes it into a key file.
    pub public: Vec<u8>,
    /// By which this authenticator finds it again: the private key itself.
    pub handle: Vec<u8>,
}

/// What the authenticator claims about the person before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// What is signed for: mostly `ssh:`.
    pub application: String,
    /// 1: touched. 4: verified, by PIN or finger.
    pub flags: u8,
    /// Signatures so far.
    pub counter: u32,
}

/// In two halves for P-256, in one for Ed25519.
#[derive(Debug)]
pub struct Signature {
    /// The first.
    pub r: Vec<u8>,
    /// The second, or nothing.
    pub s: Vec<u8>,
}

/// Makes a key.
pub fn make(algorithm: Algorithm) -> Result<Made, Error> {
    let random = SystemRandom::new();
    match algorithm {
        Algorithm::Ed25519 => {
            let mut seed = [0; 32];
            random.fill(&mut seed).map_err(general)?;
            let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(general)?;
            Ok(Made {
                public: pair.public_key().as_ref().to_vec(),
                handle: seed.to_vec(),
            })
        }
        Algorithm::P256 => {
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                .map_err(general)?;
            let handle = document.as_ref().to_vec();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &handle, &random)
                .map_err(general)?;
            Ok(Made {
                public: pair.public_key().as_ref().to_vec(),
                handle,
            })
        }
    }
}

/// The bytes that are signed.
pub fn signed(presence: &Presence, message: &[u8]) -> Vec<u8> {
    let mut signed = digest(&SHA256, presence.application.as_bytes())
        .as_ref()
        .to_vec();
    signed.push(presence.flags);
    signed.extend(presence.counter.to_be_bytes());
    signed.extend(digest(&SHA256, message).as_ref());
    signed
}

/// Signs `message` with the key of that handle.
pub fn sign(
    algorithm: Algorithm,
    handle: &[u8],
    message: &[u8],
    presence: &Presence,
) -> Result<Signature, Error> {
    let signed = signed(presence, message);
    match algorithm {
        Algorithm::Ed25519 => {
            let pair = Ed25519KeyPair::from_seed_unchecked(handle).map_err(general)?;
            Ok(Signature {
                r: pair.sign(&signed).as_ref().to_vec(),
                s: Vec::new(),
            })
        }
        Algorithm::P256 => {
            let random = SystemRandom::new();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, handle, &random)
                .map_err(general)?;
            let signature = pair.sign(&random, &signed).map_err(general)?;
            let (r, s) = signature.as_ref().split_at(32);
            Ok(Signature {
                r: r.to_vec(),
                s: s.to_vec(),
            })
        }
    }
}

fn general<E>(_: E) -> Error {
    Error::General
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};

    use super::*;

    fn presence() -> Presence {
        Presence {
            application: "ssh:".to_owned(),
            flags: 5,
            counter: 0x0102_0304,
        }
    }

    #[test]
    fn what_is_signed_is_laid_out_as_ctap_has_it() {
        let signed = signed(&presence(), b"message");
        assert_eq!(signed.len(), 32 + 1 + 4 + 32);
        assert_eq!(signed[32..37], [5, 1, 2, 3, 4]);
        assert_eq!(signed[37..], *digest(&SHA256, b"message").as_ref());
    }

    #[test]
    fn signatures_verify_with_the_key_that_was_made() {
        for (algorithm, verifier) in [
            (
                Algorithm::P256,
                &ECDSA_P256_SHA256_FIXED as &'static dyn ring::signature::VerificationAlgorithm,
            ),
            (Algorithm::Ed25519, &ED25519),
        ] {
            let made = make(algorithm).unwrap();
            let signature = sign(algorithm, &made.handle, b"message", &presence()).unwrap();
            let key = UnparsedPublicKey::new(verifier, &made.public);
            let whole = [signature.r, signature.s].concat();
            key.verify(&signed(&presence(), b"message"), &whole)
                .unwrap();
            key.verify(&signed(&presence(), b"massage"), &whole)
                .unwrap_err();
        }
    }

    #[test]
    fn a_handle_that_is_none_is_refused() {
        for algorithm in [Algorithm::P256, Algorithm::Ed25519] {
            let refused = sign(algorithm, b"none", b"message", &presence()).unwrap_err();
            assert_eq!(refused, Error::General);
        }
    }
}
