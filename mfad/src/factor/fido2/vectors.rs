//! Fixed vectors, made by another implementation: Python's `cryptography` 48 (OpenSSL), from the standard's text.

use super::{
    ClientData, Expected, Made, Proven, PublicKey, Refusal, Registered, Statement, Unattested,
    Wanted, examine, verify,
};

const RP_ID: &str = "mfa.example";
const CREDENTIAL: std::ops::Range<u8> = 0..64;
const AAGUID: [u8; 16] = [
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
];

const ES256_AUTH_DATA: &str =
    "0e296bbc081fe4b4c5a108fa2ba28d2ef99603b51d38951fb124a546b4aa3693050000002a";
const ES256_SIGNATURE: &str = concat!(
    "304402200dfc0399dabdbb6bc74e373b4a27649408d9b43f94ca633494f4edbb8aec838702201b5dbe7bf5452e10718c6338",
    "4e15275ebdcf162368eadda49c8222076238ebdd",
);
const EDDSA_AUTH_DATA: &str = concat!(
    "0e296bbc081fe4b4c5a108fa2ba28d2ef99603b51d38951fb124a546b4aa36938100000000a16b6372656450726f74656374",
    "02",
);
const EDDSA_SIGNATURE: &str = concat!(
    "094394a93d9257f3baa1abb47c0a041960c35e6980c07e6e78a467f631f2ae03112facaa4d50c252aafcd816ec6ebdf8f1db",
    "210229bb0b8db489ab3f5eeb9c05",
);
const ES256_POINT: &str = concat!(
    "04f9ebe464147cc102d92324d099d927c1a50e42d57a08a116ffec0a29819d8c6570baf7d12888902a6a0c1d67add103123c",
    "859ab69bf8e9431c9384930d4b7eee",
);
const ED25519_KEY: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";
const SELF_AUTH_DATA: &str = concat!(
    "0e296bbc081fe4b4c5a108fa2ba28d2ef99603b51d38951fb124a546b4aa3693410000000700112233445566778899aabbcc",
    "ddeeff0040000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c",
    "2d2e2f303132333435363738393a3b3c3d3e3fa5010203262001215820f9ebe464147cc102d92324d099d927c1a50e42d57a",
    "08a116ffec0a29819d8c6522582070baf7d12888902a6a0c1d67add103123c859ab69bf8e9431c9384930d4b7eee",
);
const SELF_SIGNATURE: &str = concat!(
    "304502203fd0da0059f2cc9e1127ba19122a1765ab452b693cc0bcc03119bc4a7c8ed95c02210085e864ed95fa513b91cf7c",
    "cbbba27225bc695c20f8eaaf61376f3bd25078c5b8",
);
const CERTIFIED_AUTH_DATA: &str = concat!(
    "0e296bbc081fe4b4c5a108fa2ba28d2ef99603b51d38951fb124a546b4aa3693c50000000000112233445566778899aabbcc",
    "ddeeff0040000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c",
    "2d2e2f303132333435363738393a3b3c3d3e3fa4010103272006215820ea4a6c63e29c520abef5507b132ec5f9954776aebe",
    "be7b92421eea691446d22ca16b6372656450726f7465637402",
);
const CERTIFICATE: &str = concat!(
    "308201be30820164a003020102020105300a06082a8648ce3d040302304e310b3009060355040613024348310d300b060355",
    "040a0c045465737431223020060355040b0c1941757468656e74696361746f72204174746573746174696f6e310c300a0603",
    "5504030c034b6579301e170d3236303130313030303030305a170d3436303130313030303030305a304e310b300906035504",
    "0613024348310d300b060355040a0c045465737431223020060355040b0c1941757468656e74696361746f72204174746573",
    "746174696f6e310c300a06035504030c034b65793059301306072a8648ce3d020106082a8648ce3d030107034200042570c2",
    "9e31386d80d47ea56cf1370513d4e3edc9ebcdcb5789ee66eff71c6cfcbddac0687d6910d69f5206c5222df7880e02a9e551",
    "24417b2076750aeb49ad7fa3333031300c0603551d130101ff040230003021060b2b0601040182e51c010104041204100011",
    "2233445566778899aabbccddeeff300a06082a8648ce3d040302034800304502200de337171bed739d3642b4f65bbcf23c18",
    "329a66c6e1920a76435043a2701c9d022100aa3bb4bdd57a397b2cc73521f1b9dea320cda9338f878bfc8e03a0ab506a9677",
);
const CERTIFIED_SIGNATURE: &str = concat!(
    "3046022100ed8a8c1671ae941e359680208924634a90c46ef8f12444e2b755b787dbff4f6a022100a5997a1ffd2b4e3b9a65",
    "87ddb6aa27ecdbf2ee4ea14b0d65cf5583cb18f5fe40",
);
const U2F_AUTH_DATA: &str = concat!(
    "0e296bbc081fe4b4c5a108fa2ba28d2ef99603b51d38951fb124a546b4aa3693410000000000000000000000000000000000",
    "0000000040000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c",
    "2d2e2f303132333435363738393a3b3c3d3e3fa5010203262001215820f9ebe464147cc102d92324d099d927c1a50e42d57a",
    "08a116ffec0a29819d8c6522582070baf7d12888902a6a0c1d67add103123c859ab69bf8e9431c9384930d4b7eee",
);
const U2F_CERTIFICATE: &str = concat!(
    "3082018a3082012fa003020102020106300a06082a8648ce3d040302304e310b3009060355040613024348310d300b060355",
    "040a0c045465737431223020060355040b0c1941757468656e74696361746f72204174746573746174696f6e310c300a0603",
    "5504030c034b6579301e170d3236303130313030303030305a170d3436303130313030303030305a304e310b300906035504",
    "0613024348310d300b060355040a0c045465737431223020060355040b0c1941757468656e74696361746f72204174746573",
    "746174696f6e310c300a06035504030c034b65793059301306072a8648ce3d020106082a8648ce3d030107034200042570c2",
    "9e31386d80d47ea56cf1370513d4e3edc9ebcdcb5789ee66eff71c6cfcbddac0687d6910d69f5206c5222df7880e02a9e551",
    "24417b2076750aeb49ad7f300a06082a8648ce3d0403020349003046022100c3ce0e108a574a87533bb1350c10cc9b71ba02",
    "cabe4ab6f55445359c6c323fff022100f8f295b1e278da0f24e2a4186d1f4ac542723d993d68720615bcf22886fe349a",
);
const U2F_SIGNATURE: &str = concat!(
    "3046022100bb904700abeaa225634b789f5299a37617f006c684ac59fa11fcb081253120e5022100deba0fa28fd69b28bfcf",
    "40ad1d956d69803ff12c01afaaa40493027071bd1fdd",
);

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).expect("ASCII"))
        .map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal"))
        .collect()
}

fn challenge() -> [u8; 32] {
    std::array::from_fn(|place| u8::try_from(place).expect("below 32"))
}

fn es256() -> PublicKey {
    PublicKey::Es256(bytes(ES256_POINT).try_into().expect("65 bytes"))
}

fn ed25519() -> PublicKey {
    PublicKey::Ed25519(bytes(ED25519_KEY).try_into().expect("32 bytes"))
}

fn registered(key: PublicKey, verify: bool) -> Registered {
    Registered {
        rp_id: RP_ID.into(),
        id: CREDENTIAL.collect(),
        key,
        aaguid: AAGUID,
        verify,
        resident: false,
    }
}

fn assert(
    registered: &Registered,
    verified: bool,
    data: &str,
    signature: &str,
) -> Result<Proven, Refusal> {
    let client_data = ClientData::to_get(RP_ID, &challenge()).expect("client data");
    let expected = Expected {
        registered,
        client_data: &client_data,
        verify: verified,
    };
    verify(expected, &bytes(data), &bytes(signature))
}

#[test]
fn signatures_of_both_kinds_are_accepted() {
    assert_eq!(
        assert(
            &registered(es256(), true),
            true,
            ES256_AUTH_DATA,
            ES256_SIGNATURE
        ),
        Ok(Proven {
            counter: 42,
            user_verified: true
        })
    );
    assert_eq!(
        assert(
            &registered(ed25519(), false),
            false,
            EDDSA_AUTH_DATA,
            EDDSA_SIGNATURE
        ),
        Ok(Proven {
            counter: 0,
            user_verified: false
        })
    );
}

#[test]
fn a_touch_is_no_verification_whoever_wants_it() {
    for (credential, login) in [(true, false), (false, true)] {
        assert_eq!(
            assert(
                &registered(ed25519(), credential),
                login,
                EDDSA_AUTH_DATA,
                EDDSA_SIGNATURE
            ),
            Err(Refusal::UserUnverified)
        );
    }
}

#[test]
fn another_key_another_relying_party_and_another_challenge_are_refused() {
    let other = Registered {
        rp_id: "mfa.example.".into(),
        ..registered(es256(), false)
    };
    let of = |registered, data, signature| assert(registered, false, data, signature);
    assert_eq!(
        of(&other, ES256_AUTH_DATA, ES256_SIGNATURE),
        Err(Refusal::RelyingParty)
    );
    let swapped = registered(ed25519(), false);
    assert_eq!(
        of(&swapped, ES256_AUTH_DATA, ES256_SIGNATURE),
        Err(Refusal::Signature)
    );
    let mut challenge = challenge();
    challenge[31] ^= 1;
    let client_data = ClientData::to_get(RP_ID, &challenge).expect("client data");
    let expected = Expected {
        registered: &registered(es256(), false),
        client_data: &client_data,
        verify: false,
    };
    assert_eq!(
        verify(expected, &bytes(ES256_AUTH_DATA), &bytes(ES256_SIGNATURE)),
        Err(Refusal::Signature)
    );
}

#[test]
fn a_new_credential_is_no_login() {
    assert_eq!(
        assert(
            &registered(es256(), false),
            false,
            SELF_AUTH_DATA,
            SELF_SIGNATURE
        ),
        Err(Refusal::Malformed)
    );
}

/// A statement of this module's constants.
struct Case {
    format: &'static str,
    data: &'static str,
    signature: &'static str,
    certificate: Option<&'static str>,
    algorithm: i64,
}

const ITSELF: Case = Case {
    format: "packed",
    data: SELF_AUTH_DATA,
    signature: SELF_SIGNATURE,
    certificate: None,
    algorithm: -7,
};
const CERTIFIED: Case = Case {
    format: "packed",
    data: CERTIFIED_AUTH_DATA,
    signature: CERTIFIED_SIGNATURE,
    certificate: Some(CERTIFICATE),
    algorithm: -7,
};
const U2F: Case = Case {
    format: "fido-u2f",
    data: U2F_AUTH_DATA,
    signature: U2F_SIGNATURE,
    certificate: Some(U2F_CERTIFICATE),
    algorithm: 0,
};
const NONE: Case = Case {
    format: "none",
    data: SELF_AUTH_DATA,
    signature: "",
    certificate: None,
    algorithm: 0,
};

impl Case {
    fn examine(&self, verify: bool) -> Result<Made, Unattested> {
        let client_data = ClientData::to_create(RP_ID, &challenge()).expect("client data");
        let certificate = self.certificate.map(bytes);
        let wanted = Wanted {
            rp_id: RP_ID,
            client_data: &client_data,
            verify,
            resident: false,
        };
        let statement = Statement {
            format: self.format,
            auth_data: &bytes(self.data),
            algorithm: self.algorithm,
            signature: &bytes(self.signature),
            certificate: certificate.as_deref(),
        };
        examine(wanted, statement)
    }
}

#[test]
fn every_format_that_keys_write_is_read() {
    let made = |registered, counter, certified| {
        Ok(Made {
            registered,
            counter,
            certified,
        })
    };
    let plain = registered(es256(), false);
    assert_eq!(ITSELF.examine(false), made(plain.clone(), 7, false));
    assert_eq!(NONE.examine(false), made(plain.clone(), 7, false));
    assert_eq!(
        CERTIFIED.examine(true),
        made(registered(ed25519(), true), 0, true)
    );
    let nameless = Registered {
        aaguid: [0; 16],
        ..plain
    };
    assert_eq!(U2F.examine(false), made(nameless, 0, true));
}

#[test]
fn a_statement_that_is_not_signed_as_it_says_is_refused() {
    for case in [
        Case {
            signature: CERTIFIED_SIGNATURE,
            ..ITSELF
        },
        Case {
            algorithm: -8,
            ..ITSELF
        },
        Case {
            certificate: Some(CERTIFICATE),
            ..ITSELF
        },
        // This certificate names a model, and it is another one.
        Case {
            certificate: Some(CERTIFICATE),
            data: U2F_AUTH_DATA,
            ..CERTIFIED
        },
        Case {
            certificate: None,
            ..CERTIFIED
        },
        Case {
            certificate: Some(ES256_AUTH_DATA),
            ..CERTIFIED
        },
        Case {
            certificate: None,
            ..U2F
        },
        Case {
            data: SELF_AUTH_DATA,
            ..U2F
        },
    ] {
        assert_eq!(case.examine(false), Err(Unattested::Signature));
    }
    assert_eq!(
        Case {
            format: "tpm",
            ..CERTIFIED
        }
        .examine(false),
        Err(Unattested::Format)
    );
    assert_eq!(
        Case {
            signature: "00",
            ..NONE
        }
        .examine(false),
        Err(Unattested::Format)
    );
    assert_eq!(
        Case {
            data: ES256_AUTH_DATA,
            ..NONE
        }
        .examine(false),
        Err(Unattested::Malformed)
    );
    assert_eq!(ITSELF.examine(true), Err(Unattested::UserUnverified));
}

/// For the tests beside: authenticator data, signature, certificate.
pub(super) fn certified() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    (
        bytes(CERTIFIED_AUTH_DATA),
        bytes(CERTIFIED_SIGNATURE),
        bytes(CERTIFICATE),
    )
}
