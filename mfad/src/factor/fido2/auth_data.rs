//! Authenticator data (WebAuthn level 3 §6.1): taken apart, with nothing left over. It judges nothing.

use super::{cbor::Reader, cose::PublicKey, record::MAX_CREDENTIAL_ID};

/// Somebody was there.
const UP: u8 = 0x01;
/// The authenticator knew its user.
const UV: u8 = 0x04;
/// The credential may be copied elsewhere.
const BE: u8 = 0x08;
/// It has been.
const BS: u8 = 0x10;
/// A new credential follows.
const AT: u8 = 0x40;
/// Extensions follow.
const ED: u8 = 0x80;

/// Authenticator data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AuthData<'a> {
    pub(super) rp_id_hash: &'a [u8; 32],
    pub(super) user_present: bool,
    pub(super) user_verified: bool,
    pub(super) counter: u32,
    pub(super) attested: Option<Attested<'a>>,
}

/// A new credential in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Attested<'a> {
    pub(super) aaguid: &'a [u8; 16],
    pub(super) credential: &'a [u8],
    pub(super) key: PublicKey,
}

impl<'a> AuthData<'a> {
    /// `None` if it is not exactly as the standard has it.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>()?;
        let (&flags, rest) = rest.split_first()?;
        let (counter, mut rest) = rest.split_first_chunk::<4>()?;
        let has = |flag| flags & flag != 0;
        if has(BS) && !has(BE) {
            return None;
        }
        let mut attested = None;
        if has(AT) {
            let (found, after) = Attested::parse(rest)?;
            attested = Some(found);
            rest = after;
        }
        if has(ED) {
            rest = pass_map(rest)?;
        }
        rest.is_empty().then_some(Self {
            rp_id_hash,
            user_present: has(UP),
            user_verified: has(UV),
            counter: u32::from_be_bytes(*counter),
            attested,
        })
    }
}

impl<'a> Attested<'a> {
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (aaguid, rest) = bytes.split_first_chunk::<16>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if !(1..=MAX_CREDENTIAL_ID).contains(&length) {
            return None;
        }
        let (credential, rest) = rest.split_at_checked(length)?;
        let mut reader = Reader::new(rest);
        let key = PublicKey::read(&mut reader)?;
        let attested = Self {
            aaguid,
            credential,
            key,
        };
        Some((attested, reader.rest()))
    }
}

/// Extensions are asked for none but credProtect, whose answer changes nothing here.
fn pass_map(bytes: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    Reader::new(bytes).map()?;
    reader.skip()?;
    Some(reader.rest())
}
