//! Keys in software that sign whatever they are told to, for the tests beside.

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use sha2::{Digest as _, Sha256};

use super::{ClientData, PublicKey, Registered};

pub(super) enum Software {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Software {
    pub(super) fn both() -> [Self; 2] {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let es256 = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        [
            Self::Es256(EcdsaKeyPair::from_pkcs8(kind, es256.as_ref(), &random).expect("a key")),
            Self::Ed25519(Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).expect("a key")),
        ]
    }

    pub(super) fn registered(&self, verify: bool) -> Registered {
        let key = match self {
            Self::Es256(pair) => PublicKey::Es256(
                pair.public_key()
                    .as_ref()
                    .try_into()
                    .expect("an uncompressed point"),
            ),
            Self::Ed25519(pair) => {
                PublicKey::Ed25519(pair.public_key().as_ref().try_into().expect("32 bytes"))
            }
        };
        Registered {
            rp_id: "mfa.example".into(),
            id: vec![1; 48],
            key,
            aaguid: [2; 16],
            verify,
            resident: false,
        }
    }

    pub(super) fn sign(&self, auth_data: &[u8], client_data: &ClientData) -> Vec<u8> {
        let mut signed = auth_data.to_vec();
        signed.extend_from_slice(&client_data.hash());
        match self {
            Self::Es256(pair) => pair
                .sign(&SystemRandom::new(), &signed)
                .expect("a signature")
                .as_ref()
                .to_vec(),
            Self::Ed25519(pair) => pair.sign(&signed).as_ref().to_vec(),
        }
    }
}

/// Authenticator data of an assertion.
pub(super) fn auth_data(rp_id: &str, flags: u8, counter: u32) -> Vec<u8> {
    let mut data = Sha256::digest(rp_id).to_vec();
    data.push(flags);
    data.extend_from_slice(&counter.to_be_bytes());
    data
}
