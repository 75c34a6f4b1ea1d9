//! Reads the public keys that sshd says it has verified (`SSH_AUTH_INFO_0`), certificates included. It verifies nothing.

use base64ct::{Base64, Encoding as _};

use crate::ssh::{
    key::fingerprint,
    wire::{Fields, put},
};

/// Most keys of one login: sshd has one for each `publickey` of `AuthenticationMethods`.
const MOST_KEYS: usize = 8;
/// What a certificate's type ends in (OpenSSH, PROTOCOL.certkeys).
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// A public key that sshd has verified a signature of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Of the key itself, without its certificate, as `ssh-keygen -l` prints it: `SHA256:` and 43 characters. sshd's keys
    /// have one; of a login that somebody thinks of, it may not be known.
    pub fingerprint: Option<String>,
    /// The key's type without its certificate's: `ssh-ed25519`.
    pub kind: String,
    /// A FIDO authenticator keeps it.
    pub sk: bool,
    /// It came with a certificate.
    pub certificate: bool,
    /// The fingerprint of the authority that signed that, likewise.
    pub authority: Option<String>,
}

impl Key {
    /// The key as a policy sees it.
    pub fn as_policy(&self) -> policy::Key<'_> {
        policy::Key {
            fingerprint: self.fingerprint.as_deref(),
            kind: &self.kind,
            sk: self.sk,
            certificate: self.certificate,
            ca: self.authority.as_deref(),
        }
    }
}

/// The keys of a login, from sshd's lines: each a method, for `publickey` with a key's type and its base64. `None` if
/// one of them cannot be read, or if there are too many: a set that is known in part is not known.
pub fn read(lines: &str) -> Option<Vec<Key>> {
    let keys: Vec<Key> = lines
        .lines()
        .filter(|line| method(line) == "publickey")
        .map(key)
        .take(MOST_KEYS + 1)
        .collect::<Option<_>>()?;
    (keys.len() <= MOST_KEYS).then_some(keys)
}

/// The method of a line, without what sshd appends for keyboard-interactive's device.
pub fn method(line: &str) -> &str {
    let word = line.split(' ').next().unwrap_or_default();
    word.split('/').next().unwrap_or_default()
}

fn key(line: &str) -> Option<Key> {
    let mut words = line.split(' ').skip(1);
    let (kind, encoded) = (words.next()?, words.next()?);
    let blob = Base64::decode_vec(encoded).ok()?;
    // A key is of the type that its bytes say; the word beside them must agree.
    let mut fields = Fields(&blob);
    if fields.string()? != kind.as_bytes() {
        return None;
    }
    let Some(plain) = plain_of(kind) else {
        // Every key there is consists of strings and numbers that are written as strings (RFC 4253 §6.6).
        while !fields.is_empty() {
            fields.string()?;
        }
        return Some(Key {
            fingerprint: Some(fingerprint(&blob)),
            kind: kind.to_owned(),
            sk: kind.starts_with("sk-"),
            certificate: false,
            authority: None,
        });
    };
    let (blob, authority) = certified(&plain, fields)?;
    Some(Key {
        fingerprint: Some(fingerprint(&blob)),
        certificate: true,
        sk: plain.starts_with("sk-"),
        kind: plain,
        authority: Some(fingerprint(authority)),
    })
}

/// The type of the key in a certificate of this type: of `sk-` keys the vendor's name goes with the word, of others not.
fn plain_of(kind: &str) -> Option<String> {
    let stem = kind.strip_suffix(CERTIFICATE)?;
    Some(if stem.starts_with("sk-") {
        format!("{stem}@openssh.com")
    } else {
        stem.to_owned()
    })
}

/// The plain key in a certificate of it, and the authority's key.
fn certified<'a>(plain: &str, mut fields: Fields<'a>) -> Option<(Vec<u8>, &'a [u8])> {
    let parts = match plain {
        "ssh-rsa"
        | "ecdsa-sha2-nistp256"
        | "ecdsa-sha2-nistp384"
        | "ecdsa-sha2-nistp521"
        | "sk-ssh-ed25519@openssh.com" => 2,
        "ssh-ed25519" => 1,
        "sk-ecdsa-sha2-nistp256@openssh.com" => 3,
        "ssh-dss" => 4,
        _ => return None,
    };
    let _nonce = fields.string()?;
    let mut blob = Vec::new();
    put(&mut blob, plain.as_bytes());
    for _ in 0..parts {
        put(&mut blob, fields.string()?);
    }
    let (_serial, _for_users_or_hosts) = (fields.take(8)?, fields.take(4)?);
    let (_id, _principals) = (fields.string()?, fields.string()?);
    let (_from, _until) = (fields.take(8)?, fields.take(8)?);
    let (_critical, _extensions, _reserved) =
        (fields.string()?, fields.string()?, fields.string()?);
    let authority = fields.string()?;
    let _signature = fields.string()?;
    fields.is_empty().then_some((blob, authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBDmdGAhHdFFT+4Mas2pUp679noKoHo3GNtnff562xbD";
    const CERTIFIED: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIJ2SZbnmwwXN99pxEpdqTqtkUwPu9Y2scqKgdVHFd6lbAAAAIBDmdGAhHdFFT+4Mas2pUp679noKoHo3GNtnff562xbDAAAAAAAAAAAAAAABAAAAAmlkAAAACQAAAAVhbGljZQAAAAAAAAAA//////////8AAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACBzjuivtGmo9qNnLtEakzel7iJBJVBoKfN47/L01d4D1wAAAFMAAAALc3NoLWVkMjU1MTkAAABAg9Vg8fgoU9C2SWAFaK0iQ5c+HQCopGOiQVFfrhJ4hpGdee7XtMjuGTHKetpvKGZCKLCuyFLBkVtjubztndeZDw==";

    fn one(line: &str) -> Key {
        let mut keys = read(&format!("publickey {line}\n")).unwrap();
        assert_eq!(keys.len(), 1);
        keys.remove(0)
    }

    #[test]
    fn a_key_and_its_certificate_have_the_fingerprint_that_ssh_keygen_prints() {
        let plain = one(ED25519);
        assert_eq!(
            plain.fingerprint.as_deref().unwrap(),
            "SHA256:IowJ8NUi8dRlwI55YFGTfQr+/H0JRwbLdJ9x/wK3EjA"
        );
        assert_eq!(
            (plain.kind.as_str(), plain.sk, plain.authority.as_deref()),
            ("ssh-ed25519", false, None)
        );
        let certified = one(CERTIFIED);
        assert_eq!(certified.fingerprint, plain.fingerprint);
        assert_eq!(certified.kind, "ssh-ed25519");
        assert_eq!(
            certified.authority.as_deref(),
            Some("SHA256:Fu803gypboHpjgSu8+0K7p+0ZychF5Hea7kO+i4obkw")
        );
    }

    #[test]
    fn other_methods_are_passed_over_and_keys_counted() {
        let lines = format!("publickey {ED25519}\nkeyboard-interactive/pam\npassword\n");
        assert_eq!(read(&lines).unwrap().len(), 1);
        assert_eq!(read("keyboard-interactive/pam\n"), Some(Vec::new()));
        assert_eq!(read(""), Some(Vec::new()));
        let many = format!("publickey {ED25519}\n").repeat(MOST_KEYS + 1);
        assert_eq!(read(&many), None);
    }

    #[test]
    fn what_cannot_be_read_makes_all_of_them_unknown() {
        let good = format!("publickey {ED25519}\n");
        let (kind, encoded) = ED25519.split_once(' ').unwrap();
        for bad in [
            "publickey".to_owned(),
            format!("publickey {kind}"),
            format!("publickey {kind} {encoded}="),
            format!("publickey ssh-rsa {encoded}"),
            format!("publickey {kind} AAAA"),
            format!("publickey x{CERTIFICATE} {encoded}"),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
            assert_eq!(read(&format!("{good}{bad}\n")), None, "{bad}");
        }
    }

    #[test]
    fn a_certificate_that_is_cut_or_longer_is_not_read() {
        let (kind, encoded) = CERTIFIED.split_once(' ').unwrap();
        let blob = Base64::decode_vec(encoded).unwrap();
        let as_line = |blob: &[u8]| format!("publickey {kind} {}", Base64::encode_string(blob));
        assert!(read(&as_line(&blob)).is_some());
        for length in 0..blob.len() {
            assert_eq!(read(&as_line(&blob[..length])), None, "{length}");
        }
        assert_eq!(read(&as_line(&[blob.as_slice(), &[0]].concat())), None);
    }

    #[test]
    fn an_sk_key_says_so() {
        let mut blob = Vec::new();
        for part in [&b"sk-ssh-ed25519@openssh.com"[..], &[7; 32], b"ssh:"] {
            put(&mut blob, part);
        }
        let key = one(&format!(
            "sk-ssh-ed25519@openssh.com {}",
            Base64::encode_string(&blob)
        ));
        assert!(key.sk && key.kind == "sk-ssh-ed25519@openssh.com");
    }
}
