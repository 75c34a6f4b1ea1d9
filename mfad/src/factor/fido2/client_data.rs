//! Client data: what is signed beside the authenticator's own words. `mfad` writes it, and nobody else.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::factor::FactorError;

/// Length of a challenge: twice what WebAuthn level 3 §13.4.3 asks for.
const CHALLENGE: usize = 32;

/// What a signature is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Create,
    Get,
}

/// The members that WebAuthn level 3 §5.8.1.1 has, in its order.
#[derive(Serialize)]
struct Written {
    #[serde(rename = "type")]
    purpose: &'static str,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin")]
    cross_origin: bool,
}

/// One challenge to one credential. It is used once, and never leaves memory but to the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientData {
    json: String,
}

impl ClientData {
    /// For a new credential.
    pub fn to_create(rp_id: &str, challenge: &[u8; CHALLENGE]) -> Result<Self, FactorError> {
        Self::new(Purpose::Create, rp_id, challenge)
    }

    /// For a login. The challenge is the same for all the credentials that may answer.
    pub fn to_get(rp_id: &str, challenge: &[u8; CHALLENGE]) -> Result<Self, FactorError> {
        Self::new(Purpose::Get, rp_id, challenge)
    }

    /// As WebAuthn level 3 §5.8.1 has it, so that what signs web logins can sign these, and neither passes for the other:
    /// no browser has such an origin.
    fn new(
        purpose: Purpose,
        rp_id: &str,
        challenge: &[u8; CHALLENGE],
    ) -> Result<Self, FactorError> {
        let written = Written {
            purpose: match purpose {
                Purpose::Create => "webauthn.create",
                Purpose::Get => "webauthn.get",
            },
            challenge: Base64UrlUnpadded::encode_string(challenge),
            origin: format!("mfa://{rp_id}"),
            cross_origin: false,
        };
        serde_json::to_string(&written)
            .map(|json| Self { json })
            .map_err(|_| FactorError::Record)
    }

    /// What the helper hashes for the key.
    pub fn as_bytes(&self) -> &[u8] {
        self.json.as_bytes()
    }

    /// What the key signs of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.json.as_bytes()).into()
    }
}

/// A new challenge.
pub fn challenge() -> Result<[u8; CHALLENGE], FactorError> {
    let mut challenge = [0; CHALLENGE];
    getrandom::fill(&mut challenge).map_err(|_| FactorError::Randomness)?;
    Ok(challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_browsers_write_it() {
        let written = ClientData::to_get("mfa.example", &[0xfb; CHALLENGE]).expect("client data");
        assert_eq!(
            std::str::from_utf8(written.as_bytes()),
            Ok(concat!(
                r#"{"type":"webauthn.get","challenge":"-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s","#,
                r#""origin":"mfa://mfa.example","crossOrigin":false}"#
            ))
        );
    }

    #[test]
    fn no_challenge_comes_twice() {
        assert_ne!(challenge().expect("bytes"), challenge().expect("bytes"));
    }
}
