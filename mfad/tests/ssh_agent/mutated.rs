//! Answers of an agent, changed: none may be taken for a signature, and none may bring the daemon down.

use mfad::ssh::{
    agent::{listed, signature},
    key::PublicKey,
};

use crate::{
    purpose,
    signer::{SoftKey, TOUCHED, list, signed},
};

/// How many; `make prove` makes twenty times as many.
fn rounds() -> u64 {
    if std::env::var_os("MFA_PROVE").is_some() {
        200_000
    } else {
        10_000
    }
}

/// `SplitMix64`: the same numbers from the same seed, everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let mixed = mixed ^ (mixed >> 31);
        usize::try_from(mixed % sides.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }

    /// Changes a message in one to four places.
    fn change(&mut self, message: &mut Vec<u8>, others: &[Vec<u8>]) {
        for _ in 0..=self.roll(4) {
            let at = self.roll(message.len());
            match self.roll(8) {
                0 if !message.is_empty() => message[at] ^= 1 << self.roll(8),
                1 if !message.is_empty() => message[at] = self.byte(),
                2 => message.truncate(at),
                3 => message.insert(at.min(message.len()), self.byte()),
                4 if !message.is_empty() => drop(message.remove(at)),
                // A length field, made great or small.
                5 if message.len() >= 8 => {
                    let at = at.min(message.len() - 4);
                    let number = [0, 1, u32::MAX, 0x7FFF_FFFF, 0x0001_0000][self.roll(5)];
                    message[at..at + 4].copy_from_slice(&number.to_be_bytes());
                }
                // The end of an answer to another question.
                6 => {
                    let other = &others[self.roll(others.len())];
                    let cut = self.roll(other.len().min(message.len()));
                    message.truncate(cut);
                    message.extend_from_slice(&other[cut..]);
                }
                _ => {
                    let copy = message[at.min(message.len())..].to_vec();
                    message.extend_from_slice(&copy);
                }
            }
        }
    }
}

#[test]
fn no_changed_answer_is_accepted() {
    let mut dice = Dice(0x5EED);
    let message = purpose().envelope();
    let soft = [SoftKey::sk(1), SoftKey::sk_ecdsa(), SoftKey::plain(3)];
    let keys: Vec<PublicKey> = soft
        .iter()
        .map(|key| PublicKey::read(&key.blob()).unwrap())
        .collect();
    let mut others: Vec<Vec<u8>> = soft
        .iter()
        .map(|key| signed(&key.sign(b"something else", TOUCHED, 5)))
        .collect();
    others.push(list(&soft.iter().collect::<Vec<_>>()));
    let (mut tried, mut unchanged) = (0_u64, 0_u64);
    while tried < rounds() {
        let which = dice.roll(soft.len());
        let right = signed(&soft[which].sign(&message, TOUCHED, 9));
        let mut changed = right.clone();
        dice.change(&mut changed, &others);
        if changed == right {
            unchanged += 1;
            continue;
        }
        tried += 1;
        let verified = signature(&changed).and_then(|found| keys[which].verify(&message, &found));
        assert_eq!(verified, None, "key {which}, answer {changed:02x?}");
        drop(listed(&changed));
    }
    let bound = 3.0 / f64::from(u32::try_from(tried).unwrap());
    println!(
        "{tried} changed answers, none accepted: below {bound:.1e} of such (95 %); {unchanged} came out unchanged"
    );
}

#[test]
fn no_changed_list_or_key_brings_the_reader_down() {
    let mut dice = Dice(0x0115_7ED5);
    let soft = [SoftKey::sk(1), SoftKey::sk_ecdsa(), SoftKey::plain(3)];
    let right = list(&soft.iter().collect::<Vec<_>>());
    let others = [signed(&soft[0].sign(b"", TOUCHED, 1))];
    let mut read = 0_u64;
    for _ in 0..rounds() {
        let mut changed = right.clone();
        dice.change(&mut changed, &others);
        let held = listed(&changed).unwrap_or_default();
        assert!(held.len() <= 64);
        for blob in held {
            read += u64::from(PublicKey::read(&blob).is_ok());
        }
    }
    println!(
        "{} changed lists read; {read} keys in them were keys",
        rounds()
    );
}
