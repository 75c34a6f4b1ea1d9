//! A reader of the CBOR that authenticators write (RFC 8949, in the canonical form of CTAP 2.1 §8): integers, strings,
//! arrays, maps and simple values of definite length. Anything else ends it, and so does a fifth level.

/// How deep maps and arrays may lie in each other (CTAP 2.1 §8).
const DEPTH: usize = 4;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;

/// Reads from the front.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The number of pairs of a map that begins here.
    pub(super) fn map(&mut self) -> Option<u64> {
        match self.head()? {
            (MAP, pairs) => Some(pairs),
            _ => None,
        }
    }

    /// An integer.
    pub(super) fn integer(&mut self) -> Option<i64> {
        match self.head()? {
            (UNSIGNED, value) => i64::try_from(value).ok(),
            (NEGATIVE, value) => i64::try_from(value).ok()?.checked_neg()?.checked_sub(1),
            _ => None,
        }
    }

    /// A byte string.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        match self.head()? {
            (BYTES, length) => self.take(length),
            _ => None,
        }
    }

    /// Passes over one item, whatever it is.
    pub(super) fn skip(&mut self) -> Option<()> {
        self.skip_within(DEPTH)
    }

    fn skip_within(&mut self, depth: usize) -> Option<()> {
        let (major, value) = self.head()?;
        let items = match major {
            UNSIGNED | NEGATIVE | SIMPLE => 0,
            BYTES | TEXT => {
                self.take(value)?;
                0
            }
            ARRAY => value,
            MAP => value.checked_mul(2)?,
            _ => return None,
        };
        if items > 0 && depth == 0 {
            return None;
        }
        // Each takes a byte at least, so that a number that lies ends soon.
        for _ in 0..items {
            self.skip_within(depth.checked_sub(1)?)?;
        }
        Some(())
    }

    /// Major type and value of the next item's head, in its shortest form only.
    fn head(&mut self) -> Option<(u8, u64)> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        let (width, least): (u64, u64) = match first & 31 {
            direct @ 0..=23 => return Some((first >> 5, u64::from(direct))),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return None,
        };
        let value = self
            .take(width)?
            .iter()
            .fold(0, |value, byte| (value << 8) | u64::from(*byte));
        (value >= least).then_some((first >> 5, value))
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skips(bytes: &[u8]) -> bool {
        let mut reader = Reader::new(bytes);
        reader.skip().is_some() && reader.rest().is_empty()
    }

    #[test]
    fn examples_of_the_rfc_are_read() {
        for (bytes, value) in [
            (&[0x00_u8][..], 0),
            (&[0x17], 23),
            (&[0x18, 0x18], 24),
            (&[0x19, 0x03, 0xe8], 1000),
            (&[0x20], -1),
            (&[0x38, 0x63], -100),
            (
                &[0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
                i64::MIN,
            ),
        ] {
            assert_eq!(Reader::new(bytes).integer(), Some(value));
        }
        assert_eq!(Reader::new(&[0x42, 1, 2]).bytes(), Some(&[1, 2][..]));
        assert!(skips(&[0xa2, 0x01, 0x82, 0x02, 0x03, 0x61, 0x61, 0xf5]));
    }

    #[test]
    fn long_forms_indefinite_lengths_tags_and_deep_nests_are_refused() {
        for bytes in [
            &[0x18_u8, 0x17][..],
            &[0x19, 0x00, 0xff],
            &[0x5f, 0x41, 0x00, 0xff],
            &[0x9f, 0xff],
            &[0xc0, 0x00],
            &[0x81, 0x81, 0x81, 0x81, 0x81, 0x00],
            &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x42, 0x00],
            &[],
        ] {
            assert!(!skips(bytes), "{bytes:02x?}");
        }
    }
}
