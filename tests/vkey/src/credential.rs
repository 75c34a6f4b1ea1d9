//! A credential: its key pair, for whom it is and how well it is protected. Signs; decides nothing.

use ciborium::Value;
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};

use crate::{cbor, cipher, status::Status};

/// ES256 in COSE (RFC 9053 §2.1).
pub(crate) const ES256: i64 = -7;
/// `EdDSA` in COSE (RFC 9053 §2.2).
pub(crate) const EDDSA: i64 = -8;

/// When a credential may be used (CTAP 2.1 §12.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Protection {
    /// Level 1.
    Optional,
    /// Level 2: without verification only by whoever knows its id.
    OptionalWithList,
    /// Level 3.
    Required,
}

impl Protection {
    pub(crate) fn of(level: i128) -> Option<Self> {
        match level {
            1 => Some(Self::Optional),
            2 => Some(Self::OptionalWithList),
            3 => Some(Self::Required),
            _ => None,
        }
    }

    pub(crate) const fn level(self) -> u8 {
        match self {
            Self::Optional => 1,
            Self::OptionalWithList => 2,
            Self::Required => 3,
        }
    }
}

/// A key pair, as PKCS #8.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) algorithm: i64,
    pub(crate) document: Vec<u8>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").finish_non_exhaustive()
    }
}

impl Secret {
    pub(crate) fn new(algorithm: i64, random: &SystemRandom) -> Result<Self, Status> {
        let document = if algorithm == EDDSA {
            Ed25519KeyPair::generate_pkcs8(random)?
        } else {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, random)?
        };
        Ok(Self {
            algorithm,
            document: document.as_ref().to_vec(),
        })
    }

    fn p256(&self, random: &SystemRandom) -> Result<EcdsaKeyPair, Status> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.document, random)
            .map_err(|_| Status::OTHER)
    }

    fn ed25519(&self) -> Result<Ed25519KeyPair, Status> {
        Ed25519KeyPair::from_pkcs8(&self.document).map_err(|_| Status::OTHER)
    }

    /// ES256 in DER, `EdDSA` as it is.
    pub(crate) fn sign(&self, message: &[u8], random: &SystemRandom) -> Result<Vec<u8>, Status> {
        if self.algorithm == EDDSA {
            return Ok(self.ed25519()?.sign(message).as_ref().to_vec());
        }
        let signature = self.p256(random)?.sign(random, message)?;
        Ok(signature.as_ref().to_vec())
    }

    /// The public half: a point, or Ed25519's 32 bytes.
    pub(crate) fn public(&self, random: &SystemRandom) -> Result<Vec<u8>, Status> {
        if self.algorithm == EDDSA {
            return Ok(self.ed25519()?.public_key().as_ref().to_vec());
        }
        Ok(self.p256(random)?.public_key().as_ref().to_vec())
    }

    /// The public half as a COSE key.
    pub(crate) fn cose(&self, random: &SystemRandom) -> Result<Value, Status> {
        let public = self.public(random)?;
        Ok(if self.algorithm == EDDSA {
            cbor::map([
                (1, Value::from(1)),
                (3, Value::from(EDDSA)),
                (-1, Value::from(6)),
                (-2, cbor::bytes(&public)),
            ])
        } else {
            cipher::cose_p256(&public, ES256)
        })
    }
}

/// Whose a credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: Vec<u8>,
    pub(crate) name: Option<String>,
    pub(crate) display_name: Option<String>,
}

impl User {
    /// As a map; the names only where `named`.
    pub(crate) fn value(&self, named: bool) -> Value {
        let mut entries = vec![("id", cbor::bytes(&self.id))];
        if named {
            // Canonical: the shorter key first.
            entries.extend(self.name.clone().map(|name| ("name", Value::from(name))));
            let display = self.display_name.clone();
            entries.extend(display.map(|name| ("displayName", Value::from(name))));
        }
        cbor::map(entries)
    }
}

/// One credential.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub(crate) id: Vec<u8>,
    pub(crate) rp: String,
    pub(crate) user: User,
    pub(crate) resident: bool,
    pub(crate) protection: Protection,
    pub(crate) secret: Secret,
}

impl Credential {
    /// Whether it may be used: by somebody verified or not, who named it or did not.
    pub(crate) fn usable(&self, verified: bool, listed: bool) -> bool {
        match self.protection {
            Protection::Optional => true,
            Protection::OptionalWithList => verified || listed,
            Protection::Required => verified,
        }
    }

    /// As a `PublicKeyCredentialDescriptor`.
    pub(crate) fn descriptor(&self) -> Value {
        cbor::map([
            ("id", cbor::bytes(&self.id)),
            ("type", Value::from("public-key")),
        ])
    }
}

/// A new credential's id.
pub(crate) fn new_id(random: &SystemRandom) -> Result<Vec<u8>, Status> {
    let mut id = vec![0; 48];
    random.fill(&mut id)?;
    Ok(id)
}

/// The ids of the descriptors in `list` that are public keys.
pub(crate) fn ids(list: &[Value]) -> Result<Vec<Vec<u8>>, Status> {
    let mut ids = Vec::new();
    for entry in list {
        let entry = cbor::Map::of(entry.clone())?;
        let id = cbor::needed(entry.bytes("id")?)?;
        if cbor::needed(entry.text("type")?)? == "public-key" {
            ids.push(id.to_vec());
        }
    }
    Ok(ids)
}
