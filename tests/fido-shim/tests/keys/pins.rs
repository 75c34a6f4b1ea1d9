//! Two keys with a PIN each: neither is ever given the other's, which would cost it a try.

use fido_shim::{Desk, Key};
use mfad_protocol::fido::{Declined, Failure, Outcome};

use crate::support::{Challenge, PLAIN, Terms, ask, enroll, failure, sign};

const OF_BLUE: &str = "271828";
const OF_RED: &str = "314159";
const VERIFIED: Terms<'static> = Terms {
    verify: true,
    ..PLAIN
};

const fn with(pin: &'static str) -> Terms<'static> {
    Terms {
        pin: Some(pin),
        ..VERIFIED
    }
}

fn has_tries(key: &Key, tries: u8) {
    let status = key.order("status");
    assert!(
        status.contains(&format!("pin-retries={tries} ")),
        "{status}"
    );
}

#[test]
fn of_two_keys_each_is_given_its_own_pin_and_no_other() {
    let desk = Desk::new();
    let blue = desk.key("blue");
    blue.order(&format!("pin={OF_BLUE}"));
    let of_blue = enroll(&desk, with(OF_BLUE)).registered;
    blue.order("unplug");
    let red = desk.key("red");
    red.order(&format!("pin={OF_RED}"));
    let of_red = enroll(&desk, with(OF_RED)).registered;
    blue.order("plug");
    let both = [&of_blue, &of_red];
    let keys = [(&blue, OF_BLUE), (&red, OF_RED)];
    for out in [None, Some(0), Some(1)] {
        if let Some(out) = out {
            keys[out].0.order("unplug");
        }
        let answer = ask(&desk, &Challenge::new(&both, VERIFIED).request);
        let needed = Failure::PinNeeded { tries: Some(8) };
        let Some(Outcome::Declined(Declined { wanted, failure })) = answer.outcome else {
            panic!("no key by name: {answer:?}");
        };
        let place = usize::try_from(wanted).expect("a place");
        assert!(failure == needed && Some(place) != out, "{answer:?}");
        // Whichever is plugged in beside it.
        sign(&desk, &[both[place]], with(keys[place].1));
        if let Some(out) = out {
            keys[out].0.order("plug");
        }
        has_tries(&blue, 8);
        has_tries(&red, 8);
    }
    let wrong = ask(&desk, &Challenge::new(&[&of_blue], with(OF_RED)).request);
    assert_eq!(failure(&wrong), Some(Failure::PinWrong { tries: Some(7) }));
    has_tries(&blue, 7);
    has_tries(&red, 8);
}

#[test]
fn a_pin_for_one_of_two_is_given_to_neither() {
    let desk = Desk::new();
    let blue = desk.key("blue");
    blue.order(&format!("pin={OF_BLUE}"));
    let of_blue = enroll(&desk, with(OF_BLUE)).registered;
    let answer = ask(
        &desk,
        &Challenge::new(&[&of_blue, &of_blue], with(OF_RED)).request,
    );
    assert_eq!(failure(&answer), Some(Failure::Refused));
    has_tries(&blue, 8);
}
