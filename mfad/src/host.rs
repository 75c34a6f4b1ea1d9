//! Which machine this is: its machine id, made into one that tells nothing about the machine id (machine-id(5)).

use std::{fs, path::Path};

use hmac::{Hmac, KeyInit as _, Mac as _};
use mfad_protocol::hex;
use sha2::Sha256;

/// Where it is kept, and where a number is that holds until the next start of the system.
const MACHINE_ID: &str = "/etc/machine-id";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Ours, of `sd_id128_get_machine_app_specific(3)`.
const APPLICATION: [u8; 16] = [
    0x5b, 0x0e, 0x6d, 0x7a, 0x3c, 0x91, 0x4f, 0x02, 0xa6, 0x4d, 0x11, 0xc8, 0x97, 0x2e, 0xd3, 0x85,
];

/// This machine's identity, as `systemd-id128 machine-id --app-specific` would show it for this program. Without a
/// machine id it holds until the system is started again: nothing that is kept depends on it.
pub fn identity() -> [u8; 16] {
    let read = |path| fs::read_to_string(Path::new(path)).ok();
    let id = read(MACHINE_ID).and_then(|text| parse(&text));
    let id = id.or_else(|| read(BOOT_ID).and_then(|text| parse(&text.replace('-', ""))));
    derive(id.unwrap_or_default())
}

/// 32 hexadecimal digits that are not all 0.
fn parse(text: &str) -> Option<[u8; 16]> {
    hex::decode(text.trim_end()).filter(|id| *id != [0; 16])
}

fn derive(machine: [u8; 16]) -> [u8; 16] {
    // A key of 16 bytes is always of a length that HMAC takes.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&machine) else {
        return machine;
    };
    mac.update(&APPLICATION);
    let digest = mac.finalize().into_bytes();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    // A UUID of version 4, as systemd makes it.
    id[6] = (id[6] & 0x0F) | 0x40;
    id[8] = (id[8] & 0x3F) | 0x80;
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_digits_and_not_nothing() {
        assert_eq!(
            parse("000102030405060708090a0b0c0d0e0f\n"),
            Some([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
        );
        for bad in [
            "",
            "uninitialized\n",
            "00",
            "+0102030405060708090a0b0c0d0e0f0",
            &"0".repeat(32),
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    /// `systemd-id128 --app-specific=5b0e6d7a3c914f02a64d11c8972ed385 machine-id` on a machine whose id is
    /// 0123456789abcdef0123456789abcdef.
    #[test]
    fn it_is_what_systemd_derives() {
        let machine = parse("0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(
            hex::encode(&derive(machine)),
            "dc80349d87424fa899b880b334444bec"
        );
    }
}
