//! Hexadecimal of ids, digests, keys and what JSON cannot hold.

/// Lower-case hexadecimal, in one piece of memory: what grows leaves copies, and it may be a secret.
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// The bytes that exactly so many digits of either case stand for; `None` if it is anything else.
pub fn decode<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    decode_into(digits, &mut bytes)?;
    Some(bytes)
}

/// The same into the place where they are to be, so that of a secret no copy is left.
pub fn decode_into(digits: &str, bytes: &mut [u8]) -> Option<()> {
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

/// As many bytes as the digits stand for, in one piece of memory too.
pub fn decode_all(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; digits.len() / 2];
    decode_into(digits, &mut bytes)?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_and_nothing_else() {
        assert_eq!(decode(&encode(&[0x01, 0xfe])), Some([0x01, 0xfe]));
        assert_eq!(decode("Ff00"), Some([0xff, 0x00]));
        assert_eq!(decode_all("Ff00"), Some(vec![0xff, 0x00]));
        assert_eq!(decode_all(""), Some(Vec::new()));
        // A parser of numbers would take the sign.
        for bad in ["", "ff0", "ff000", "+f00", "-f00", " f00", "fg00", "é00"] {
            assert_eq!(decode::<2>(bad), None, "{bad}");
            assert_eq!(
                decode_all(bad).filter(|bytes| !bytes.is_empty()),
                None,
                "{bad}"
            );
        }
    }
}
