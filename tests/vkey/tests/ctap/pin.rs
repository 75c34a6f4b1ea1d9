//! PIN, reader and protected credentials.

use ciborium::{Value, cbor};

use crate::platform::{Make, Platform, field, verified};

#[test]
fn protected_credentials_want_verification() {
    let mut platform = Platform::new(&["pin=1234"]);
    for (protection, listed, unlisted) in [(1, true, true), (2, true, false), (3, false, false)] {
        let token = platform.token(2, Some("1234"), 3).unwrap();
        let token = Some(&token);
        let made = platform
            .make(&Make {
                resident: true,
                protection,
                token,
                ..Make::default()
            })
            .unwrap();
        assert_eq!(made.data[32], 0xc5);
        let status = platform.key.order("status").unwrap();
        let newest = format!("newest=es256,resident,protection-{protection} ");
        assert!(status.contains(&newest), "{status}");
        assert_eq!(platform.get(&[&made.id], None).is_ok(), listed);
        assert_eq!(platform.get(&[], None).is_ok(), unlisted);
        let token = platform.token(2, Some("1234"), 2).unwrap();
        assert_eq!(
            verified(&made, &platform.get(&[], Some(&token)).unwrap()).0,
            5
        );
    }
}

#[test]
fn a_pin_is_set_changed_and_buys_tokens_by_both_protocols() {
    for protocol in [1, 2] {
        let mut platform = Platform::new(&[]);
        assert_eq!(platform.token(protocol, Some("1234"), 0).err(), Some(0x35));
        assert_eq!(platform.set_pin(protocol, "123"), Err(0x37));
        assert_eq!(platform.set_pin(protocol, "1234"), Ok(Value::Null));
        assert_eq!(platform.set_pin(protocol, "5678"), Err(0x33));
        assert_eq!(platform.change_pin(protocol, "4321", "5678"), Err(0x31));
        assert_eq!(
            platform.change_pin(protocol, "1234", "grün"),
            Ok(Value::Null)
        );
        let resident = Make {
            resident: true,
            ..Make::default()
        };
        assert_eq!(platform.make(&resident).unwrap_err(), 0x36);
        let token = platform.token(protocol, Some("grün"), 0).unwrap();
        let made = platform
            .make(&Make {
                token: Some(&token),
                ..resident
            })
            .unwrap();
        assert_eq!(made.data[32], 0x45);
        // It has served.
        assert_eq!(platform.get(&[&made.id], Some(&token)), Err(0x33));
        // One for making only gets no assertion.
        let token = platform.token(protocol, Some("grün"), 1).unwrap();
        assert_eq!(platform.get(&[&made.id], Some(&token)), Err(0x33));
        let token = platform.token(protocol, Some("grün"), 2).unwrap();
        let assertion = platform.get(&[&made.id], Some(&token)).unwrap();
        assert_eq!(verified(&made, &assertion).0, 5);
    }
}

#[test]
fn a_key_of_one_protocol_refuses_the_other() {
    for (knows, not) in [(1, 2), (2, 1)] {
        let order = format!("pin-protocol={knows}");
        let mut platform = Platform::new(&["pin=1234", &order]);
        let info = platform.command(4, None).unwrap();
        assert_eq!(field(&info, 6), Value::Array(vec![knows.into()]));
        let agreement = cbor!({1 => not, 2 => 2}).unwrap();
        assert_eq!(platform.command(6, Some(&agreement)), Err(0x02));
        assert!(platform.token(knows, Some("1234"), 0).is_ok());
    }
}

#[test]
fn a_wrong_pin_costs_tries_then_the_plug_then_the_key() {
    let mut platform = Platform::new(&["pin=1234"]);
    let mut answers = Vec::new();
    for round in 0..3 {
        let tries = if round == 2 { 3 } else { 4 };
        answers.extend((0..tries).map(|_| platform.token(2, Some("0000"), 0).err().unwrap()));
        platform.key.order("unplug").unwrap();
        platform.key.order("plug").unwrap();
        platform.init();
    }
    // The fourth of a round is not counted.
    let expected = [
        0x31, 0x31, 0x34, 0x34, 0x31, 0x31, 0x34, 0x34, 0x31, 0x32, 0x32,
    ];
    assert_eq!(answers, expected);
    assert_eq!(platform.token(2, Some("1234"), 0).err(), Some(0x32));
    let retries = platform
        .command(6, Some(&cbor!({2 => 1}).unwrap()))
        .unwrap();
    assert_eq!(field(&retries, 3), Value::from(0));
}

#[test]
fn a_finger_verifies_until_it_was_a_strangers_three_times() {
    let mut platform = Platform::new(&["uv=good"]);
    let info = platform.command(4, None).unwrap();
    assert_eq!(field(&field(&info, 4), "uv"), Value::from(true));
    let token = platform.token(2, None, 3).unwrap();
    let made = platform
        .make(&Make {
            token: Some(&token),
            ..Make::default()
        })
        .unwrap();
    assert_eq!(made.data[32], 0x45);
    platform.key.order("uv=bad").unwrap();
    let answers: Vec<u8> = (0..4)
        .map(|_| platform.token(2, None, 3).err().unwrap())
        .collect();
    assert_eq!(answers, [0x3f, 0x3f, 0x3c, 0x3c]);
}
