//! What `ctap-hid-fido2` says when something goes wrong, in one place: its errors are sentences that begin with the number
//! that the key sent.

use mfad_protocol::fido::Failure;

/// What went wrong at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It was unplugged, or its node went otherwise.
    Gone,
    /// It said no.
    Failed(Failure),
}

/// What an error of the crate means.
pub(crate) fn trouble(error: &str) -> Trouble {
    if ["Failed to open device", "read err", "write err"]
        .iter()
        .any(|begin| error.starts_with(begin))
    {
        return Trouble::Gone;
    }
    // Another program's conversation: every reader of the node sees every reply.
    if error.starts_with("Nonce verification failed") {
        return Trouble::Failed(Failure::Busy);
    }
    Trouble::Failed(status(error).map_or(Failure::Broken, of_status))
}

/// The number of a status in `response_status err = 0x2E CTAP2_ERR_NO_CREDENTIALS …`.
fn status(error: &str) -> Option<u8> {
    let digits = error
        .strip_prefix("response_status err = 0x")?
        .split(|c: char| !c.is_ascii_hexdigit())
        .next()?;
    u8::from_str_radix(digits, 16).ok()
}

/// CTAP 2.1 §8.2, and §11.2.9.1.6 for the numbers below 0x10.
fn of_status(status: u8) -> Failure {
    match status {
        0x06 | 0x0A | 0x0B => Failure::Busy,
        0x01 | 0x26 | 0x2B | 0x2C | 0x3E => Failure::Unsupported,
        0x05 | 0x2D | 0x2F | 0x3A => Failure::Timeout,
        0x19 => Failure::Enrolled,
        0x22 | 0x2E => Failure::Foreign,
        0x27 => Failure::Denied,
        0x28 => Failure::Full,
        0x31 => Failure::PinWrong { tries: None },
        0x32 => Failure::PinBlocked,
        0x34 => Failure::PinPaused,
        0x35 => Failure::NoVerification,
        0x36 | 0x3C => Failure::PinNeeded { tries: None },
        0x37 => Failure::PinExpired,
        0x3F => Failure::NotVerified,
        _ => Failure::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_counts_and_not_the_sentence() {
        let said = |text: &str| trouble(&format!("response_status err = {text}"));
        assert_eq!(
            said("0x2E CTAP2_ERR_NO_CREDENTIALS    No valid credentials provided."),
            Trouble::Failed(Failure::Foreign)
        );
        assert_eq!(
            said("0x31 CTAP2_ERR_PIN_INVALID   PIN Invalid."),
            Trouble::Failed(Failure::PinWrong { tries: None })
        );
        // A number that the crate has no sentence for.
        assert_eq!(said("0x7"), Trouble::Failed(Failure::Broken));
        assert_eq!(said("0x2E7"), Trouble::Failed(Failure::Broken));
        assert_eq!(said(""), Trouble::Failed(Failure::Broken));
    }

    #[test]
    fn a_key_that_is_pulled_out_is_gone() {
        assert_eq!(trouble("read err = 0xFE"), Trouble::Gone);
        assert_eq!(trouble("write error"), Trouble::Gone);
        assert_eq!(trouble("Failed to open device."), Trouble::Gone);
    }
}
