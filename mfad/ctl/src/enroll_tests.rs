//! What an offer looks like, from fixed data.

use super::*;
use crate::cli::Kind;

const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

fn look(width: Option<u16>) -> Look {
    Look {
        colour: false,
        colour_beside: false,
        drawing: Drawing {
            paint: Paint::LightText,
            unicode: true,
        },
        ascii: false,
        width,
    }
}

fn totp() -> EnrollmentOffer {
    EnrollmentOffer {
        id: "offer-1".into(),
        kind: "totp".into(),
        name: "phone".into(),
        uri: Some(format!(
            "otpauth://totp/host:alice?secret={SECRET}&issuer=host"
        )),
        secret: Some(SECRET.into()),
        codes: None,
    }
}

fn arguments(text: bool, invert: bool) -> EnrollArgs {
    EnrollArgs {
        kind: Kind::Totp,
        text,
        invert,
        ..EnrollArgs::backup_codes()
    }
}

fn shown(offer: &EnrollmentOffer, text: bool, width: Option<u16>) -> String {
    offer_text(offer, &arguments(text, false), look(width))
        .unwrap()
        .to_string()
}

#[test]
fn a_screen_reader_gets_the_secret_in_groups_and_its_uri() {
    insta::assert_snapshot!(shown(&totp(), true, Some(80)), @r#"
    Secret of “phone”: JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP
    URI: otpauth://totp/host:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=host
    "#);
}

#[test]
fn a_terminal_gets_a_qr_code_and_the_secret() {
    insta::assert_snapshot!(shown(&totp(), false, Some(80)), @r#"
    Scan this with your authenticator app; it will be called “phone”:

    █████████████████████████████████████████
    █████████████████████████████████████████
    ████ ▄▄▄▄▄ █▀ █▀▀▄▀ ██▀ ▄ ▀▄██ ▄▄▄▄▄ ████
    ████ █   █ █▀ ▄ █▀█ ▄ ██▀▄ ▄▄█ █   █ ████
    ████ █▄▄▄█ █▀█ █▄▀▀▀▄█▄█▄▄█▄██ █▄▄▄█ ████
    ████▄▄▄▄▄▄▄█▄█▄█ █▄█ █ ▀▄▀ ▀▄█▄▄▄▄▄▄▄████
    ████  ▄ ▄█▄▄▄ ▄█▄ ▄▀ ██▀▀▀  ▀▄▀▄█ ▀ ▀████
    ████▀▀▀ █ ▄▀  ▀ ▄█▀ ██ ▀█▀████▄█    █████
    ████▄█▀▀▄▀▄ ▄ ▀▄ ▄   ▀██ ▀▄▀▄▄▀ ▄ ▀█▀████
    █████▀▄ ▄ ▄ ▀█ █▄▄▀ ▀▄▀▄█  ▀▀   █▀ ▄█████
    ████▀▀ ▄ ▄▄█▄▀█▀█▄ ▄▀▄▀▀█▀ ▀▄ ▀█▄██▀▀████
    ████▄█▀▀█▀▄ ▀ ▄▀▀▄▀▀▄ ▀▀▄ ▄█▀▀▀▄██ ▄█████
    ████ ▀ █ ▄▄██▀█▀█▄ ▄ █▀▀▄█▀ ▄ ▀█▄▄█ ▀████
    ████ █▀▄▀▀▄ ██▀▀██ ▀████▄  █▄▄██ █▀ ▀████
    ████▄██▄██▄█▀▄█ ▄▄▄  █▀▄ ▄▄▄ ▄▄▄ ▀█▄ ████
    ████ ▄▄▄▄▄ █▄▀▀█ █ ▄█▄▄▀ ▀█  █▄█ ▄▀ ▀████
    ████ █   █ █ █  ▄▄ ▄▀  █  ▄▀ ▄▄  ▀█▄▀████
    ████ █▄▄▄█ █ █▀██▄█▄█ █▀▄▀██▄▄ ▀█ ▀██████
    ████▄▄▄▄▄▄▄█▄█▄▄█▄███▄██▄▄▄▄▄█▄██▄█▄█████
    █████████████████████████████████████████
    █████████████████████████████████████████

    Or type the secret: JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP
    "#);
}

#[test]
fn a_narrow_terminal_gets_the_text_and_the_reason() {
    insta::assert_snapshot!(shown(&totp(), false, Some(40)), @r#"
    This terminal is too narrow for a QR code. Widen it and start again, or type the secret.
    Secret of “phone”: JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP
    URI: otpauth://totp/host:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=host
    "#);
}

#[test]
fn invert_swaps_the_blocks() {
    let plain = offer_text(&totp(), &arguments(false, false), look(None)).unwrap();
    let inverted = offer_text(&totp(), &arguments(false, true), look(None)).unwrap();
    let first = |text: &str| text.lines().nth(2).unwrap().to_owned();
    assert!(first(&plain).chars().all(|c| c == '█'));
    assert!(first(&inverted).chars().all(|c| c == ' '));
}

#[test]
fn backup_codes_are_numbered_and_grouped() {
    let offer = EnrollmentOffer {
        kind: "backup-codes".into(),
        codes: Some(
            ('A'..='J')
                .map(|c| [c.to_string().repeat(4).as_str(); 4].join("-"))
                .collect(),
        ),
        ..EnrollmentOffer::default()
    };
    insta::assert_snapshot!(shown(&offer, false, Some(80)), @r#"
    Your backup codes. Each lets you in once, in place of a code of your device.

       1. AAAA-AAAA-AAAA-AAAA
       2. BBBB-BBBB-BBBB-BBBB
       3. CCCC-CCCC-CCCC-CCCC
       4. DDDD-DDDD-DDDD-DDDD
       5. EEEE-EEEE-EEEE-EEEE
       6. FFFF-FFFF-FFFF-FFFF
       7. GGGG-GGGG-GGGG-GGGG
       8. HHHH-HHHH-HHHH-HHHH
       9. IIII-IIII-IIII-IIII
      10. JJJJ-JJJJ-JJJJ-JJJJ

    Print them or write them down, and keep them where your device is not. They are not shown again.
    "#);
}

#[test]
fn an_offer_for_scripts_has_what_there_is_and_no_nulls() {
    insta::assert_snapshot!(offer_json(&totp()), @r#"{"id":"offer-1","kind":"totp","name":"phone","secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP","uri":"otpauth://totp/host:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=host"}"#);
    let codes = EnrollmentOffer {
        id: "o".into(),
        kind: "backup-codes".into(),
        name: "backup-codes".into(),
        codes: Some(vec!["AAAABBBB".into()]),
        ..EnrollmentOffer::default()
    };
    insta::assert_snapshot!(offer_json(&codes), @r#"{"codes":["AAAABBBB"],"id":"o","kind":"backup-codes","name":"backup-codes"}"#);
}

#[test]
fn an_offer_with_control_characters_is_refused_whole() {
    for hostile in ["", "otpauth://\u{1b}[2J", "a b", "é"] {
        let mut offer = totp();
        offer.uri = Some(hostile.to_owned());
        assert!(offer_text(&offer, &arguments(true, false), look(None)).is_err());
    }
    let nothing = EnrollmentOffer::default();
    assert!(offer_text(&nothing, &arguments(true, false), look(None)).is_err());
}
