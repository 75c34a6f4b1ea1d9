//! Public keys and what verifies under them (RFC 4253 §6.6, RFC 5656, RFC 8332, RFC 8709, OpenSSH PROTOCOL.u2f). Pure.

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use sha2::{Digest as _, Sha256};

use super::wire::Fields;
use crate::store::Kind;

/// Longest key that is looked at, in bytes: RSA of 8192 bits, and room.
pub const LONGEST_KEY: usize = 2048;
/// Longest signature that is looked at, in bytes.
const LONGEST_SIGNATURE: usize = 2048;
/// What the application of an SSH key begins with (PROTOCOL.u2f): keys of web sites are none.
const APPLICATION: &str = "ssh:";
const LONGEST_APPLICATION: usize = 256;

const SK_ED25519: &str = "sk-ssh-ed25519@openssh.com";
const SK_ECDSA: &str = "sk-ecdsa-sha2-nistp256@openssh.com";
const PLAIN_ED25519: &str = "ssh-ed25519";
const PLAIN_ECDSA: &str = "ecdsa-sha2-nistp256";
const RSA: &str = "ssh-rsa";
const RSA_SIGNATURE: &str = "rsa-sha2-512";
/// Of an agent's request: sign with RSA and SHA-512 (draft-ietf-sshm-ssh-agent §5.2).
const RSA_SHA2_512: u32 = 4;

/// Flags of an authenticator's signature (CTAP 2.1 §6.1).
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;

/// Why something is no key that can be a factor. Displayed as a sentence's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Not a public key at all.
    Malformed,
    /// Of a type that is not known here.
    Type,
    /// Of an authenticator, and made for something that is not SSH.
    Application,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "that is no SSH public key",
            Self::Type => {
                "keys of that type are not known here; known are sk-ssh-ed25519, sk-ecdsa, ed25519, ecdsa (P-256) and rsa"
            }
            Self::Application => "that key was not made for SSH: its application does not begin with ssh:",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Ed25519([u8; 32]),
    /// Uncompressed point.
    P256([u8; 65]),
    Rsa {
        exponent: Vec<u8>,
        modulus: Vec<u8>,
    },
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    blob: Vec<u8>,
    material: Material,
    /// Of an authenticator's key: what it was made for.
    application: Option<String>,
}

/// What a signature says besides that it is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// What the authenticator says; `None` of a plain key.
    pub authenticator: Option<Authenticator>,
}

/// What an authenticator says in a signature of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authenticator {
    /// Somebody touched it.
    pub user_present: bool,
    /// It knew who (PIN, finger).
    pub user_verified: bool,
    /// How many signatures it has made, or 0 if it does not count.
    pub counter: u32,
}

impl PublicKey {
    /// Reads a key as it travels.
    pub fn read(blob: &[u8]) -> Result<Self, Unfit> {
        if blob.len() > LONGEST_KEY {
            return Err(Unfit::Malformed);
        }
        let mut fields = Fields(blob);
        let word = fields.string().ok_or(Unfit::Malformed)?;
        let word = std::str::from_utf8(word).map_err(|_| Unfit::Malformed)?;
        let material = material(word, &mut fields)?;
        let application = if word.starts_with("sk-") {
            Some(application(&mut fields)?)
        } else {
            None
        };
        if !fields.is_empty() {
            return Err(Unfit::Malformed);
        }
        Ok(Self {
            blob: blob.to_vec(),
            material,
            application,
        })
    }

    /// Reads a line as `ssh-add -L` and a `.pub` file have it: type, base64, and a comment that is passed over.
    pub fn read_line(line: &str) -> Result<Self, Unfit> {
        let mut words = line.split_ascii_whitespace();
        let (word, encoded) = (words.next(), words.next().ok_or(Unfit::Malformed)?);
        if encoded.len() > 2 * LONGEST_KEY {
            return Err(Unfit::Malformed);
        }
        let blob = Base64::decode_vec(encoded).map_err(|_| Unfit::Malformed)?;
        let key = Self::read(&blob)?;
        if word == Some(key.word()) {
            Ok(key)
        } else {
            Err(Unfit::Malformed)
        }
    }

    /// The key as it travels.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// What kind of factor it is.
    pub const fn kind(&self) -> Kind {
        if self.application.is_some() {
            Kind::SshSk
        } else {
            Kind::SshAgent
        }
    }

    /// Its type.
    pub const fn word(&self) -> &'static str {
        match (&self.material, self.application.is_some()) {
            (Material::Ed25519(_), true) => SK_ED25519,
            (Material::Ed25519(_), false) => PLAIN_ED25519,
            (Material::P256(_), true) => SK_ECDSA,
            (Material::P256(_), false) => PLAIN_ECDSA,
            (Material::Rsa { .. }, _) => RSA,
        }
    }

    /// As `ssh-keygen -l` prints it: `SHA256:` and 43 characters.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.blob)
    }

    /// Flags of the request that asks an agent for a signature of this key.
    pub const fn request_flags(&self) -> u32 {
        match self.material {
            Material::Rsa { .. } => RSA_SHA2_512,
            Material::Ed25519(_) | Material::P256(_) => 0,
        }
    }

    /// Verifies a signature as it travels; `None` if it is none of this key over `message`. Whether an authenticator was
    /// touched is told, and for the caller to judge.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Option<Signed> {
        if signature.len() > LONGEST_SIGNATURE {
            return None;
        }
        let mut fields = Fields(signature);
        let word = fields.string()?;
        let expected = match self.material {
            Material::Rsa { .. } => RSA_SIGNATURE,
            Material::Ed25519(_) | Material::P256(_) => self.word(),
        };
        if word != expected.as_bytes() {
            return None;
        }
        let signature = fields.string()?;
        let Some(application) = &self.application else {
            self.material.verify(message, signature)?;
            return fields.is_empty().then_some(Signed {
                authenticator: None,
            });
        };
        let (flags, counter) = (fields.byte()?, fields.number()?);
        if !fields.is_empty() {
            return None;
        }
        let mut signed = Vec::with_capacity(32 + 1 + 4 + 32);
        signed.extend_from_slice(&Sha256::digest(application.as_bytes()));
        signed.push(flags);
        signed.extend_from_slice(&counter.to_be_bytes());
        signed.extend_from_slice(&Sha256::digest(message));
        self.material.verify(&signed, signature)?;
        Some(Signed {
            authenticator: Some(Authenticator {
                user_present: flags & USER_PRESENT != 0,
                user_verified: flags & USER_VERIFIED != 0,
                counter,
            }),
        })
    }
}

impl Material {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let right = match self {
            Self::Ed25519(point) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
            Self::P256(point) => {
                let fixed = fixed_p256(signature)?;
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, &fixed)
            }
            Self::Rsa { exponent, modulus } => {
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(&RSA_PKCS1_2048_8192_SHA512, message, signature)
            }
        };
        right.ok()
    }
}

fn material(word: &str, fields: &mut Fields<'_>) -> Result<Material, Unfit> {
    let read = match word {
        SK_ED25519 | PLAIN_ED25519 => fields.array().map(Material::Ed25519),
        SK_ECDSA | PLAIN_ECDSA => {
            if fields.string() == Some(b"nistp256") {
                let point: Option<[u8; 65]> = fields.array();
                // Uncompressed (SEC 1 §2.3.3); the curve's equation is checked with the first signature.
                point.filter(|point| point[0] == 4).map(Material::P256)
            } else {
                None
            }
        }
        RSA => rsa(fields),
        _ => return Err(Unfit::Type),
    };
    read.ok_or(Unfit::Malformed)
}

fn rsa(fields: &mut Fields<'_>) -> Option<Material> {
    let (exponent, modulus) = (fields.positive()?.to_vec(), fields.positive()?.to_vec());
    Some(Material::Rsa { exponent, modulus })
}

fn application(fields: &mut Fields<'_>) -> Result<String, Unfit> {
    let text = fields.string().ok_or(Unfit::Malformed)?;
    let text = std::str::from_utf8(text).map_err(|_| Unfit::Malformed)?;
    let fit = text.starts_with(APPLICATION)
        && text.len() <= LONGEST_APPLICATION
        && mfad_protocol::printable(text) == text;
    if fit {
        Ok(text.to_owned())
    } else {
        Err(Unfit::Application)
    }
}

/// The two numbers of an ECDSA signature, each in 32 bytes.
fn fixed_p256(signature: &[u8]) -> Option<[u8; 64]> {
    let mut fields = Fields(signature);
    let mut fixed = [0; 64];
    let (first, second) = fixed.split_at_mut(32);
    for half in [first, second] {
        let number = fields.positive()?;
        let start = 32_usize.checked_sub(number.len())?;
        half[start..].copy_from_slice(number);
    }
    fields.is_empty().then_some(fixed)
}

/// As `ssh-keygen -l` prints it.
pub fn fingerprint(blob: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(blob).into();
    format!("SHA256:{}", Base64Unpadded::encode_string(&digest))
}
