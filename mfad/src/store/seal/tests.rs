//! Tests of `seal`.

use super::*;

fn identity(name: &str) -> Identity {
    Identity {
        person: PersonKey {
            realm: "local".into(),
            name: name.into(),
            uid: 1000,
        },
        kind: Kind::Totp,
        credential: CredentialId([7; 16]),
    }
}

fn line(number: u8, byte: u8) -> String {
    format!("mfad-key {number} {}\n", format!("{byte:02x}").repeat(32))
}

fn keyring(lines: &[(u8, u8)]) -> Keyring {
    let file: String = lines
        .iter()
        .map(|(number, byte)| line(*number, *byte))
        .collect();
    Keyring::parse(file.as_bytes()).unwrap()
}

#[test]
fn what_is_sealed_opens_for_the_same_identity_only() {
    let keys = Keyring::parse(Keyring::generate_file().unwrap().as_bytes()).unwrap();
    let alice = identity("alice");
    let sealed = keys.seal(&alice, b"secret").unwrap();
    assert_eq!(keys.open(&alice, &sealed).unwrap().as_slice(), b"secret");
    let mut others = vec![
        identity("mallory"),
        identity("alice"),
        identity("alice"),
        identity("alice"),
        identity("alice"),
    ];
    others[1].person.uid += 1;
    others[2].person.realm = "fleet".into();
    others[3].kind = Kind::Hotp;
    others[4].credential.0[15] ^= 1;
    for other in others {
        assert_eq!(
            keys.open(&other, &sealed),
            Err(SealError::DoesNotOpen(1)),
            "{other:?}"
        );
    }
}

#[test]
fn every_altered_byte_and_every_cut_is_noticed() {
    let keys = keyring(&[(1, 0xAA)]);
    let sealed = keys.seal(&identity("alice"), b"secret").unwrap();
    for index in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[index] ^= 1;
        assert!(
            keys.open(&identity("alice"), &altered).is_err(),
            "byte {index}"
        );
        assert!(
            keys.open(&identity("alice"), &sealed[..index]).is_err(),
            "cut at {index}"
        );
    }
}

#[test]
fn identities_that_only_shift_a_letter_encode_differently() {
    let mut left = identity("ab");
    let mut right = identity("b");
    left.person.realm = "x".into();
    right.person.realm = "xa".into();
    assert_ne!(left.encode([1, 1]), right.encode([1, 1]));
}

#[test]
fn keys_rotate_the_last_seals_and_all_open() {
    let (old, both, new) = (
        keyring(&[(1, 0xAA)]),
        keyring(&[(1, 0xAA), (2, 0xBB)]),
        keyring(&[(2, 0xBB)]),
    );
    let before = old.seal(&identity("alice"), b"x").unwrap();
    let after = both.seal(&identity("alice"), b"x").unwrap();
    assert_eq!(
        (key_of(&before), key_of(&after), both.newest()),
        (Some(1), Some(2), 2)
    );
    assert!(both.open(&identity("alice"), &before).is_ok());
    assert!(new.open(&identity("alice"), &after).is_ok());
    assert_eq!(
        new.open(&identity("alice"), &before),
        Err(SealError::KeyMissing(1))
    );
    assert_eq!(both.pepper(1, b"m"), old.pepper(1, b"m"));
    assert_ne!(both.pepper(1, b"m"), both.pepper(2, b"m"));
    assert_eq!(new.pepper(1, b"m"), None);
}

#[test]
fn a_successor_has_a_number_of_its_own_and_seals() {
    let file = Keyring::generate_file().unwrap();
    let old = Keyring::parse(file.as_bytes()).unwrap();
    let line = old.generate_successor().unwrap();
    let both = Keyring::parse(format!("{}{}", *file, *line).as_bytes()).unwrap();
    assert_eq!((old.newest(), both.newest()), (1, 2));
    // At the end of the numbers it begins again, past those that are taken.
    let line = keyring(&[(0, 0xAA), (255, 0xBB)]).generate_successor();
    assert!(line.unwrap().starts_with("mfad-key 1 "));
}

#[test]
fn another_key_of_the_same_number_is_told_from_a_missing_one() {
    let sealed = keyring(&[(1, 0xAA)])
        .seal(&identity("alice"), b"x")
        .unwrap();
    let error = keyring(&[(1, 0xAB)])
        .open(&identity("alice"), &sealed)
        .unwrap_err();
    assert_eq!(error, SealError::DoesNotOpen(1));
    assert!(
        error.to_string().contains("restore the key file"),
        "{error}"
    );
}

#[test]
fn broken_key_files_name_their_line() {
    let good = line(1, 0xAA);
    let cases = [
        (String::new(), 0),
        ("# only a comment\n".into(), 0),
        (format!("{good}{good}"), 2),
        (format!("{good}mfad-key 256 {}\n", "aa".repeat(32)), 2),
        (format!("{good}\nmfad-key 2 {}\n", "aa".repeat(31)), 3),
        (format!("mfad-key 2 {}\n", "ag".repeat(32)), 1),
        (good.trim_end().to_owned() + " more\n", 1),
        (good.replace("mfad-key", "mfa-key"), 1),
        ("#".repeat(LONGEST_FILE + 1), 0),
    ];
    for (file, line) in cases {
        let error = Keyring::parse(file.as_bytes()).unwrap_err();
        assert!(
            matches!(error, SealError::KeyFile(found, _) if found == line),
            "{error:?}"
        );
    }
    assert!(Keyring::parse(&[0xFF, 0xFE]).is_err());
}

#[test]
fn debug_and_errors_show_no_key() {
    let keys = keyring(&[(1, 0xAA)]);
    assert_eq!(format!("{keys:?}"), "Keyring { keys: 1, .. }");
}
