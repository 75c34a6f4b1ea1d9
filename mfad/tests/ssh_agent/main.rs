//! Signatures of SSH keys: what verifies, what OpenSSH itself makes, and what no changed answer of an agent ever is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step is a failed test"
)]

mod mutated;
mod signer;

use std::{path::Path, process::Command};

use base64ct::{Base64, Encoding as _};
use mfad::{
    ssh::{
        key::{Authenticator, PublicKey, Signed, Unfit},
        sshsig::Purpose,
        wire::Fields,
    },
    store::Kind,
};
use sha2::{Digest as _, Sha512};
use signer::{SoftKey, TOUCHED, VERIFIED};

fn purpose() -> Purpose {
    Purpose {
        nonce: [7; 32],
        host: [8; 16],
        user: "alice".into(),
        service: "sudo".into(),
    }
}

#[test]
fn what_an_authenticator_says_is_told() {
    for soft in [SoftKey::sk(1), SoftKey::sk_ecdsa()] {
        let key = PublicKey::read_line(&soft.line()).unwrap();
        assert_eq!(key.kind(), Kind::SshSk);
        for (flags, user_present, user_verified) in [
            (0, false, false),
            (TOUCHED, true, false),
            (TOUCHED | VERIFIED, true, true),
        ] {
            let message = purpose().envelope();
            let signature = soft.sign(&message, flags, 77);
            let told = Signed {
                authenticator: Some(Authenticator {
                    user_present,
                    user_verified,
                    counter: 77,
                }),
            };
            assert_eq!(key.verify(&message, &signature), Some(told));
        }
    }
}

#[test]
fn a_signature_is_of_one_key_and_one_purpose() {
    let soft = SoftKey::sk(1);
    let message = purpose().envelope();
    let signature = soft.sign(&message, TOUCHED, 1);
    let other = PublicKey::read(&SoftKey::sk(2).blob()).unwrap();
    assert_eq!(other.verify(&message, &signature), None);
    // The same key material without an authenticator is another key, and so the other way round.
    let plain = PublicKey::read(&SoftKey::plain(1).blob()).unwrap();
    assert_eq!(plain.verify(&message, &signature), None);
    let key = PublicKey::read(&soft.blob()).unwrap();
    let by_plain = SoftKey::plain(1).sign(&message, 0, 0);
    assert_eq!(key.verify(&message, &by_plain), None);
    let elsewhere = Purpose {
        host: [9; 16],
        ..purpose()
    };
    assert_eq!(key.verify(&elsewhere.envelope(), &signature), None);
}

#[test]
fn what_is_no_key_for_ssh_is_refused() {
    let web = SoftKey::sk(1);
    let mut blob = web.blob();
    let application = blob.len() - 4;
    blob[application..].copy_from_slice(b"web:");
    assert_eq!(PublicKey::read(&blob), Err(Unfit::Application));
    for line in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa !"] {
        assert_eq!(PublicKey::read_line(line), Err(Unfit::Malformed), "{line}");
    }
    let (_, encoded) = web
        .line()
        .split_once(' ')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(
        PublicKey::read_line(&format!("ssh-ed25519 {encoded}")),
        Err(Unfit::Malformed),
        "the word beside it must agree"
    );
    let blob = web.blob();
    for length in 0..blob.len() {
        assert!(PublicKey::read(&blob[..length]).is_err(), "{length}");
    }
    assert!(PublicKey::read(&[&blob[..], &[0]].concat()).is_err());
}

fn keygen(directory: &Path, arguments: &[&str]) {
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("ssh-keygen (openssh-client) runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// `ssh-keygen -Y sign` makes the same envelope around any file, and the signature in it is over the same bytes.
#[test]
fn signatures_that_openssh_makes_verify() {
    let scratch = tempfile::tempdir().unwrap();
    let at = scratch.path();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        keygen(at, &["-q", "-t", kind, "-N", "", "-f", kind]);
        std::fs::write(at.join("message"), b"a message").unwrap();
        let namespace = "mfa@pam_mfa";
        let sign = ["-q", "-Y", "sign", "-n", namespace, "-f", kind, "message"];
        keygen(at, &sign);
        let armored = std::fs::read_to_string(at.join("message.sig")).unwrap();
        std::fs::remove_file(at.join("message.sig")).unwrap();
        let body: String = armored
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let file = Base64::decode_vec(&body).unwrap();
        let mut fields = Fields(&file[b"SSHSIG".len()..]);
        assert_eq!(fields.number(), Some(1));
        let key = PublicKey::read(fields.string().unwrap()).unwrap();
        assert_eq!(fields.string(), Some(namespace.as_bytes()));
        let (_reserved, hash) = (fields.string().unwrap(), fields.string().unwrap());
        assert_eq!(hash, b"sha512");
        let signature = fields.string().unwrap();
        // The envelope of `Purpose`, around another message.
        let ours = purpose().envelope();
        let digest = ours.len() - 64;
        let theirs = [&ours[..digest], &Sha512::digest(b"a message")[..]].concat();
        assert!(key.verify(&theirs, signature).is_some(), "{kind}");
        assert_eq!(key.verify(&ours, signature), None);
        assert_eq!(key.kind(), Kind::SshAgent);
    }
}
