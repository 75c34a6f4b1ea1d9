//! What a person (or a program) typed at the one prompt, sorted by its form alone.
//!
//! Only an answer that has the form of a code is a guess; anything else can match nothing, and so costs nothing.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What OpenSSH sends to PAM in place of a password when the login is doomed already (`auth-pam.c`, `fake_password`).
const SSHD_JUNK: &[u8] = b"\x08\n\r\x7FINCORRECT";

/// Length of a backup code in base32 characters.
pub const BACKUP_LENGTH: usize = 16;

/// An answer by its form.
#[derive(PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub enum Answer {
    /// 6 to 8 digits: a TOTP or HOTP code. Kept as text, since leading zeros count.
    Code(String),
    /// Two codes one after the other, typed to resynchronise an HOTP token (RFC 4226 §7.4).
    TwoCodes(String, String),
    /// 16 base32 characters, upper case.
    Backup(String),
    /// Nothing that could match: empty, too long, another alphabet, sshd's junk, a password.
    NoGuess,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code(_) => "Code(..)",
            Self::TwoCodes(..) => "TwoCodes(..)",
            Self::Backup(_) => "Backup(..)",
            Self::NoGuess => "NoGuess",
        })
    }
}

impl Answer {
    /// Sorts what was typed. Blanks and hyphens group codes for reading and are dropped; letters of backup codes may
    /// be of either case. Only ASCII counts: a digit of another script is not a digit here.
    pub fn sort(typed: &[u8]) -> Self {
        if typed == SSHD_JUNK || typed.len() > mfad_protocol::limits::ANSWER {
            return Self::NoGuess;
        }
        // With room for all of it (a byte that is not ASCII takes two): what grows leaves copies behind.
        let mut compact = Zeroizing::new(String::with_capacity(2 * typed.len()));
        compact.extend(
            typed
                .iter()
                .filter(|byte| !matches!(byte, b' ' | b'\t' | b'-'))
                .map(|byte| char::from(byte.to_ascii_uppercase())),
        );
        Self::of_compact(&compact)
    }

    fn of_compact(compact: &str) -> Self {
        if !compact.is_empty() && compact.bytes().all(|byte| byte.is_ascii_digit()) {
            return match compact.len() {
                6..=8 => Self::Code(compact.to_owned()),
                12 | 14 | 16 => {
                    let (first, second) = compact.split_at(compact.len() / 2);
                    Self::TwoCodes(first.to_owned(), second.to_owned())
                }
                _ => Self::NoGuess,
            };
        }
        let base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
        if compact.len() == BACKUP_LENGTH && compact.bytes().all(base32) {
            return Self::Backup(compact.to_owned());
        }
        Self::NoGuess
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_may_be_grouped() {
        for typed in ["123456", "123 456", " 123-456 ", "12 34 56"] {
            assert_eq!(
                Answer::sort(typed.as_bytes()),
                Answer::Code("123456".into()),
                "{typed}"
            );
        }
        assert_eq!(Answer::sort(b"00123456"), Answer::Code("00123456".into()));
    }

    #[test]
    fn backup_codes_may_be_grouped_and_of_either_case() {
        assert_eq!(
            Answer::sort(b"abcd-EFGH-ijkl-2345"),
            Answer::Backup("ABCDEFGHIJKL2345".into())
        );
    }

    #[test]
    fn two_codes_resynchronise() {
        assert_eq!(
            Answer::sort(b"123456 654321"),
            Answer::TwoCodes("123456".into(), "654321".into())
        );
    }

    #[test]
    fn what_cannot_match_is_no_guess() {
        let long = vec![b'1'; 1 << 20];
        let cases: [&[u8]; 12] = [
            b"",
            b"   ",
            b"12345",
            b"123456789",
            b"1234567890123",
            SSHD_JUNK,
            "١٢٣٤٥٦".as_bytes(),
            "１２３４５６".as_bytes(),
            b"correct horse battery staple",
            b"ABCDEFGHIJKL2341", // 1 is not in the alphabet
            b"12345\x006",
            &long,
        ];
        for typed in cases {
            assert_eq!(Answer::sort(typed), Answer::NoGuess, "{typed:?}");
        }
    }

    #[test]
    fn debug_shows_the_form_only() {
        assert_eq!(format!("{:?}", Answer::sort(b"123456")), "Code(..)");
    }
}
