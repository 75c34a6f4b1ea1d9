//! A credential as pam_u2f keeps it (pam-u2f 1.3, `cfg.c`; made by pamu2fcfg): `KEYHANDLE,KEY,TYPE,ATTRIBUTES`, or in files of
//! before 1.1 `KEYHANDLE,KEY` with the point in hexadecimal. It reads one credential; files are mfactl's business.

use std::fmt;

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use mfad_protocol::hex;

use super::{
    cose::PublicKey,
    record::{MAX_CREDENTIAL_ID, MAX_RP_ID, Registered},
};

/// Why a credential cannot be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// It is not written as pam_u2f writes it.
    Malformed,
    /// Only the key itself knows its id (pamu2fcfg -r writes `*`).
    WithoutId,
    /// Its kind of key is not served (RS256, ES384).
    Algorithm,
    /// The origin is none.
    Origin,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "that is no credential of pam_u2f's",
            Self::WithoutId => {
                "only the key itself knows that credential's id; enroll it: mfactl enroll fido2"
            }
            Self::Algorithm => "keys of that kind are not served, only ES256 and EdDSA",
            Self::Origin => "the origin is empty or too long",
        })
    }
}

/// Reads one. `origin` is what pam_u2f's option of that name says; its default is `pam://` and the host's name.
pub fn read(record: &str, origin: &str) -> Result<Registered, Unusable> {
    if origin.is_empty() || origin.len() > MAX_RP_ID {
        return Err(Unusable::Origin);
    }
    let parts: Vec<&str> = record.trim().split(',').collect();
    let (handle, key, algorithm, attributes) = match parts.as_slice() {
        [handle, key] => (*handle, *key, None, ""),
        [handle, key, algorithm, attributes] => (*handle, *key, Some(*algorithm), *attributes),
        _ => return Err(Unusable::Malformed),
    };
    if handle == "*" {
        return Err(Unusable::WithoutId);
    }
    let id = base64(handle)
        .filter(|id| (1..=MAX_CREDENTIAL_ID).contains(&id.len()))
        .ok_or(Unusable::Malformed)?;
    let key = match algorithm {
        None => old_point(key),
        Some("es256") => base64(key).and_then(|bytes| coordinates(&bytes)),
        Some("eddsa") => base64(key)
            .and_then(|bytes| bytes.try_into().ok())
            .map(PublicKey::Ed25519),
        Some(_) => return Err(Unusable::Algorithm),
    };
    Ok(Registered {
        rp_id: origin.to_owned(),
        id,
        key: key.ok_or(Unusable::Malformed)?,
        aaguid: [0; 16],
        verify: ["+pin", "+verification"]
            .iter()
            .any(|attribute| attributes.contains(attribute)),
        resident: false,
    })
}

/// Either alphabet, with padding or without: both have been written.
fn base64(text: &str) -> Option<Vec<u8>> {
    let unpadded = text.trim_end_matches('=');
    Base64::decode_vec(text)
        .or_else(|_| Base64UrlUnpadded::decode_vec(unpadded))
        .ok()
}

fn coordinates(bytes: &[u8]) -> Option<PublicKey> {
    let (x, y) = bytes.split_first_chunk::<32>()?;
    Some(PublicKey::of_point(*x, y.try_into().ok()?))
}

fn old_point(digits: &str) -> Option<PublicKey> {
    let point: [u8; 64] = hex::decode(digits.strip_prefix("04")?)?;
    coordinates(&point)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "pam://host";

    fn es256() -> PublicKey {
        PublicKey::of_point([0x11; 32], [0x22; 32])
    }

    #[test]
    fn both_forms_are_read() {
        let point = Base64::encode_string(&[[0x11_u8; 32], [0x22; 32]].concat());
        let new = format!("AQID,{point},es256,+presence+pin");
        let read_new = read(&new, ORIGIN).expect("a credential");
        assert_eq!(
            (read_new.key, read_new.id.as_slice()),
            (es256(), &[1, 2, 3][..])
        );
        assert!(read_new.verify && read_new.rp_id == ORIGIN);
        let old = format!("-_8,04{}{}", "11".repeat(32), "22".repeat(32));
        let read_old = read(&old, ORIGIN).expect("a credential");
        assert_eq!(
            (read_old.key, read_old.id.as_slice()),
            (es256(), &[0xfb, 0xff][..])
        );
        assert!(!read_old.verify);
        let ed25519 = format!("AQID,{},eddsa,+presence", Base64::encode_string(&[3; 32]));
        assert_eq!(
            read(&ed25519, ORIGIN).map(|read| read.key),
            Ok(PublicKey::Ed25519([3; 32]))
        );
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_its_reason() {
        for (record, why) in [
            ("*,AAAA,es256,+presence", Unusable::WithoutId),
            ("AQID,AAAA,rs256,+presence", Unusable::Algorithm),
            ("AQID,AAAA,es256,+presence", Unusable::Malformed),
            (",AAAA", Unusable::Malformed),
            ("AQID", Unusable::Malformed),
            ("AQID,04é,", Unusable::Malformed),
            ("A,B,C,D,E", Unusable::Malformed),
        ] {
            assert_eq!(read(record, ORIGIN), Err(why), "{record}");
        }
        assert_eq!(read("AQID,AAAA", ""), Err(Unusable::Origin));
    }
}
