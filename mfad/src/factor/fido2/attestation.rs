//! Whether a new credential is one that was asked for, and what its key says of itself (WebAuthn level 3 §7.1, §8). Formats
//! `none`, `packed` (by itself or by a certificate) and `fido-u2f`.
//!
//! A certificate is not followed to its maker: its signature shows that the key belongs to it, and its word for the model
//! that the two agree, no more. docs/policy.md says so.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{
    auth_data::{Attested, AuthData},
    client_data::ClientData,
    cose::{ES256, PublicKey},
    der::Certificate,
    record::Registered,
};

/// A statement about a new credential, as the helper passes it on.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// Its format.
    pub format: &'a str,
    /// With the credential in it.
    pub auth_data: &'a [u8],
    /// COSE's number of the signature's algorithm; 0 where there is none.
    pub algorithm: i64,
    /// The signature; empty where there is none.
    pub signature: &'a [u8],
    /// DER, the key's own first.
    pub certificate: Option<&'a [u8]>,
}

/// A good new credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// To be kept. `verify` and `resident` are as they were asked for.
    pub registered: Registered,
    /// Where its counter begins.
    pub counter: u32,
    /// A certificate stands for the model, whoever has made it.
    pub certified: bool,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The relying party.
    pub rp_id: &'a str,
    /// What was to be signed.
    pub client_data: &'a ClientData,
    /// Whether the key must know its user, now and at each signature.
    pub verify: bool,
    /// Whether the key was to keep the credential.
    pub resident: bool,
}

/// Why a new credential is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unattested {
    /// The authenticator data are not as the standard has them, or the key is of a kind that is not served.
    Malformed,
    /// It was made for another relying party.
    RelyingParty,
    /// Nobody was there.
    UserAbsent,
    /// The key did not verify its user.
    UserUnverified,
    /// A statement in a format that is not known.
    Format,
    /// The statement is not signed as it says.
    Signature,
}

impl fmt::Display for Unattested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the key's answer cannot be read",
            Self::RelyingParty => "the key made a credential for somebody else",
            Self::UserAbsent => "the key did not wait for a touch",
            Self::UserUnverified => "the key did not verify its user",
            Self::Format => "the key attests in a format that is not known",
            Self::Signature => "the key's attestation is not signed as it says",
        })
    }
}

/// Judges a new credential.
pub fn examine(wanted: Wanted<'_>, statement: Statement<'_>) -> Result<Made, Unattested> {
    let said = AuthData::parse(statement.auth_data).ok_or(Unattested::Malformed)?;
    let attested = said.attested.as_ref().ok_or(Unattested::Malformed)?;
    if *said.rp_id_hash != <[u8; 32]>::from(Sha256::digest(wanted.rp_id)) {
        return Err(Unattested::RelyingParty);
    }
    if !said.user_present {
        return Err(Unattested::UserAbsent);
    }
    if wanted.verify && !said.user_verified {
        return Err(Unattested::UserUnverified);
    }
    let hash = wanted.client_data.hash();
    let certified = match statement.format {
        "none" if statement.signature.is_empty() => false,
        "packed" => packed(statement, attested, &hash)?,
        "fido-u2f" => u2f(statement, &said, attested, &hash)?,
        _ => return Err(Unattested::Format),
    };
    Ok(Made {
        registered: Registered {
            rp_id: wanted.rp_id.to_owned(),
            id: attested.credential.to_vec(),
            key: attested.key,
            aaguid: *attested.aaguid,
            verify: wanted.verify,
            resident: wanted.resident,
        },
        counter: said.counter,
        certified,
    })
}

/// WebAuthn level 3 §8.2. Whether it is by a certificate.
fn packed(
    statement: Statement<'_>,
    attested: &Attested<'_>,
    hash: &[u8; 32],
) -> Result<bool, Unattested> {
    let mut signed = statement.auth_data.to_vec();
    signed.extend_from_slice(hash);
    let (key, certified) = match statement.certificate {
        Some(der) => {
            let certificate = Certificate::parse(der).ok_or(Unattested::Signature)?;
            if certificate
                .aaguid
                .is_some_and(|aaguid| aaguid != *attested.aaguid)
            {
                return Err(Unattested::Signature);
            }
            (PublicKey::Es256(certificate.point), true)
        }
        None => (attested.key, false),
    };
    let good = statement.algorithm == key.algorithm() && key.verifies(&signed, statement.signature);
    good.then_some(certified).ok_or(Unattested::Signature)
}

/// WebAuthn level 3 §8.6.
fn u2f(
    statement: Statement<'_>,
    said: &AuthData<'_>,
    attested: &Attested<'_>,
    hash: &[u8; 32],
) -> Result<bool, Unattested> {
    let PublicKey::Es256(point) = attested.key else {
        return Err(Unattested::Signature);
    };
    let certificate = statement
        .certificate
        .and_then(Certificate::parse)
        .filter(|_| [0, ES256].contains(&statement.algorithm) && *attested.aaguid == [0; 16])
        .ok_or(Unattested::Signature)?;
    let mut signed = vec![0];
    signed.extend_from_slice(said.rp_id_hash);
    signed.extend_from_slice(hash);
    signed.extend_from_slice(attested.credential);
    signed.extend_from_slice(&point);
    PublicKey::Es256(certificate.point)
        .verifies(&signed, statement.signature)
        .then_some(true)
        .ok_or(Unattested::Signature)
}
