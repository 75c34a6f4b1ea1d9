//! A credential's public key: from COSE (RFC 9053), and what it says of a signature. ES256 and EdDSA with Ed25519, no other.

use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};

use super::cbor::Reader;

/// COSE's number for ECDSA with P-256 and SHA-256.
pub(super) const ES256: i64 = -7;
/// COSE's number for EdDSA.
pub(super) const EDDSA: i64 = -8;

const KTY: i64 = 1;
const ALG: i64 = 3;
const CRV: i64 = -1;
const X: i64 = -2;
const Y: i64 = -3;
/// Most members of a key: the five, and room for what a later version may add.
const MEMBERS: u64 = 8;

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicKey {
    /// A point on P-256, uncompressed (SEC 1 §2.3.3): 4, x, y.
    Es256([u8; 65]),
    /// Ed25519 (RFC 8032).
    Ed25519([u8; 32]),
}

impl PublicKey {
    /// A point on P-256 from its coordinates.
    pub fn of_point(x: [u8; 32], y: [u8; 32]) -> Self {
        let mut point = [4; 65];
        point[1..33].copy_from_slice(&x);
        point[33..].copy_from_slice(&y);
        Self::Es256(point)
    }

    /// COSE's number for its signatures.
    pub const fn algorithm(&self) -> i64 {
        match self {
            Self::Es256(_) => ES256,
            Self::Ed25519(_) => EDDSA,
        }
    }

    /// The algorithm's name in show.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// Whether `signature` is this key's over `message`. A point that is none verifies nothing.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Es256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
                .verify(message, signature)
                .is_ok(),
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key)
                .verify(message, signature)
                .is_ok(),
        }
    }

    /// Reads a `COSE_Key`; `None` if it is another kind of key or says something twice.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let pairs = reader.map().filter(|pairs| *pairs <= MEMBERS)?;
        let (mut kty, mut alg, mut crv, mut x, mut y) = (None, None, None, None, None);
        let mut last = None;
        for _ in 0..pairs {
            let label = reader.integer()?;
            // Canonical order, by which no label comes twice.
            let order = (label < 0, label.unsigned_abs());
            if last.is_some_and(|last| last >= order) {
                return None;
            }
            last = Some(order);
            match label {
                KTY => kty = Some(reader.integer()?),
                ALG => alg = Some(reader.integer()?),
                CRV => crv = Some(reader.integer()?),
                X => x = Some(<[u8; 32]>::try_from(reader.bytes()?).ok()?),
                Y => y = Some(<[u8; 32]>::try_from(reader.bytes()?).ok()?),
                _ => reader.skip()?,
            }
        }
        match (kty?, alg?, crv?, x?, y) {
            (2, ES256, 1, x, Some(y)) => Some(Self::of_point(x, y)),
            (1, EDDSA, 6, x, None) => Some(Self::Ed25519(x)),
            _ => None,
        }
    }
}
