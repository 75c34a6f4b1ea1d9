//! How the key misbehaves when told to, and that it never does so by itself.

use std::time::Duration;

use ciborium::{Value, cbor};
use vkey::REPORT;

use crate::platform::{self, HASH, Made, Make, Platform, RP, field, verified};

/// What a key with this fault answers to a request for an assertion, within five seconds; and the channel that asked.
fn asked_with(fault: &str) -> (Option<platform::Message>, Platform, Made) {
    let mut platform = Platform::new(&[]);
    let made = platform.make(&Make::default()).unwrap();
    platform.key.order(&format!("fault={fault}")).unwrap();
    assert!(platform.command(4, None).is_ok(), "{fault}");
    let id = Value::Bytes(made.id.clone());
    let list = cbor!([{"id" => id, "type" => "public-key"}]).unwrap();
    let hash = Value::Bytes(HASH.to_vec());
    platform.send(2, Some(&cbor!({1 => RP, 2 => hash, 3 => list}).unwrap()));
    (platform.read(5), platform, made)
}

#[test]
fn faults_of_the_transport_show_themselves_after_a_good_get_info() {
    assert_eq!(asked_with("silence").0, None);
    let (reply, mut platform, _) = asked_with("endless-keepalive");
    assert_eq!(reply, None);
    platform.write(0x91, &[]);
    assert_eq!(platform.read(5), None);
    assert!(platform.key.works());
    for (fault, code) in [("error-0", 0), ("busy", 6)] {
        let reply = asked_with(fault).0.unwrap();
        assert_eq!((reply.command, reply.data), (0xbf, vec![code]));
    }
    let (reply, platform, _) = asked_with("foreign-channel");
    assert_ne!(reply.unwrap().channel, platform.channel());
    assert_eq!(asked_with("oversize").0.unwrap().data.len(), 65_535);
    let outcome = std::panic::catch_unwind(|| asked_with("wrong-sequence"));
    assert!(outcome.is_err(), "the platform noticed no wrong sequence");
}

#[test]
fn faults_of_the_authenticator_are_in_what_it_signs() {
    let assertion = |fault: &str| -> (Value, Made) {
        let (reply, _, made) = asked_with(fault);
        let body = reply.unwrap().data;
        (ciborium::from_reader(&body[1..]).unwrap(), made)
    };
    let (short, _) = assertion("short-auth-data");
    assert_eq!(field(&short, 2).into_bytes().unwrap().len(), 10);
    let (unseen, made) = assertion("no-touch-flag");
    assert_eq!(verified(&made, &unseen).0, 0);
    for fault in ["wrong-rp", "wrong-signature"] {
        let (wrong, made) = assertion(fault);
        let outcome = std::panic::catch_unwind(|| verified(&made, &wrong));
        assert!(outcome.is_err(), "{fault}");
    }
}

#[test]
fn noise_does_not_panic_and_leaves_a_key_that_works() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()
    };
    let mut platform = Platform::new(&[]);
    for round in 0..20_000 {
        let mut report: Vec<u8> = (0..REPORT / 8).flat_map(|_| random()).collect();
        report[..4].copy_from_slice(&platform.channel());
        // Mostly short commands that can be parsed a little.
        if round % 4 != 0 {
            report[4] = 0x90;
            report[5] = 0;
            report[6] %= 57;
            report[7] %= 12;
            report[8] = 0xa0 | (report[8] & 7);
        }
        platform.key.receive(&report, platform.now);
        platform.now += Duration::from_millis(1);
        while platform.key.transmit(platform.now).is_some() {}
    }
    platform.now += Duration::from_mins(1);
    while platform.key.transmit(platform.now).is_some() {}
    platform.init();
    assert!(platform.make(&Make::default()).is_ok());
}
