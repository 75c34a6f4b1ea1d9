//! Reads and writes SSH's data types (RFC 4251 §5). It allocates nothing for a length that is not there.

/// Bytes, read field by field.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next `length` bytes.
    pub const fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let Some((taken, rest)) = self.0.split_at_checked(length) else {
            return None;
        };
        self.0 = rest;
        Some(taken)
    }

    /// `byte`.
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// `uint32`.
    pub fn number(&mut self) -> Option<u32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    /// `string`: a length and so many bytes.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// A `string` of `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.string()?.try_into().ok()
    }

    /// A positive `mpint` as big-endian bytes without leading zeros, as it must be written (RFC 4251 §5).
    pub fn positive(&mut self) -> Option<&'a [u8]> {
        let bytes = self.string()?;
        match bytes {
            [] => None,
            [0, rest @ ..] => rest
                .first()
                .is_some_and(|byte| byte & 0x80 != 0)
                .then_some(rest),
            [first, ..] => (first & 0x80 == 0).then_some(bytes),
        }
    }

    /// Whether all has been read.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a `string`. One that no message of ours could hold is cut short of its length, and so read by nobody.
pub fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_read() {
        let mut bytes = Vec::new();
        put(&mut bytes, b"one");
        put(&mut bytes, b"");
        bytes.extend_from_slice(&[7, 0, 0, 0, 9]);
        let mut fields = Fields(&bytes);
        assert_eq!(fields.string(), Some(&b"one"[..]));
        assert_eq!(fields.string(), Some(&b""[..]));
        assert_eq!((fields.byte(), fields.number()), (Some(7), Some(9)));
        assert!(fields.is_empty());
        assert_eq!(fields.byte(), None);
    }

    #[test]
    fn a_length_beyond_the_end_is_no_string() {
        for bytes in [
            &[0xFF, 0xFF, 0xFF, 0xFF, 1][..],
            &[0, 0, 0, 2, 1],
            &[0, 0, 0],
            &[],
        ] {
            assert_eq!(Fields(bytes).string(), None);
        }
    }

    #[test]
    fn numbers_are_read_as_they_must_be_written() {
        let read = |bytes: &[u8]| {
            let mut wire = Vec::new();
            put(&mut wire, bytes);
            Fields(&wire).positive().map(<[u8]>::to_vec)
        };
        assert_eq!(read(&[1, 2]), Some(vec![1, 2]));
        assert_eq!(read(&[0, 0x80]), Some(vec![0x80]));
        for bad in [&[][..], &[0], &[0, 1], &[0x80]] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
