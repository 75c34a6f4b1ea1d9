//! Tests of `otp`.

use super::*;

const WINDOWS: Windows = Windows {
    skew: 1,
    look_ahead: 5,
};

fn at(wall: i64) -> Now {
    Now {
        wall,
        steady: wall,
        boot: 0,
    }
}

fn code(text: &str) -> Answer {
    Answer::sort(text.as_bytes())
}

/// RFC 6238, appendix B: each algorithm has a secret of its hash's length.
#[test]
fn rfc_6238_vectors_match_at_their_step_and_at_no_other() {
    let secret = |length| {
        b"1234567890"
            .iter()
            .copied()
            .cycle()
            .take(length)
            .collect::<Vec<u8>>()
    };
    let vectors = [
        (59, Hash::Sha1, "94287082"),
        (59, Hash::Sha256, "46119246"),
        (59, Hash::Sha512, "90693936"),
        (1_111_111_109, Hash::Sha1, "07081804"),
        (1_234_567_890, Hash::Sha512, "93441116"),
        (2_000_000_000, Hash::Sha256, "90698825"),
        (20_000_000_000, Hash::Sha1, "65353130"),
    ];
    for (wall, hash, text) in vectors {
        let length = match hash {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
            Hash::Sha512 => 64,
        };
        let generator = Generator::with_secret(Kind::Totp, hash, 8, 30, secret(length)).unwrap();
        assert_eq!(
            generator.matches(&code(text), -1, at(wall), WINDOWS),
            Some(wall / 30),
            "{wall} {hash:?}"
        );
        assert_eq!(
            generator.matches(&code(text), -1, at(wall + 120), WINDOWS),
            None
        );
    }
}

/// RFC 4226, appendix D.
#[test]
fn rfc_4226_vectors_match_within_the_look_ahead() {
    let codes = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];
    let generator = Generator::with_secret(
        Kind::Hotp,
        Hash::Sha1,
        6,
        0,
        b"12345678901234567890".to_vec(),
    )
    .unwrap();
    for (counter, text) in (0_i64..).zip(codes) {
        assert_eq!(
            generator.matches(&code(text), counter, at(0), WINDOWS),
            Some(counter + 1)
        );
    }
    assert_eq!(
        generator.matches(&code(codes[4]), 0, at(0), WINDOWS),
        Some(5),
        "within the look-ahead"
    );
    assert_eq!(
        generator.matches(&code(codes[5]), 0, at(0), WINDOWS),
        None,
        "beyond it"
    );
    let two = code(&format!("{} {}", codes[7], codes[8]));
    assert_eq!(
        generator.matches(&two, 0, at(0), WINDOWS),
        Some(9),
        "two in a row resynchronise"
    );
    let wrong = code(&format!("{} {}", codes[7], codes[9]));
    assert_eq!(generator.matches(&wrong, 0, at(0), WINDOWS), None);
}

#[test]
fn parameters_out_of_range_are_refused() {
    for (digits, period, length) in [
        (5, 30, 20),
        (9, 30, 20),
        (6, 14, 20),
        (6, 121, 20),
        (6, 30, 15),
        (6, 30, 129),
    ] {
        assert!(
            Generator::with_secret(Kind::Totp, Hash::Sha1, digits, period, vec![1; length])
                .is_err()
        );
    }
}

#[test]
fn uris_carry_what_apps_need() {
    let generator = Generator::with_secret(Kind::Totp, Hash::Sha1, 6, 30, vec![1; 20]).unwrap();
    let uri = generator.uri("host:1", "alice").unwrap();
    assert_eq!(
        *uri,
        "otpauth://totp/host_1:alice?secret=AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIB&issuer=host_1"
    );
    let counter = Generator::with_secret(Kind::Hotp, Hash::Sha256, 8, 0, vec![1; 20]).unwrap();
    let uri = counter.uri("host", "alice").unwrap();
    assert!(uri.starts_with("otpauth://hotp/host:alice?"), "{}", *uri);
    assert!(
        uri.contains("digits=8") && uri.contains("algorithm=SHA256") && uri.ends_with("&counter=0")
    );
    assert!(!uri.contains("period"));
}
