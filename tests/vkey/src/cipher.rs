//! What PIN/UV auth protocols one and two compute (CTAP 2.1 §6.5.6 and §6.5.7), from the authenticator's side. Keeps no
//! state but the key pair of an agreement.

use aes::Aes256;
use cbc::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, array::ArraySize};
use ciborium::Value;
use ring::{
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral},
    digest, hkdf, hmac,
    rand::{SecureRandom, SystemRandom},
};

use crate::{
    cbor::{self, Map, needed},
    script::Protocols,
    status::Status,
};

const BLOCK: usize = 16;

/// Which of the two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    One,
    Two,
}

impl Protocol {
    /// The one by this number, if the key offers it.
    pub(crate) fn of(number: i128, offered: Protocols) -> Result<Self, Status> {
        offered
            .all()
            .find(|one| i128::from(one.number()) == number)
            .ok_or(Status::INVALID_PARAMETER)
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// Whether `tag` authenticates `message` under `key`.
    pub(crate) fn verify(self, key: &[u8], message: &[u8], tag: &[u8]) -> bool {
        let right = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
        match self {
            Self::One => right.as_ref().get(..16) == Some(tag),
            Self::Two => right.as_ref() == tag,
        }
    }
}

/// One half of a key agreement. It serves once: the next needs a new one.
#[derive(Debug)]
pub(crate) struct Agreement {
    private: EphemeralPrivateKey,
    public: Vec<u8>,
}

impl Agreement {
    pub(crate) fn new(random: &SystemRandom) -> Result<Self, Status> {
        let private = EphemeralPrivateKey::generate(&ECDH_P256, random)?;
        let public = private.compute_public_key()?.as_ref().to_vec();
        Ok(Self { private, public })
    }

    /// The public half as a COSE key.
    pub(crate) fn public(&self) -> Value {
        cose_p256(&self.public, -25)
    }

    /// What both sides share, given the platform's half.
    pub(crate) fn agree(self, protocol: Protocol, platform: &Map) -> Result<Shared, Status> {
        let mut point = vec![4];
        for coordinate in [-2, -3] {
            point.extend(needed(platform.bytes(coordinate)?)?);
        }
        let peer = UnparsedPublicKey::new(&ECDH_P256, point);
        let (hmac, aes) = agree_ephemeral(self.private, &peer, |z| keys(protocol, z))
            .map_err(|_| Status::INVALID_PARAMETER)??;
        Ok(Shared {
            protocol,
            hmac,
            aes,
        })
    }
}

fn keys(protocol: Protocol, z: &[u8]) -> Result<([u8; 32], [u8; 32]), Status> {
    match protocol {
        Protocol::One => {
            let both = sha256(z);
            Ok((both, both))
        }
        Protocol::Two => Ok((derive(z, b"CTAP2 HMAC key")?, derive(z, b"CTAP2 AES key")?)),
    }
}

fn derive(z: &[u8], purpose: &[u8]) -> Result<[u8; 32], Status> {
    let mut key = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[0; 32])
        .extract(z)
        .expand(&[purpose], hkdf::HKDF_SHA256)?
        .fill(&mut key)?;
    Ok(key)
}

/// A secret shared with the platform.
#[derive(Debug)]
pub(crate) struct Shared {
    protocol: Protocol,
    hmac: [u8; 32],
    aes: [u8; 32],
}

impl Shared {
    pub(crate) fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        self.protocol.verify(&self.hmac, message, tag)
    }

    /// Whole blocks only.
    pub(crate) fn encrypt(&self, plain: &[u8], random: &SystemRandom) -> Result<Vec<u8>, Status> {
        let mut iv = [0; BLOCK];
        let mut out = Vec::new();
        if self.protocol == Protocol::Two {
            random.fill(&mut iv)?;
            out.extend(iv);
        }
        let mut blocks = blocks(plain)?;
        cbc::Encryptor::<Aes256>::new(&self.aes.into(), &iv.into()).encrypt_blocks(&mut blocks);
        out.extend(blocks.iter().flatten());
        Ok(out)
    }

    pub(crate) fn decrypt(&self, sealed: &[u8]) -> Result<Vec<u8>, Status> {
        let (iv, body) = match self.protocol {
            Protocol::One => ([0; BLOCK], sealed),
            Protocol::Two => {
                let (iv, body) = sealed
                    .split_first_chunk::<BLOCK>()
                    .ok_or(Status::INVALID_PARAMETER)?;
                (*iv, body)
            }
        };
        let mut blocks = blocks(body)?;
        cbc::Decryptor::<Aes256>::new(&self.aes.into(), &iv.into()).decrypt_blocks(&mut blocks);
        Ok(blocks.iter().flatten().copied().collect())
    }
}

fn blocks<N: ArraySize>(bytes: &[u8]) -> Result<Vec<Array<u8, N>>, Status> {
    let whole = !bytes.is_empty() && bytes.len().is_multiple_of(BLOCK);
    whole.then_some(()).ok_or(Status::INVALID_PARAMETER)?;
    bytes
        .chunks_exact(BLOCK)
        .map(|block| Array::try_from(block).map_err(|_| Status::INVALID_PARAMETER))
        .collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// An uncompressed point as a COSE key for `algorithm` (RFC 9053 §7.1).
pub(crate) fn cose_p256(point: &[u8], algorithm: i64) -> Value {
    let coordinate = |at: usize| cbor::bytes(point.get(at..at + 32).unwrap_or_default());
    cbor::map([
        (1, Value::from(2)),
        (3, Value::from(algorithm)),
        (-1, Value::from(1)),
        (-2, coordinate(1)),
        (-3, coordinate(33)),
    ])
}
