//! The envelope that a key signs for more than a login (OpenSSH, PROTOCOL.sshsig), and what this daemon puts in it. Pure.

use sha2::{Digest as _, Sha512};

use super::wire::put;

/// No signature of a login, a commit or a file is ever one of these: they are made in other namespaces.
const NAMESPACE: &[u8] = b"mfa@pam_mfa";
const MAGIC: &[u8] = b"SSHSIG";
const HASH: &[u8] = b"sha512";
/// Of the message inside.
const VERSION: &[u8] = b"1";

/// What a signature is asked for: this moment, here, for this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// Random, and used once.
    pub nonce: [u8; 32],
    /// This machine.
    pub host: [u8; 16],
    /// Whose factor it is.
    pub user: String,
    /// What wants it.
    pub service: String,
}

impl Purpose {
    /// The bytes that are signed.
    pub fn envelope(&self) -> Vec<u8> {
        let mut message = Vec::new();
        for part in [
            VERSION,
            &self.nonce,
            &self.host,
            self.user.as_bytes(),
            self.service.as_bytes(),
        ] {
            put(&mut message, part);
        }
        let mut envelope = MAGIC.to_vec();
        for part in [NAMESPACE, b"", HASH, &Sha512::digest(message)] {
            put(&mut envelope, part);
        }
        envelope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purpose() -> Purpose {
        Purpose {
            nonce: [1; 32],
            host: [2; 16],
            user: "alice".into(),
            service: "sudo".into(),
        }
    }

    #[test]
    fn every_part_of_the_purpose_is_signed() {
        let all = [
            purpose(),
            Purpose {
                nonce: [9; 32],
                ..purpose()
            },
            Purpose {
                host: [9; 16],
                ..purpose()
            },
            Purpose {
                user: "alices".into(),
                service: "udo".into(),
                ..purpose()
            },
            Purpose {
                service: "su".into(),
                ..purpose()
            },
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(one.envelope(), other.envelope());
            }
        }
    }

    #[test]
    fn the_envelope_is_openssh_s() {
        let envelope = purpose().envelope();
        let head = b"SSHSIG\0\0\0\x0bmfa@pam_mfa\0\0\0\0\0\0\0\x06sha512\0\0\0\x40";
        assert!(envelope.starts_with(head));
        assert_eq!(envelope.len(), head.len() + 64);
    }
}
