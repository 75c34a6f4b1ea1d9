//! What of an attestation certificate (X.509, RFC 5280) is looked at: its P-256 key, and the model that it stands for. It
//! judges no chain.

/// `SEQUENCE`.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
/// `[0] EXPLICIT`, the version.
const VERSION: u8 = 0xa0;
/// `[1]` to `[3]`: unique ids, which nobody uses, and the extensions.
const EXTENSIONS: u8 = 0xa3;

/// `id-ecPublicKey` with `prime256v1` (RFC 5480 §2.1.1), the whole `AlgorithmIdentifier`.
const P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x03, 0x01, 0x07,
];
/// `id-fido-gen-ce-aaguid`, 1.3.6.1.4.1.45724.1.1.4 (WebAuthn level 3 §8.2.1).
const AAGUID: &[u8] = &[
    0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xe5, 0x1c, 0x01, 0x01, 0x04,
];

/// A certificate of a key's maker.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Its key, an uncompressed point on P-256.
    pub(super) point: [u8; 65],
    /// The model that it stands for, if it says so.
    pub(super) aaguid: Option<[u8; 16]>,
}

impl Certificate {
    /// `None` if it is none, or of another kind of key.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let mut file = Der(der);
        let mut outer = Der(file.expect(SEQUENCE)?);
        if !file.0.is_empty() {
            return None;
        }
        let mut tbs = Der(outer.expect(SEQUENCE)?);
        if tbs.peek() == Some(VERSION) {
            tbs.next()?;
        }
        tbs.expect(INTEGER)?; // serial number
        for _ in 0..4 {
            tbs.expect(SEQUENCE)?; // signature's algorithm, issuer, validity, subject
        }
        let mut key = Der(tbs.expect(SEQUENCE)?);
        if key.expect(SEQUENCE)? != P256 {
            return None;
        }
        let point = match key.expect(BIT_STRING)? {
            [0, point @ ..] => <[u8; 65]>::try_from(point).ok()?,
            _ => return None,
        };
        Some(Self {
            point,
            aaguid: aaguid(tbs).ok()?,
        })
    }
}

/// The extensions cannot be read.
struct Unreadable;

/// The model that the extensions name, if they do.
fn aaguid(mut tbs: Der<'_>) -> Result<Option<[u8; 16]>, Unreadable> {
    while !tbs.0.is_empty() {
        let (tag, content) = tbs.next().ok_or(Unreadable)?;
        if tag == EXTENSIONS {
            return of_model(content);
        }
    }
    Ok(None)
}

fn of_model(content: &[u8]) -> Result<Option<[u8; 16]>, Unreadable> {
    let mut extensions = Der(Der(content).expect(SEQUENCE).ok_or(Unreadable)?);
    while !extensions.0.is_empty() {
        let (object, value) = extensions.extension().ok_or(Unreadable)?;
        if object == AAGUID {
            let aaguid = Der(value).expect(OCTET_STRING).ok_or(Unreadable)?;
            return aaguid.try_into().map(Some).map_err(|_| Unreadable);
        }
    }
    Ok(None)
}

/// Reads DER from the front.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .and_then(|(found, content)| (found == tag).then_some(content))
    }

    /// An extension's name and value.
    fn extension(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let mut extension = Der(self.expect(SEQUENCE)?);
        let object = extension.expect(OBJECT)?;
        if extension.peek() == Some(BOOLEAN) {
            extension.next()?;
        }
        Some((object, extension.expect(OCTET_STRING)?))
    }

    /// Tag and content, of at most 64 KiB.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let [tag, length, rest @ ..] = self.0 else {
            return None;
        };
        let (length, rest) = match (length, rest) {
            (0..=0x7f, rest) => (usize::from(*length), rest),
            (0x81, [length, rest @ ..]) => (usize::from(*length), rest),
            (0x82, [high, low, rest @ ..]) => {
                (usize::from(u16::from_be_bytes([*high, *low])), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }
}
