//! Knows a security key by its report descriptor (Device Class Definition for HID 1.11, §6.2.2). Reads bytes of a device,
//! which may be anything.

/// The usage page of FIDO, and the usage of an authenticator on it (CTAP 2.1 §11.2.8.1).
const AUTHENTICATOR: u32 = 0xf1d0_0001;

const LONG: u8 = 0xfe;
/// Tag and kind of an item, without its length.
const USAGE_PAGE: u8 = 0x04;
const USAGE: u8 = 0x08;

/// Whether it speaks of a FIDO authenticator.
pub(crate) fn is_security_key(descriptor: &[u8]) -> bool {
    let mut page = 0;
    let mut rest = descriptor;
    while let Some((&prefix, more)) = rest.split_first() {
        if prefix == LONG {
            let Some(after) = more
                .first()
                .and_then(|&length| more.get(2 + usize::from(length)..))
            else {
                return false;
            };
            rest = after;
            continue;
        }
        let length = match prefix & 0b11 {
            3 => 4,
            length => usize::from(length),
        };
        let Some((data, after)) = more.split_at_checked(length) else {
            return false;
        };
        let value = data
            .iter()
            .rev()
            .fold(0, |value: u32, byte| value << 8 | u32::from(*byte));
        match prefix & !0b11 {
            USAGE_PAGE => page = value,
            // One of four bytes names its page itself.
            USAGE if length == 4 && value == AUTHENTICATOR => return true,
            USAGE
                if length < 4 && page == AUTHENTICATOR >> 16 && value == AUTHENTICATOR & 0xffff =>
            {
                return true;
            }
            _ => {}
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A security key's, as CTAP 2.1 §11.2.8.2 has it.
    const KEY: &[u8] = &[
        0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75,
        0x08, 0x95, 0x40, 0x81, 0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95,
        0x40, 0x91, 0x02, 0xc0,
    ];
    /// The beginning of a keyboard's.
    const KEYBOARD: &[u8] = &[0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0xc0];

    #[test]
    fn a_security_key_is_known_however_its_usage_is_written() {
        assert!(is_security_key(KEY));
        assert!(is_security_key(&[0x0b, 0x01, 0x00, 0xd0, 0xf1]));
        assert!(is_security_key(&[KEYBOARD, KEY].concat()));
        assert!(is_security_key(
            &[&[LONG, 2, 0x10, 0x06, 0x09], KEY].concat()
        ));
    }

    #[test]
    fn nothing_else_is() {
        for other in [
            KEYBOARD,
            &[],
            &KEY[..4],
            // The page without the usage, the usage without the page, and the page of somebody else after it.
            &[0x06, 0xd0, 0xf1, 0x09, 0x20],
            &[0x09, 0x01],
            &[0x06, 0xd0, 0xf1, 0x05, 0x01, 0x09, 0x01],
            &[LONG],
            &[LONG, 0xff, 0],
            &[0x0b, 0x01, 0x00, 0xd0],
        ] {
            assert!(!is_security_key(other), "{other:02x?}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for prefix in 0..=u8::MAX {
            for length in 0..8 {
                let mut bytes = vec![0xff; length];
                bytes.insert(0, prefix);
                let _either = is_security_key(&bytes);
            }
        }
    }
}
