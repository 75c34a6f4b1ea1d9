//! What is kept of a key: nothing secret, and sealed all the same, so that whoever can write the store cannot plant a key.

use super::cose::PublicKey;
use crate::{
    factor::FactorError,
    store::seal::{Identity, Keyring},
};

/// What can be kept is what can be asked for.
pub use mfad_protocol::fido::{CREDENTIAL_ID as MAX_CREDENTIAL_ID, RP_ID as MAX_RP_ID};

/// First byte of a sealed record.
const RECORD_VERSION: u8 = 1;
const ES256: u8 = 1;
const ED25519: u8 = 2;
const VERIFY: u8 = 0x01;
const RESIDENT: u8 = 0x02;

/// A registered credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The relying party that it was made for. It stays with the credential when the setting changes.
    pub rp_id: String,
    /// Its id.
    pub id: Vec<u8>,
    /// What its signatures are verified with.
    pub key: PublicKey,
    /// The model (CTAP 2.1 §6.4); zero where the key does not say, or nobody has asked it.
    pub aaguid: [u8; 16],
    /// Whether each signature of it must say that the key knew its user.
    pub verify: bool,
    /// Whether the key keeps the credential itself.
    pub resident: bool,
}

impl Registered {
    /// Seals it for the store.
    pub fn seal(&self, keyring: &Keyring, identity: &Identity) -> Result<Vec<u8>, FactorError> {
        Ok(keyring.seal(identity, &self.encode()?)?)
    }

    /// Opens what [`Registered::seal`] made.
    pub fn open(
        keyring: &Keyring,
        identity: &Identity,
        sealed: &[u8],
    ) -> Result<Self, FactorError> {
        let record = keyring.open(identity, sealed)?;
        Self::decode(&record).ok_or(FactorError::Record)
    }

    /// How it is described to its owner.
    pub fn describe(&self) -> String {
        let mut text = self.key.word().to_owned();
        if self.verify {
            text.push_str(", with PIN or finger");
        }
        if self.resident {
            text.push_str(", kept on the key");
        }
        text
    }

    fn encode(&self) -> Result<Vec<u8>, FactorError> {
        let too_long = |what: &str| FactorError::Parameter(format!("the {what} is too long"));
        let rp_id = u8::try_from(self.rp_id.len())
            .ok()
            .filter(|length| usize::from(*length) <= MAX_RP_ID)
            .ok_or_else(|| too_long("relying party's id"))?;
        let id = u16::try_from(self.id.len())
            .ok()
            .filter(|length| (1..=MAX_CREDENTIAL_ID).contains(&usize::from(*length)))
            .ok_or_else(|| too_long("credential's id"))?;
        let (algorithm, key) = match &self.key {
            PublicKey::Es256(point) => (ES256, &point[1..]),
            PublicKey::Ed25519(key) => (ED25519, &key[..]),
        };
        let flags = if self.verify { VERIFY } else { 0 } | if self.resident { RESIDENT } else { 0 };
        let mut record = vec![RECORD_VERSION, algorithm, flags];
        record.extend_from_slice(&self.aaguid);
        record.extend_from_slice(key);
        record.push(rp_id);
        record.extend_from_slice(self.rp_id.as_bytes());
        record.extend_from_slice(&id.to_be_bytes());
        record.extend_from_slice(&self.id);
        Ok(record)
    }

    fn decode(record: &[u8]) -> Option<Self> {
        let [RECORD_VERSION, algorithm, flags, rest @ ..] = record else {
            return None;
        };
        if flags & !(VERIFY | RESIDENT) != 0 {
            return None;
        }
        let (aaguid, rest) = rest.split_first_chunk::<16>()?;
        let (key, rest) = match *algorithm {
            ES256 => {
                let (x, rest) = rest.split_first_chunk::<32>()?;
                let (y, rest) = rest.split_first_chunk::<32>()?;
                (PublicKey::of_point(*x, *y), rest)
            }
            ED25519 => {
                let (key, rest) = rest.split_first_chunk::<32>()?;
                (PublicKey::Ed25519(*key), rest)
            }
            _ => return None,
        };
        let (&length, rest) = rest.split_first()?;
        let (rp_id, rest) = rest.split_at_checked(usize::from(length))?;
        let (length, id) = rest.split_first_chunk::<2>()?;
        if usize::from(u16::from_be_bytes(*length)) != id.len() || id.is_empty() {
            return None;
        }
        Some(Self {
            rp_id: String::from_utf8(rp_id.to_vec()).ok()?,
            id: id.to_vec(),
            key,
            aaguid: *aaguid,
            verify: flags & VERIFY != 0,
            resident: flags & RESIDENT != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered() -> Registered {
        Registered {
            rp_id: "pam://host.example.org".into(),
            id: vec![7; MAX_CREDENTIAL_ID],
            key: PublicKey::Ed25519([3; 32]),
            aaguid: [9; 16],
            verify: true,
            resident: false,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for key in [
            PublicKey::Ed25519([3; 32]),
            PublicKey::of_point([1; 32], [2; 32]),
        ] {
            for (verify, resident) in [(false, false), (true, false), (false, true), (true, true)] {
                let registered = Registered {
                    key,
                    verify,
                    resident,
                    ..registered()
                };
                let record = registered.encode().expect("a record");
                assert_eq!(Registered::decode(&record), Some(registered));
            }
        }
    }

    #[test]
    fn a_record_that_is_cut_or_longer_is_none() {
        let mut record = registered().encode().expect("a record");
        for length in 0..record.len() {
            assert_eq!(Registered::decode(&record[..length]), None);
        }
        record.push(0);
        assert_eq!(Registered::decode(&record), None);
    }

    #[test]
    fn an_id_that_no_key_has_is_refused() {
        for id in [Vec::new(), vec![0; MAX_CREDENTIAL_ID + 1]] {
            assert!(Registered { id, ..registered() }.encode().is_err());
        }
    }
}
