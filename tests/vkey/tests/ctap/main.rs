//! The key against a platform written from the specification: transport, touch and credentials.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what helps a test ends it as the test itself would"
)]

mod faults;
mod pin;
mod platform;

use std::time::Duration;

use ciborium::{Value, cbor};
use platform::{HASH, Make, Platform, RP, field, good, verified};
use vkey::Key;

#[test]
fn the_transport_gives_channels_echoes_winks_and_refuses_what_it_does_not_know() {
    let mut platform = Platform::new(&[]);
    let first = platform.channel();
    platform.init();
    assert_ne!(platform.channel(), first);

    let long: Vec<u8> = (0..=255).cycle().take(7609).collect();
    platform.write(0x81, &long);
    assert_eq!(platform.read(1).unwrap().data, long);

    platform.write(0x88, &[]);
    assert_eq!(platform.read(1).unwrap().command, 0x88);
    assert!(platform.key.order("status").unwrap().contains("winks=1"));

    // U2F's messages, a command that is none, and a channel that nobody was given.
    for (command, code) in [(0x83, 0x01), (0xaa, 0x01)] {
        platform.write(command, &[1]);
        let reply = platform.read(1).unwrap();
        assert_eq!((reply.command, reply.data), (0xbf, vec![code]));
    }
    platform
        .key
        .receive(&[0, 0, 9, 9, 0x81, 0, 1, 1], platform.now);
    assert_eq!(platform.read(1).unwrap().data, [0x0b]);
}

#[test]
fn half_a_message_is_forgotten_and_another_channel_has_to_wait() {
    let mut platform = Platform::new(&[]);
    let [a, b, c, d] = platform.channel();
    platform.init();
    platform
        .key
        .receive(&[a, b, c, d, 0x81, 1, 0], platform.now);
    platform.write(0x81, b"other");
    assert_eq!(platform.read(1).unwrap().data, [0x06]);
    // Three seconds later the first has failed, and the key is free.
    assert_eq!(platform.read(5).unwrap().data, [0x05]);
    platform.write(0x81, b"other");
    assert_eq!(platform.read(1).unwrap().data, b"other");
}

#[test]
fn credentials_of_both_algorithms_sign_and_the_counter_rises() {
    for algorithm in [-7, -8] {
        let mut platform = Platform::new(&[]);
        let made = platform
            .make(&Make {
                algorithm,
                ..Make::default()
            })
            .unwrap();
        assert_eq!(made.data[32], 0x41);
        let (flags, first) = verified(&made, &platform.get(&[&made.id], None).unwrap());
        let (_, second) = verified(&made, &platform.get(&[&made.id], None).unwrap());
        assert_eq!((flags, second), (1, first + 1));
        platform.key.order("counter=clone").unwrap();
        let (_, cloned) = verified(&made, &platform.get(&[&made.id], None).unwrap());
        assert!(cloned <= first, "{cloned} after {first}");
        platform.key.order("counter=none").unwrap();
        assert_eq!(
            verified(&made, &platform.get(&[&made.id], None).unwrap()).1,
            0
        );
    }
}

#[test]
fn a_key_of_one_algorithm_makes_no_credential_of_the_other() {
    for (word, has, lacks) in [("es256", -7, -8), ("eddsa", -8, -7)] {
        let mut platform = Platform::new(&[&format!("algorithm={word}")]);
        let of = |algorithm| Make {
            algorithm,
            ..Make::default()
        };
        assert_eq!(platform.make(&of(lacks)).unwrap_err(), 0x26);
        let made = platform.make(&of(has)).unwrap();
        verified(&made, &platform.get(&[&made.id], None).unwrap());
    }
}

#[test]
fn attestation_is_by_a_certificate_or_by_the_credential() {
    let mut platform = Platform::new(&[]);
    let made = platform.make(&Make::default()).unwrap();
    let chain = field(&made.statement, "x5c").into_array().unwrap();
    let certificate = chain[0].as_bytes().unwrap();
    // The point in a P-256 SubjectPublicKeyInfo follows this.
    let before = [0x03, 0x42, 0x00, 0x04];
    let at = certificate
        .windows(4)
        .position(|part| part == before)
        .unwrap()
        + 4;
    let point = &certificate[at..at + 64];
    let vouching = cbor!({3 => -7, -2 => Value::Bytes(point[..32].to_vec()), -3 => Value::Bytes(point[32..].to_vec())});
    let signed = [&made.data[..], &HASH].concat();
    let signature = field(&made.statement, "sig").into_bytes().unwrap();
    assert!(good(&vouching.unwrap(), &signed, &signature));

    platform.key.order("attestation=self").unwrap();
    let made = platform
        .make(&Make {
            algorithm: -8,
            ..Make::default()
        })
        .unwrap();
    assert_eq!(field(&made.statement, "x5c"), Value::Null);
    let signed = [&made.data[..], &HASH].concat();
    let signature = field(&made.statement, "sig").into_bytes().unwrap();
    assert!(good(&made.public, &signed, &signature));
}

#[test]
fn a_touch_comes_when_the_script_says() {
    let mut platform = Platform::new(&["up=delay:3"]);
    platform.send(0x0b, None);
    let reply = platform.read(10).unwrap();
    assert_eq!(reply.data, [0]);
    assert!(
        (28..=32).contains(&reply.keepalives),
        "{}",
        reply.keepalives
    );

    platform.key.order("up=deny").unwrap();
    assert_eq!(platform.command(0x0b, None), Err(0x27));

    platform.key.order("up=wait").unwrap();
    assert!(platform.key.order("touch").is_err());
    platform.send(0x0b, None);
    assert_eq!(platform.read(2), None);
    assert!(platform.key.blinks());
    platform.key.order("touch").unwrap();
    assert_eq!(platform.answer(), Ok(Value::Null));

    platform.send(0x0b, None);
    platform.write(0x91, &[]);
    assert_eq!(platform.answer(), Err(0x2d));
    assert!(!platform.key.blinks());

    platform.send(0x0b, None);
    let since = platform.now;
    assert_eq!(platform.answer(), Err(0x2f));
    assert!(platform.now >= since + Duration::from_secs(30));
}

#[test]
fn no_touch_is_asked_for_where_the_platform_wants_none() {
    let mut platform = Platform::new(&[]);
    let made = platform.make(&Make::default()).unwrap();
    platform.key.order("up=deny").unwrap();
    let id = Value::Bytes(made.id.clone());
    let request = cbor!({
        1 => RP, 2 => Value::Bytes(HASH.to_vec()), 3 => [{"id" => id, "type" => "public-key"}],
        5 => {"up" => false}
    });
    let assertion = platform.command(2, Some(&request.unwrap())).unwrap();
    assert_eq!(verified(&made, &assertion).0, 0);
    assert_eq!(platform.get(&[b"another's"], None), Err(0x2e));
    let exclude = vec![made.id];
    platform.key.order("up=auto").unwrap();
    assert_eq!(
        platform
            .make(&Make {
                exclude,
                ..Make::default()
            })
            .unwrap_err(),
        0x19
    );
}

#[test]
fn resident_credentials_are_found_without_a_list_one_after_the_other() {
    let mut platform = Platform::new(&[]);
    let resident = |user| Make {
        user,
        resident: true,
        ..Make::default()
    };
    let one = platform.make(&resident(1)).unwrap();
    let two = platform.make(&resident(2)).unwrap();
    platform
        .make(&Make {
            user: 3,
            ..Make::default()
        })
        .unwrap();
    let first = platform.get(&[], None).unwrap();
    assert_eq!(field(&first, 5), Value::from(2));
    verified(&two, &first);
    let next = platform.command(8, None).unwrap();
    verified(&one, &next);
    let user = field(&next, 4);
    assert_eq!(
        (field(&user, "id"), field(&user, "name")),
        (Value::Bytes(vec![1]), Value::Null)
    );
    assert_eq!(platform.command(8, None), Err(0x30));
    // Made anew for the same user, it takes the old one's place.
    platform.make(&resident(2)).unwrap();
    assert_eq!(platform.get(&[&two.id], None), Err(0x2e));
    assert_eq!(platform.command(7, None), Ok(Value::Null));
    assert_eq!(platform.get(&[], None), Err(0x2e));
}

#[test]
fn a_saved_key_knows_its_credentials_counter_and_pin() {
    let mut platform = Platform::new(&["pin=1234"]);
    let made = platform
        .make(&Make {
            algorithm: -8,
            ..Make::default()
        })
        .unwrap();
    let (_, counter) = verified(&made, &platform.get(&[&made.id], None).unwrap());
    let key = Key::load(&platform.key.save()).unwrap();
    let mut platform = Platform::with(key, &[]);
    let token = platform.token(1, Some("1234"), 0).unwrap();
    let assertion = platform.get(&[&made.id], Some(&token)).unwrap();
    assert_eq!(verified(&made, &assertion), (5, counter + 1));
    assert!(Key::load(b"\xa1\x01").is_err());
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let mut key = Key::new().unwrap();
    for order in [
        "",
        "up",
        "up=maybe",
        "up=delay:x",
        "uv=",
        "pin-protocol=3",
        "algorithm=rs256",
        "counter=-1",
        "fault=all",
        "pin=123",
        "dance",
    ] {
        assert!(key.order(order).is_err(), "{order}");
    }
}
