//! Keys in software that sign as SSH keys do, those of authenticators included, and agents that hold them: an honest one
//! and those that are not.

#![allow(dead_code, reason = "shared by two suites, which use different parts")]

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    time::Duration,
};

use base64ct::{Base64, Encoding as _};
use mfad::ssh::wire::{Fields, put};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use sha2::{Digest as _, Sha256};

/// Somebody touched it.
pub(crate) const TOUCHED: u8 = 1;
/// It verified them.
pub(crate) const VERIFIED: u8 = 4;

enum Secret {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

/// A key.
pub(crate) struct SoftKey {
    secret: Secret,
    /// Of an authenticator's.
    application: Option<&'static str>,
}

impl SoftKey {
    /// `sk-ssh-ed25519`, another one for another number.
    pub(crate) fn sk(number: u8) -> Self {
        Self {
            application: Some("ssh:"),
            ..Self::plain(number)
        }
    }

    /// `ssh-ed25519`.
    pub(crate) fn plain(number: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap();
        Self {
            secret: Secret::Ed25519(pair),
            application: None,
        }
    }

    /// `sk-ecdsa-sha2-nistp256`, at random.
    pub(crate) fn sk_ecdsa() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self {
            secret: Secret::P256(pair),
            application: Some("ssh:"),
        }
    }

    fn word(&self) -> &'static str {
        match (&self.secret, self.application.is_some()) {
            (Secret::Ed25519(_), true) => "sk-ssh-ed25519@openssh.com",
            (Secret::Ed25519(_), false) => "ssh-ed25519",
            (Secret::P256(_), true) => "sk-ecdsa-sha2-nistp256@openssh.com",
            (Secret::P256(_), false) => "ecdsa-sha2-nistp256",
        }
    }

    /// Its public half as it travels.
    pub(crate) fn blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        put(&mut blob, self.word().as_bytes());
        match &self.secret {
            Secret::Ed25519(pair) => put(&mut blob, pair.public_key().as_ref()),
            Secret::P256(pair) => {
                put(&mut blob, b"nistp256");
                put(&mut blob, pair.public_key().as_ref());
            }
        }
        if let Some(application) = self.application {
            put(&mut blob, application.as_bytes());
        }
        blob
    }

    /// As a line of `authorized_keys`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.word(), Base64::encode_string(&self.blob()))
    }

    /// A signature as it travels, with the authenticator's flags and counter where it is one's.
    pub(crate) fn sign(&self, message: &[u8], flags: u8, counter: u32) -> Vec<u8> {
        let signed = match self.application {
            None => message.to_vec(),
            Some(application) => [
                &Sha256::digest(application)[..],
                &[flags],
                &counter.to_be_bytes(),
                &Sha256::digest(message),
            ]
            .concat(),
        };
        let raw = match &self.secret {
            Secret::Ed25519(pair) => pair.sign(&signed).as_ref().to_vec(),
            Secret::P256(pair) => {
                let fixed = pair.sign(&SystemRandom::new(), &signed).unwrap();
                let mut numbers = Vec::new();
                for half in fixed.as_ref().chunks(32) {
                    put(&mut numbers, &positive(half));
                }
                numbers
            }
        };
        let mut signature = Vec::new();
        put(&mut signature, self.word().as_bytes());
        put(&mut signature, &raw);
        if self.application.is_some() {
            signature.push(flags);
            signature.extend_from_slice(&counter.to_be_bytes());
        }
        signature
    }
}

/// A number as an `mpint`.
fn positive(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap();
    let mut number = bytes[start..].to_vec();
    if number[0] & 0x80 != 0 {
        number.insert(0, 0);
    }
    number
}

/// An agent's answer to a request for a signature.
pub(crate) fn signed(signature: &[u8]) -> Vec<u8> {
    let mut reply = vec![14];
    put(&mut reply, signature);
    reply
}

/// An agent's list of keys.
pub(crate) fn list(keys: &[&SoftKey]) -> Vec<u8> {
    let mut reply = vec![12];
    reply.extend_from_slice(&u32::try_from(keys.len()).unwrap().to_be_bytes());
    for key in keys {
        put(&mut reply, &key.blob());
        put(&mut reply, b"a comment");
    }
    reply
}

/// What an agent does with a request for a signature.
pub(crate) enum Manner {
    /// Signs with the key that is asked for, with these flags and counter.
    Signs { flags: u8, counter: u32 },
    /// Signs once somebody has touched the key, which takes so long.
    SignsAfter(Duration),
    /// Says that it cannot.
    Refuses,
    /// Signs with another key and says that it was this one.
    SignsWith(Box<SoftKey>),
    /// Gives a signature made for something else.
    Replays(Vec<u8>),
    /// Announces 4 GiB.
    Huge,
    /// Sends without end.
    Endless,
    /// Sends a byte now and then.
    Trickles,
    /// Hangs up.
    Leaves,
    /// Lists more keys than there are bytes for.
    ListsWhatIsNotThere,
    /// Says nothing, not even which keys it holds.
    Silent,
}

/// Serves one connection in that manner until the other side leaves.
pub(crate) fn serve(mut socket: UnixStream, keys: Vec<SoftKey>, manner: Manner) {
    std::thread::spawn(move || while answer(&mut socket, &keys, &manner).is_some() {});
}

fn answer(socket: &mut UnixStream, keys: &[SoftKey], manner: &Manner) -> Option<()> {
    let request = read(socket)?;
    match (request[0], manner) {
        (_, Manner::Silent) => {
            // Until the other side has had enough.
            let _end = socket.read(&mut [0]);
            None
        }
        (11, Manner::ListsWhatIsNotThere) => {
            let mut reply = list(&keys.iter().collect::<Vec<_>>());
            reply[1..5].copy_from_slice(&u32::MAX.to_be_bytes());
            write(socket, &reply)
        }
        (11, _) => write(socket, &list(&keys.iter().collect::<Vec<_>>())),
        (13, manner) => sign(socket, keys, manner, &request[1..]),
        _ => write(socket, &[5]),
    }
}

fn sign(socket: &mut UnixStream, keys: &[SoftKey], manner: &Manner, request: &[u8]) -> Option<()> {
    let mut fields = Fields(request);
    let (blob, message) = (fields.string()?, fields.string()?);
    let key = keys.iter().find(|key| key.blob() == blob)?;
    match manner {
        Manner::Signs { flags, counter } => {
            write(socket, &signed(&key.sign(message, *flags, *counter)))
        }
        Manner::SignsAfter(wait) => {
            std::thread::sleep(*wait);
            write(socket, &signed(&key.sign(message, TOUCHED, 1)))
        }
        Manner::Refuses => write(socket, &[5]),
        Manner::SignsWith(other) => write(socket, &signed(&other.sign(message, TOUCHED, 1))),
        Manner::Replays(signature) => write(socket, &signed(signature)),
        Manner::Huge => {
            socket.write_all(&u32::MAX.to_be_bytes()).ok()?;
            socket.write_all(&[14]).ok()
        }
        Manner::Endless => {
            socket.write_all(&0x0004_0000_u32.to_be_bytes()).ok()?;
            while socket.write_all(&[14; 4096]).is_ok() {}
            None
        }
        Manner::Trickles => {
            for byte in [0, 0, 0, 200, 14].into_iter().chain([0; 200]) {
                socket.write_all(&[byte]).ok()?;
                std::thread::sleep(Duration::from_millis(300));
            }
            None
        }
        Manner::Leaves | Manner::ListsWhatIsNotThere | Manner::Silent => None,
    }
}

fn read(socket: &mut UnixStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).ok()?;
    let mut request = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut request).ok()?;
    (!request.is_empty()).then_some(request)
}

fn write(socket: &mut UnixStream, reply: &[u8]) -> Option<()> {
    let mut framed = Vec::new();
    put(&mut framed, reply);
    socket.write_all(&framed).ok()
}
