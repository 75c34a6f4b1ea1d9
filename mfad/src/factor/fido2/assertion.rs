//! Whether a key has signed what it was asked to (WebAuthn level 3 §7.2). The counter is told, and judged by the store, which
//! moves it in the same transaction.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{auth_data::AuthData, client_data::ClientData, record::Registered};

/// What was asked, and of whom.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The credential that was to sign.
    pub registered: &'a Registered,
    /// What it was to sign.
    pub client_data: &'a ClientData,
    /// Whether the key must have verified its user.
    pub verify: bool,
}

/// What a good signature proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proven {
    /// The signature counter; 0 where the key has none.
    pub counter: u32,
    /// The key knew its user.
    pub user_verified: bool,
}

/// Why a signature proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The authenticator data are not as the standard has them.
    Malformed,
    /// It was made for another relying party.
    RelyingParty,
    /// Nobody was there.
    UserAbsent,
    /// Somebody was there, and the key does not say that it was its user.
    UserUnverified,
    /// Another key's signature, or of something else.
    Signature,
}

impl Refusal {
    /// For the audit trail.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::RelyingParty => "relying-party",
            Self::UserAbsent => "user-absent",
            Self::UserUnverified => "user-unverified",
            Self::Signature => "signature",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Judges one signature. What may never be in an assertion, a new credential, makes it malformed.
pub fn verify(
    expected: Expected<'_>,
    auth_data: &[u8],
    signature: &[u8],
) -> Result<Proven, Refusal> {
    let said = AuthData::parse(auth_data)
        .filter(|said| said.attested.is_none())
        .ok_or(Refusal::Malformed)?;
    let registered = expected.registered;
    if *said.rp_id_hash != <[u8; 32]>::from(Sha256::digest(&registered.rp_id)) {
        return Err(Refusal::RelyingParty);
    }
    if !said.user_present {
        return Err(Refusal::UserAbsent);
    }
    if (expected.verify || registered.verify) && !said.user_verified {
        return Err(Refusal::UserUnverified);
    }
    let mut signed = auth_data.to_vec();
    signed.extend_from_slice(&expected.client_data.hash());
    if !registered.key.verifies(&signed, signature) {
        return Err(Refusal::Signature);
    }
    Ok(Proven {
        counter: said.counter,
        user_verified: said.user_verified,
    })
}
