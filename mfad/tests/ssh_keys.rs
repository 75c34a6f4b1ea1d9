//! The keys that `SSH_AUTH_INFO_0` names, compared with what the real `ssh-keygen` says of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step is a failed test"
)]

use std::{path::Path, process::Command};

use base64ct::{Base64, Encoding as _};
use mfad::session::ssh_keys::{Key, read};

fn keygen(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("ssh-keygen (openssh-client) runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The second word of `ssh-keygen -l`: `256 SHA256:… comment (ED25519)`.
fn printed(directory: &Path, file: &str) -> String {
    let line = keygen(directory, &["-l", "-f", file]);
    line.split(' ').nth(1).unwrap().to_owned()
}

fn ours(directory: &Path, file: &str) -> Key {
    let text = std::fs::read_to_string(directory.join(file)).unwrap();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    let mut keys = read(&format!("publickey {} {}\n", words[0], words[1])).unwrap();
    keys.remove(0)
}

/// A public key of an authenticator that is not there: ssh-keygen prints and certifies it all the same.
fn write_sk_key(directory: &Path, name: &str, parts: &[&[u8]]) {
    let mut blob = Vec::new();
    for part in parts {
        blob.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        blob.extend_from_slice(part);
    }
    let kind = str::from_utf8(parts[0]).unwrap();
    let line = format!("{kind} {} sk\n", Base64::encode_string(&blob));
    std::fs::write(directory.join(name), line).unwrap();
}

/// The point that an ECDSA key of ssh-keygen's has.
fn point(directory: &Path, file: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(directory.join(file)).unwrap();
    let blob = Base64::decode_vec(text.split(' ').nth(1).unwrap()).unwrap();
    blob[blob.len() - 65..].to_vec()
}

#[test]
fn every_type_of_key_and_certificate_reads_as_ssh_keygen_prints_it() {
    let scratch = tempfile::tempdir().unwrap();
    let at = scratch.path();
    keygen(at, &["-q", "-t", "ed25519", "-N", "", "-f", "ca"]);
    let authority = printed(at, "ca.pub");
    let made = [
        ("rsa", "2048"),
        ("ecdsa", "256"),
        ("ecdsa", "384"),
        ("ecdsa", "521"),
        ("ed25519", "256"),
    ];
    let mut names: Vec<String> = made
        .iter()
        .map(|(kind, bits)| {
            let name = format!("{kind}{bits}");
            keygen(at, &["-q", "-t", kind, "-b", bits, "-N", "", "-f", &name]);
            name
        })
        .collect();
    let sk_ed25519: [&[u8]; 3] = [b"sk-ssh-ed25519@openssh.com", &[7; 32], b"ssh:"];
    write_sk_key(at, "sk-ed25519.pub", &sk_ed25519);
    let point = point(at, "ecdsa256.pub");
    let sk_ecdsa: [&[u8]; 4] = [
        b"sk-ecdsa-sha2-nistp256@openssh.com",
        b"nistp256",
        &point,
        b"ssh:",
    ];
    write_sk_key(at, "sk-ecdsa.pub", &sk_ecdsa);
    names.extend(["sk-ed25519".to_owned(), "sk-ecdsa".to_owned()]);

    for name in names {
        let (public, certificate) = (format!("{name}.pub"), format!("{name}-cert.pub"));
        keygen(
            at,
            &["-q", "-s", "ca", "-I", "id", "-n", "alice,bob", &public],
        );
        let key = ours(at, &public);
        assert_eq!(key.fingerprint, Some(printed(at, &public)), "{name}");
        assert_eq!(key.authority, None);
        assert_eq!(key.sk, name.starts_with("sk-"));
        let certified = ours(at, &certificate);
        assert_eq!(
            certified.fingerprint,
            Some(printed(at, &certificate)),
            "{certificate}"
        );
        assert_eq!(
            certified,
            Key {
                certificate: true,
                authority: Some(authority.clone()),
                ..key
            }
        );
    }
}
