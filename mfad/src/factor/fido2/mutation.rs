//! Assertions with something changed, thousands of them: none may be accepted, and none may make the daemon panic. 10,000
//! always, which bounds the rate at 3/10,000 (95 %), and a million with `MFA_PROVE=1`.

use super::{
    ClientData, Expected, Refusal, Registered,
    software::{Software, auth_data},
    verify,
};

/// A generator of the tests' own (xorshift64*), so that a failure can be repeated.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).expect("31 bits") % bound
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("a byte")
    }
}

/// A good assertion and what it answers.
struct Good {
    registered: Registered,
    client_data: ClientData,
    auth_data: Vec<u8>,
    signature: Vec<u8>,
}

impl Good {
    fn new(key: &Software, seeded: &mut Seeded) -> Self {
        let registered = key.registered(seeded.below(2) == 0);
        let challenge = std::array::from_fn(|_| seeded.byte());
        let client_data = ClientData::to_get(&registered.rp_id, &challenge).expect("client data");
        let counter = u32::try_from(seeded.below(1 << 20)).expect("20 bits");
        let auth_data = auth_data(&registered.rp_id, 0x05, counter);
        let signature = key.sign(&auth_data, &client_data);
        Self {
            registered,
            client_data,
            auth_data,
            signature,
        }
    }

    fn accepted(&self, auth_data: &[u8], signature: &[u8]) -> bool {
        let expected = Expected {
            registered: &self.registered,
            client_data: &self.client_data,
            verify: true,
        };
        verify(expected, auth_data, signature).is_ok()
    }
}

/// Changes a byte, a bit or the length. What it returns always differs.
fn change(bytes: &[u8], seeded: &mut Seeded) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let place = seeded.below(bytes.len());
    match seeded.below(7) {
        0 | 1 => changed[place] ^= 1 << seeded.below(8),
        2 => changed[place] = changed[place].wrapping_add(1 + seeded.byte() % 255),
        3 => changed.truncate(place),
        4 => changed.insert(place, seeded.byte()),
        5 => drop(changed.remove(place)),
        _ => {
            let more = 1 + seeded.below(64);
            changed.extend((0..more).map(|_| seeded.byte()));
        }
    }
    // An inserted or removed byte may equal its neighbour, and the last of them is then no change in length alone.
    if changed == bytes {
        changed.push(0);
    }
    changed
}

#[test]
fn a_changed_assertion_is_never_accepted() {
    let count: u32 = if std::env::var_os("MFA_PROVE").is_some() {
        1_000_000
    } else {
        10_000
    };
    let seed = 0x6d66_6164_2d66_6964;
    let mut seeded = Seeded(seed);
    let keys = Software::both();
    let mut good = Vec::new();
    for _ in 0..8 {
        good.extend(keys.iter().map(|key| Good::new(key, &mut seeded)));
    }
    assert!(
        good.iter()
            .all(|good| good.accepted(&good.auth_data, &good.signature))
    );
    for round in 0..count {
        let one = &good[seeded.below(good.len())];
        let other = &good[seeded.below(good.len())];
        let (data, signature) = match seeded.below(4) {
            0 => (change(&one.auth_data, &mut seeded), one.signature.clone()),
            1 => (one.auth_data.clone(), change(&one.signature, &mut seeded)),
            2 => (
                change(&one.auth_data, &mut seeded),
                change(&one.signature, &mut seeded),
            ),
            _ if std::ptr::eq(one, other) => (one.auth_data.clone(), Vec::new()),
            _ => (other.auth_data.clone(), other.signature.clone()),
        };
        assert!(
            !one.accepted(&data, &signature),
            "seed {seed:#x}, round {round}: {data:02x?} {signature:02x?}"
        );
    }
    println!(
        "{count} changed assertions, seed {seed:#x}: none accepted, so at most {:e} are (95 %)",
        3.0 / f64::from(count)
    );
}

/// The key itself signs, and what it says is not what was wanted.
#[test]
fn a_signature_over_the_wrong_words_is_never_accepted() {
    for key in Software::both() {
        let registered = key.registered(false);
        let client_data = ClientData::to_get(&registered.rp_id, &[5; 32]).expect("client data");
        let judge = |data: &[u8]| {
            let expected = Expected {
                registered: &registered,
                client_data: &client_data,
                verify: true,
            };
            verify(expected, data, &key.sign(data, &client_data))
        };
        for flags in 0..=u8::MAX {
            let data = auth_data(&registered.rp_id, flags, 1);
            let attests_or_extends = flags & 0xc0 != 0;
            let copied_though_it_cannot = flags & 0x18 == 0x10;
            let wanted = match (
                attests_or_extends || copied_though_it_cannot,
                flags & 1,
                flags & 4,
            ) {
                (true, ..) => Some(Refusal::Malformed),
                (_, 0, _) => Some(Refusal::UserAbsent),
                (_, _, 0) => Some(Refusal::UserUnverified),
                _ => None,
            };
            assert_eq!(judge(&data).err(), wanted, "flags {flags:#04x}");
        }
        assert_eq!(
            judge(&auth_data("mfa.example.org", 5, 1)),
            Err(Refusal::RelyingParty)
        );
        let mut longer = auth_data(&registered.rp_id, 5, 1);
        longer.push(0xa0);
        assert_eq!(judge(&longer), Err(Refusal::Malformed));
        longer[32] |= 0x80;
        assert!(judge(&longer).is_ok(), "an empty map of extensions");
        longer.push(0xa0);
        assert_eq!(judge(&longer), Err(Refusal::Malformed));
    }
}

/// What a helper in the hands of an attacker may send at an enrollment.
#[test]
fn a_changed_attestation_makes_nothing_panic() {
    use super::{Statement, Wanted, examine};
    let mut seeded = Seeded(0x6d66_6164);
    let client_data = ClientData::to_create("mfa.example", &[5; 32]).expect("client data");
    let wanted = Wanted {
        rp_id: "mfa.example",
        client_data: &client_data,
        verify: false,
        resident: false,
    };
    let (data, signature, certificate) = super::vectors::certified();
    for _ in 0..10_000 {
        let auth_data = change(&data, &mut seeded);
        let certificate = change(&certificate, &mut seeded);
        for format in ["none", "packed", "fido-u2f"] {
            let statement = Statement {
                format,
                auth_data: &auth_data,
                algorithm: -7,
                signature: &signature,
                certificate: Some(&certificate),
            };
            let made = examine(wanted, statement);
            // "none" has a signature here, and the challenge is another one.
            assert!(made.is_err(), "{format}: {auth_data:02x?}");
        }
    }
}
