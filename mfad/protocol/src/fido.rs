//! What `mfad` and `mfad-fido` say to each other about a security key. Frames: a length of four bytes, big-endian, then
//! that much JSON. One connection carries one [`Request`], any number of [`Event`]s, and ends with [`Event::Done`].
//!
//! It holds no logic. Nothing in it is secret but a PIN that passes through; everything in an [`Event`] comes from a device
//! that may lie, and `mfad` checks all of it again.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::hex;

/// Largest frame, in bytes. The largest message of a key has 7609 (CTAP 2.1 §11.2.4), twice that in hexadecimal.
pub const FRAME: usize = 64 * 1024;
/// Most credentials that are looked for in one request.
pub const CREDENTIALS: usize = 32;
/// Longest credential id, in bytes (WebAuthn level 3 §6.5.1).
pub const CREDENTIAL_ID: usize = 1023;
/// Longest relying party id, in bytes: that of a host name (RFC 1035 §2.3.4).
pub const RP_ID: usize = 253;
/// Longest client data, in bytes.
pub const CLIENT_DATA: usize = 1024;
/// Longest PIN, in bytes of UTF-8 (CTAP 2.1 §6.5.1).
pub const PIN: usize = 63;
/// Longest wait that may be asked for, in milliseconds.
pub const WAIT_MS: u32 = 120_000;

/// Bytes, which JSON cannot hold: hexadecimal in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode_all(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom("not hexadecimal"))
    }
}

/// A key's PIN on its way to the key. Wiped when dropped, and shown nowhere.
#[derive(Clone)]
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// What was typed.
    pub fn new(typed: Zeroizing<String>) -> Self {
        Self(typed)
    }

    /// For the key alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin")
    }
}

/// In hexadecimal too: what has nothing to escape is read from where it stands, without a copy in serde's own memory.
impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(hex::encode(self.0.as_bytes())))
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let bytes = hex::decode_all(text).map(Zeroizing::new);
        let text = bytes
            .as_ref()
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.map(|text| Self(Zeroizing::new(text.to_owned())))
            .ok_or_else(|| de::Error::custom("not hexadecimal"))
    }
}

/// What `mfad` wants done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Say which keys are plugged in.
    List,
    /// Wait for a key that holds one of these credentials, and let it sign.
    Assert(Assert),
    /// Make a credential on the one key that is plugged in.
    Make(Make),
}

/// A signature wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Assert {
    /// The credentials, any of which will do.
    pub wanted: Vec<Wanted>,
    /// Whether any key must verify the person, by its own sensor or by a PIN.
    pub verify: bool,
    /// The PIN, if it has been asked for: with one wanted credential, the one of the key whose PIN it is.
    pub pin: Option<Pin>,
    /// How long to wait, in milliseconds.
    pub timeout_ms: u32,
}

/// One credential that may sign.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Wanted {
    /// The relying party that it was made for.
    pub rp_id: String,
    /// Its id.
    pub credential: Bytes,
    /// What it is to sign the hash of.
    pub client_data: Bytes,
    /// Whether it is one whose key must verify the person each time.
    pub verify: bool,
}

/// A credential wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Make {
    /// The relying party.
    pub rp_id: String,
    /// What is hashed and signed in the attestation.
    pub client_data: Bytes,
    /// The key shows it where it holds several credentials: no name of a person, 64 bytes at most.
    pub user_id: Bytes,
    /// What the key may show of the person.
    pub user_name: String,
    /// A key that holds one of these is enrolled already.
    pub exclude: Vec<Bytes>,
    /// Whether the key shall keep the credential itself.
    pub resident: bool,
    /// Whether the key must verify the person.
    pub verify: bool,
    /// The PIN, if it has been asked for.
    pub pin: Option<Pin>,
    /// How long to wait, in milliseconds.
    pub timeout_ms: u32,
}

/// What happens at the keys.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// Something that the person should know; more follows.
    Progress(Progress),
    /// The end.
    Done(Outcome),
}

/// What the person should know meanwhile.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Progress {
    /// A key holds a wanted credential and waits for a touch.
    Touch,
    /// No key is plugged in.
    Absent,
    /// Keys are plugged in, and none holds a wanted credential.
    Foreign,
    /// The right key is at work for another program.
    Busy,
    /// A key is plugged in that does not work as it should, and no other that is wanted.
    Broken,
}

/// How it ended.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// The keys that are plugged in.
    Keys(Vec<Key>),
    /// A key has signed.
    Asserted(Assertion),
    /// A key has made a credential.
    Made(Attestation),
    /// A key that holds a wanted credential was asked, and gave no signature.
    Declined(Declined),
    /// None of these, and of no key in particular.
    Failed(Failure),
}

/// What came of asking the key that holds a wanted credential.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Declined {
    /// Which of the wanted credentials, by its place. A PIN that is asked for now is that key's, and goes with a request for
    /// this credential alone: another key would count it as a wrong one.
    pub wanted: u32,
    /// Why there is no signature.
    pub failure: Failure,
}

/// A key that is plugged in.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Key {
    /// What it calls itself, in printable characters.
    pub product: String,
    /// Its model (CTAP 2.1 §6.4), if it answers.
    pub aaguid: Option<Bytes>,
    /// Whether a PIN is set.
    pub pin: bool,
    /// Whether it verifies its owner by itself.
    pub verifies: bool,
}

/// A signature, as the key gave it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Assertion {
    /// Which of the wanted credentials, by its place.
    pub wanted: u32,
    /// Authenticator data (WebAuthn level 3 §6.1).
    pub auth_data: Bytes,
    /// Over authenticator data and the hash of the client data.
    pub signature: Bytes,
}

/// A credential, as the key made it.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Attestation {
    /// Format of the statement (WebAuthn level 3 §8).
    pub format: String,
    /// Authenticator data, with the new credential in it.
    pub auth_data: Bytes,
    /// COSE number of the statement's algorithm; 0 where there is none.
    pub algorithm: i32,
    /// The statement's signature; empty where there is none.
    pub signature: Bytes,
    /// The statement's certificates, the key's first.
    pub certificates: Vec<Bytes>,
}

/// Why there is no signature or credential.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Failure {
    /// No key was plugged in all the time.
    Absent,
    /// Keys were plugged in, but none with a wanted credential.
    Foreign,
    /// Nobody touched it in time.
    Timeout,
    /// The person refused at the key.
    Denied,
    /// Another program, or another login, kept the key busy all the time.
    Busy,
    /// The key wants its PIN; that many tries are left.
    PinNeeded {
        /// Tries left, where the key says so.
        tries: Option<u8>,
    },
    /// The PIN was wrong; that many tries are left.
    PinWrong {
        /// Tries left, where the key says so.
        tries: Option<u8>,
    },
    /// Too many wrong PINs in a row: unplug the key and plug it in again.
    PinPaused,
    /// The PIN is blocked: the key must be reset.
    PinBlocked,
    /// The key wants another PIN before it does anything.
    PinExpired,
    /// The key has neither a PIN set nor a sensor.
    NoVerification,
    /// The sensor did not know the person.
    NotVerified,
    /// The key holds a credential of this person already.
    Enrolled,
    /// More than one key is plugged in.
    Several,
    /// The key has no room for another credential.
    Full,
    /// The key cannot do what is asked (a U2F key without FIDO2, say).
    Unsupported,
    /// The key, or the helper, did not work as it should.
    Broken,
    /// `mfad` asked for nonsense.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_in_no_debug_output() {
        let request = Request::Assert(Assert {
            wanted: Vec::new(),
            verify: true,
            pin: Some(Pin::new(Zeroizing::new("271828".into()))),
            timeout_ms: 1,
        });
        assert!(!format!("{request:?}").contains("271828"));
    }
}
