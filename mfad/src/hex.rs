//! Hexadecimal of ids, digests and keys.

/// Lower-case hexadecimal.
pub(crate) fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The bytes that exactly so many digits of either case stand for; `None` if it is anything else.
pub(crate) fn decode<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    decode_into(digits, &mut bytes)?;
    Some(bytes)
}

/// The same into the place where they are to be, so that of a secret no copy is left.
pub(crate) fn decode_into(digits: &str, bytes: &mut [u8]) -> Option<()> {
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        for digit in pair {
            let digit = char::from(*digit).to_digit(16)?;
            *byte = (*byte << 4) | u8::try_from(digit).ok()?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_and_nothing_else() {
        assert_eq!(decode(&encode(&[0x01, 0xfe])), Some([0x01, 0xfe]));
        assert_eq!(decode("Ff00"), Some([0xff, 0x00]));
        // A parser of numbers would take the sign.
        for bad in ["", "ff0", "ff000", "+f00", "-f00", " f00", "fg00", "é00"] {
            assert_eq!(decode::<2>(bad), None, "{bad}");
        }
    }
}
