//! Sealing of secrets before any store sees them, and the keys that do it. It knows nothing of databases, and never
//! writes a key anywhere but into the content of a new key file.
//!
//! A key file is text, one key a line: `mfad-key 1 <64 hexadecimal digits>`, where the number (0 to 255) names the key
//! in what it seals. The last line seals, every line opens: to rotate, append a line; `rotation` then seals every record
//! again, after which the older lines can go. Backup-code digests are keyed with a pepper derived from the same keys. The
//! number of theirs, or once it was sealed again the pepper itself, stands inside their set's sealed record (see
//! `factor::backup`): digests cannot be made again without the codes.

use std::fmt;

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use mfad_protocol::hex;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::{CredentialId, Kind, PersonKey};

/// First word of every line of a key file.
const FORMAT: &str = "mfad-key";
/// Number of the key in a new file.
const FIRST_KEY: u8 = 1;
/// Longest key file that is read: 256 keys and room for comments.
const LONGEST_FILE: usize = 64 * 1024;
/// Layout of a sealed record: this byte, the key's number, the nonce, the ciphertext with its tag.
const LAYOUT: u8 = 1;
const HEADER: usize = 2;
const NONCE: usize = 24;
const TAG: usize = 16;
/// Version of the encoding of an [`Identity`].
const IDENTITY_ENCODING: u8 = 1;

/// Why something could not be sealed or opened, and what to do about it. Never says anything about a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealError {
    /// The key file cannot be used: line (1-based, 0 for the whole file) and what is wrong.
    KeyFile(usize, &'static str),
    /// Sealed with a key that the key file does not hold.
    KeyMissing(u8),
    /// The key of that number does not open it: it is another key, or the record was altered or moved.
    DoesNotOpen(u8),
    /// Not a sealed record of this version.
    Malformed,
    /// The kernel gave no random bytes.
    Randomness,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile(0, what) => write!(f, "the key file cannot be used: {what}"),
            Self::KeyFile(line, what) => {
                write!(f, "the key file cannot be used: line {line}: {what}")
            }
            Self::KeyMissing(key) => {
                write!(
                    f,
                    "sealed with key {key}, which the key file does not hold; put that line back from a backup"
                )
            }
            Self::DoesNotOpen(key) => write!(
                f,
                "key {key} does not open it: restore the key file that belongs to this store, or enroll again if the \
                 record was altered"
            ),
            Self::Malformed => f.write_str(
                "not a sealed record that this version knows; upgrade mfad or enroll again",
            ),
            Self::Randomness => f.write_str("the kernel gave no random bytes"),
        }
    }
}

impl std::error::Error for SealError {}

/// What a seal binds its content to: moved to another person, credential or kind, it does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose.
    pub person: PersonKey,
    /// What kind.
    pub kind: Kind,
    /// Which.
    pub credential: CredentialId,
}

impl Identity {
    /// Associated data: a version, the record's header, then each part with its length before it, so that no two
    /// identities have the same encoding.
    fn encode(&self, header: [u8; HEADER]) -> Vec<u8> {
        let uid = self.person.uid.to_be_bytes();
        let parts: [&[u8]; 5] = [
            self.person.realm.as_bytes(),
            self.person.name.as_bytes(),
            &uid,
            self.kind.word().as_bytes(),
            &self.credential.0,
        ];
        let mut encoded = vec![IDENTITY_ENCODING, header[0], header[1]];
        for part in parts {
            encoded.extend_from_slice(&(part.len() as u64).to_be_bytes());
            encoded.extend_from_slice(part);
        }
        encoded
    }
}

/// The subkeys of one line of the key file. Wiped when dropped.
struct Key {
    number: u8,
    seal: [u8; 32],
    pepper: [u8; 32],
}

impl Drop for Key {
    fn drop(&mut self) {
        self.seal.zeroize();
        self.pepper.zeroize();
    }
}

/// The keys that seal and open, kept out of swap where the kernel allows.
pub struct Keyring {
    /// In the file's order; never empty, never reallocated.
    keys: Box<[Key]>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        for key in &mut self.keys {
            key.seal.zeroize();
            key.pepper.zeroize();
        }
        lock(&self.keys, false);
    }
}

impl Keyring {
    /// Reads the content of a key file. Blank lines and lines that begin with `#` are skipped.
    pub fn parse(bytes: &[u8]) -> Result<Self, SealError> {
        if bytes.len() > LONGEST_FILE {
            return Err(SealError::KeyFile(
                0,
                "it is longer than any key file; name the right file",
            ));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| SealError::KeyFile(0, "it is not text; name the right file"))?;
        let mut keys: Vec<Key> = Vec::with_capacity(text.lines().count());
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = parse_line(line).map_err(|what| SealError::KeyFile(index + 1, what))?;
            if keys.iter().any(|known| known.number == key.number) {
                return Err(SealError::KeyFile(
                    index + 1,
                    "this key number stands in an earlier line already",
                ));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(SealError::KeyFile(
                0,
                "it holds no key; restore it from a backup",
            ));
        }
        let keys = keys.into_boxed_slice();
        lock(&keys, true);
        Ok(Self { keys })
    }

    /// The content of a new key file, with one new key.
    pub fn generate_file() -> Result<Zeroizing<String>, SealError> {
        generate_line(FIRST_KEY)
    }

    /// A new key's line, to be appended to the file of these keys: it will seal, and they will open.
    pub fn generate_successor(&self) -> Result<Zeroizing<String>, SealError> {
        let number = (1..=u8::MAX)
            .map(|ahead| self.newest().wrapping_add(ahead))
            .find(|number| self.key(*number).is_none());
        generate_line(number.ok_or(SealError::KeyFile(0, "it holds a key of every number"))?)
    }

    /// Number of the key that seals.
    pub fn newest(&self) -> u8 {
        self.keys.last().map_or(0, |key| key.number)
    }

    /// Seals `plain` for `identity` with the newest key.
    pub fn seal(&self, identity: &Identity, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.keys.last().ok_or(SealError::KeyMissing(0))?;
        let mut nonce = [0_u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Randomness)?;
        let header = [LAYOUT, key.number];
        let ciphertext = XChaCha20Poly1305::new(&key.seal.into())
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: plain,
                    aad: &identity.encode(header),
                },
            )
            .map_err(|_| SealError::Malformed)?;
        Ok([&header[..], &nonce, &ciphertext].concat())
    }

    /// Opens what [`Keyring::seal`] made for the same identity.
    pub fn open(
        &self,
        identity: &Identity,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, rest) = sealed
            .split_first_chunk::<HEADER>()
            .ok_or(SealError::Malformed)?;
        let (nonce, ciphertext) = rest
            .split_first_chunk::<NONCE>()
            .ok_or(SealError::Malformed)?;
        if header[0] != LAYOUT || ciphertext.len() < TAG {
            return Err(SealError::Malformed);
        }
        let key = self
            .key(header[1])
            .ok_or(SealError::KeyMissing(header[1]))?;
        XChaCha20Poly1305::new(&key.seal.into())
            .decrypt(
                &XNonce::from(*nonce),
                Payload {
                    msg: ciphertext,
                    aad: &identity.encode(*header),
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| SealError::DoesNotOpen(key.number))
    }

    /// `message` keyed with the pepper of key `number`; `None` if the key file does not hold that key.
    pub fn pepper(&self, number: u8, message: &[u8]) -> Option<[u8; 32]> {
        mac(&self.key(number)?.pepper, message)
    }

    /// The pepper of key `number` itself, to be sealed together with the salt of the digests that it keys.
    pub fn pepper_to_carry(&self, number: u8) -> Option<Zeroizing<[u8; 32]>> {
        Some(Zeroizing::new(self.key(number)?.pepper))
    }

    fn key(&self, number: u8) -> Option<&Key> {
        self.keys.iter().find(|key| key.number == number)
    }
}

/// `message` keyed with a pepper that was carried along.
pub fn keyed(pepper: &[u8; 32], message: &[u8]) -> Option<[u8; 32]> {
    mac(pepper, message)
}

/// Number of the key that `sealed` needs, if it is a sealed record: for `doctor` and for retiring a key.
pub fn key_of(sealed: &[u8]) -> Option<u8> {
    match sealed {
        [LAYOUT, number, ..] => Some(*number),
        _ => None,
    }
}

fn generate_line(number: u8) -> Result<Zeroizing<String>, SealError> {
    let mut secret = Zeroizing::new([0_u8; 32]);
    getrandom::fill(secret.as_mut()).map_err(|_| SealError::Randomness)?;
    let mut file = Zeroizing::new(String::with_capacity(FORMAT.len() + 80));
    file.push_str(FORMAT);
    file.push(' ');
    file.push_str(&number.to_string());
    file.push(' ');
    for byte in secret.iter() {
        for nibble in [byte >> 4, byte & 0xF] {
            file.push(char::from_digit(nibble.into(), 16).ok_or(SealError::Randomness)?);
        }
    }
    file.push('\n');
    Ok(file)
}

fn parse_line(line: &str) -> Result<Key, &'static str> {
    let mut words = line.split_ascii_whitespace();
    let (Some(FORMAT), Some(number), Some(digits), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("expected `mfad-key NUMBER HEX`");
    };
    let number = number.parse().map_err(|_| "a key's number is 0 to 255")?;
    let secret = parse_hex(digits).ok_or("a key has 64 hexadecimal digits")?;
    let subkey = |label: &[u8]| mac(&secret, label).ok_or("the key cannot be used");
    Ok(Key {
        number,
        seal: subkey(b"seal")?,
        pepper: subkey(b"pepper")?,
    })
}

fn parse_hex(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut secret = Zeroizing::new([0_u8; 32]);
    hex::decode_into(digits, secret.as_mut())?;
    Some(secret)
}

/// HMAC-SHA-256. `None` never happens: HMAC takes keys of any length.
fn mac(key: &[u8; 32], message: &[u8]) -> Option<[u8; 32]> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac.finalize().into_bytes().into())
}

/// Keeps the pages of `keys` out of swap, or lets them go. Best effort: without the right to lock memory the unit's
/// `MemorySwapMax=0` is what remains.
#[allow(
    unsafe_code,
    reason = "mlock(2) has no safe form; it neither reads nor writes the memory"
)]
fn lock(keys: &[Key], locked: bool) {
    let (start, length) = (
        keys.as_ptr().cast::<libc::c_void>(),
        std::mem::size_of_val(keys),
    );
    // SAFETY: the range is that of a live slice, and locking changes where its pages may live, not what they hold.
    let _best_effort = unsafe {
        if locked {
            libc::mlock(start, length)
        } else {
            libc::munlock(start, length)
        }
    };
}

#[cfg(test)]
mod tests;
