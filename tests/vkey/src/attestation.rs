//! The key's attestation: a certificate made by itself, as `WebAuthn` §8.2.1 wants it, and signatures by its key. The
//! encoder knows only the DER that this one certificate needs.

use ring::rand::SystemRandom;

use crate::{
    credential::{ES256, Secret},
    status::Status,
};

/// This model's number, in every credential and in the certificate: "mfa-tests' vkey", 15 letters and a zero.
pub(crate) const AAGUID: [u8; 16] = *b"mfa-tests' vkey\0";

/// The key that vouches for credentials, and the certificate that names it.
#[derive(Debug, Clone)]
pub(crate) struct Attestation {
    pub(crate) secret: Secret,
    pub(crate) certificate: Vec<u8>,
}

impl Attestation {
    pub(crate) fn new(random: &SystemRandom) -> Result<Self, Status> {
        let secret = Secret::new(ES256, random)?;
        let tbs = to_be_signed(&secret.public(random)?);
        let signature = secret.sign(&tbs, random)?;
        let certificate = der(
            SEQUENCE,
            &[&tbs, ecdsa_with_sha256().as_slice(), &bits(&signature)],
        );
        Ok(Self {
            secret,
            certificate,
        })
    }
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

const ID_EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const PRIME256V1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// id-fido-gen-ce-aaguid, 1.3.6.1.4.1.45724.1.1.4.
const FIDO_AAGUID: &[u8] = &[
    0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xe5, 0x1c, 0x01, 0x01, 0x04,
];

fn to_be_signed(public: &[u8]) -> Vec<u8> {
    let name = name();
    let validity = der(
        SEQUENCE,
        &[
            &der(GENERALIZED_TIME, &[b"20200101000000Z"]),
            &der(GENERALIZED_TIME, &[b"20991231235959Z"]),
        ],
    );
    let key = der(
        SEQUENCE,
        &[
            &der(
                SEQUENCE,
                &[
                    &der(OBJECT, &[ID_EC_PUBLIC_KEY]),
                    &der(OBJECT, &[PRIME256V1]),
                ],
            ),
            &bits(public),
        ],
    );
    let extensions = der(
        SEQUENCE,
        &[
            &der(
                SEQUENCE,
                &[
                    &der(OBJECT, &[BASIC_CONSTRAINTS]),
                    &der(BOOLEAN, &[&[0xff]]),
                    &der(OCTET_STRING, &[&der(SEQUENCE, &[])]),
                ],
            ),
            &der(
                SEQUENCE,
                &[
                    &der(OBJECT, &[FIDO_AAGUID]),
                    &der(OCTET_STRING, &[&der(OCTET_STRING, &[&AAGUID])]),
                ],
            ),
        ],
    );
    der(
        SEQUENCE,
        &[
            // Version 3, number 1.
            &der(0xa0, &[&der(INTEGER, &[&[2]])]),
            &der(INTEGER, &[&[1]]),
            &ecdsa_with_sha256(),
            &name,
            &validity,
            &name,
            &key,
            &der(0xa3, &[&extensions]),
        ],
    )
}

/// Country, organization, unit and name, which `WebAuthn` asks for.
fn name() -> Vec<u8> {
    let part = |last: u8, tag: u8, text: &str| {
        let pair = der(
            SEQUENCE,
            &[
                &der(OBJECT, &[&[0x55, 0x04, last]]),
                &der(tag, &[text.as_bytes()]),
            ],
        );
        der(SET, &[&pair])
    };
    der(
        SEQUENCE,
        &[
            &part(6, PRINTABLE, "ZZ"),
            &part(10, UTF8, "mfa-tests"),
            &part(11, UTF8, "Authenticator Attestation"),
            &part(3, UTF8, "A key that protects nothing"),
        ],
    )
}

fn ecdsa_with_sha256() -> Vec<u8> {
    der(SEQUENCE, &[&der(OBJECT, &[ECDSA_WITH_SHA256])])
}

fn bits(bytes: &[u8]) -> Vec<u8> {
    der(BIT_STRING, &[&[0], bytes])
}

/// One element; at most 65,535 bytes, and there are never so many here.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let [.., high, low] = body.len().to_be_bytes();
    let mut out = vec![tag];
    match body.len() {
        0..=0x7f => out.push(low),
        0x80..=0xff => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    out.extend(body);
    out
}
