//! Keys that lie, and a daemon that talks nonsense: nothing is accepted, nothing hangs beyond its deadline, and other keys
//! are not the worse for it.

use std::time::Duration;

use fido_shim::{Asking, Desk};
use mfad_protocol::fido::{Failure, Outcome, Progress, Request};

use crate::support::{Challenge, Making, PLAIN, Terms, ask, enroll, failure, helper, sign};

const FAULTS: [&str; 10] = [
    "error-0",
    "silence",
    "endless-keepalive",
    "foreign-channel",
    "wrong-sequence",
    "oversize",
    "short-auth-data",
    "no-touch-flag",
    "wrong-rp",
    "wrong-signature",
];

const SHORT: Terms<'static> = Terms {
    timeout_ms: 1_500,
    ..PLAIN
};

#[test]
fn a_lie_is_never_accepted_and_ends_in_time() {
    let mut answers = Vec::new();
    for fault in FAULTS {
        let desk = Desk::new();
        let key = desk.key("evil");
        let made = enroll(&desk, PLAIN).registered;
        key.order(&format!("fault={fault}"));
        let challenge = Challenge::new(&[&made], SHORT);
        let answer = ask(&desk, &challenge.request);
        let limit = Duration::from_millis(u64::from(SHORT.timeout_ms) + 3_000);
        assert!(answer.took < limit, "{fault}: {answer:?}");
        assert!(answer.status.success(), "{fault}: {answer:?}");
        let judged = challenge.judge(&answer);
        // Whoever has the wires has the key: in an order that is not checked, the key's own signature may arrive whole, and
        // is then as good as any.
        let harmless = fault == "wrong-sequence";
        assert!(
            harmless || !matches!(judged, Some((_, Ok(_)))),
            "{fault}: {answer:?}"
        );
        // What is said to others is not listened to.
        let silent = ["silence", "endless-keepalive", "foreign-channel"].contains(&fault);
        let broken = ["error-0", "oversize", "short-auth-data"].contains(&fault);
        let wanted = match () {
            () if silent => Some(Failure::Timeout),
            () if broken => Some(Failure::Broken),
            () => None,
        };
        assert!(failure(&answer) == wanted, "{fault}: {answer:?}");
        answers.push(format!(
            "{fault}: {}",
            match (&judged, failure(&answer)) {
                (Some((_, judged)), _) => format!("{judged:?}"),
                (None, failure) => format!("{failure:?}"),
            }
        ));
    }
    println!("{}", answers.join("\n"));
}

#[test]
fn a_lie_at_an_enrollment_is_never_accepted() {
    for fault in FAULTS {
        let desk = Desk::new();
        let key = desk.key("evil");
        key.order(&format!("fault={fault}"));
        let making = Making::new(SHORT, &[]);
        let answer = ask(&desk, &making.request);
        assert!(
            answer.status.success() && answer.took < Duration::from_secs(3),
            "{fault}: {answer:?}"
        );
        let harmless = ["foreign-channel", "wrong-sequence"].contains(&fault);
        if let Some(Outcome::Made(made)) = &answer.outcome {
            assert!(
                harmless || making.examine(made).is_err(),
                "{fault}: {made:?}"
            );
        }
    }
}

#[test]
fn a_hostile_key_keeps_nobody_from_their_own() {
    for fault in FAULTS {
        let desk = Desk::new();
        let good = desk.key("good");
        let made = enroll(&desk, PLAIN).registered;
        good.order("up=delay:1");
        let evil = desk.key("evil");
        evil.order(&format!("fault={fault}"));
        sign(&desk, &[&made], PLAIN);
    }
}

/// A hundred logins with a key whose packets arrive changed; 10,000 with `MFA_PROVE=1`.
#[test]
fn changed_packets_make_no_signature_and_no_crash_of_the_daemon() {
    let rounds: u32 = if std::env::var_os("MFA_PROVE").is_some() {
        10_000
    } else {
        100
    };
    let desk = Desk::new();
    let key = desk.key("noisy");
    let made = enroll(&desk, PLAIN).registered;
    let brief = Terms {
        timeout_ms: 250,
        ..PLAIN
    };
    let (mut signed, mut broken) = (0, 0);
    for seed in 1..=rounds {
        key.disturb(Some(seed.into()));
        let challenge = Challenge::new(&[&made], brief);
        let answer = ask(&desk, &challenge.request);
        key.disturb(None);
        key.order("unplug");
        key.order("plug");
        assert!(
            answer.took < Duration::from_secs(3),
            "seed {seed}: {answer:?}"
        );
        match challenge.judge(&answer) {
            // The change may have missed what is signed.
            Some((_, Ok(_))) => signed += 1,
            Some((_, Err(_))) | None => broken += 1,
        }
    }
    println!(
        "{rounds} logins over changed packets: {broken} without a good signature, {signed} whose signature came through whole"
    );
    assert!(broken > rounds / 2);
    sign(&desk, &[&made], PLAIN);
}

#[test]
fn nonsense_from_the_daemon_ends_the_helper() {
    let desk = Desk::new();
    for text in [
        &b""[..],
        b"{",
        b"\"list\" ",
        b"\"lists\"",
        b"{\"assert\":{}}",
        b"\xff\xfe",
        &b"[".repeat(60_000),
    ] {
        let asking = Asking::start(helper(), &desk);
        asking.write(text);
        let answer = asking.answer();
        let list = text.starts_with(b"\"list\"");
        assert_eq!(answer.outcome.is_some(), list, "{answer:?}");
        assert_eq!(answer.status.success(), list, "{answer:?}");
        assert!(answer.took < Duration::from_secs(2));
    }
    let asking = Asking::start(helper(), &desk);
    let (status, took) = asking.hang_up();
    assert!(!status.success() && took < Duration::from_secs(5));
}

#[test]
fn what_makes_no_sense_is_refused_before_a_key_is_asked() {
    let desk = Desk::new();
    let key = desk.key("blue");
    let made = enroll(&desk, PLAIN).registered;
    key.order("up=wait");
    let mut too_many = Challenge::new(&[&made], PLAIN).request;
    if let Request::Assert(assert) = &mut too_many {
        assert.wanted = vec![assert.wanted[0].clone(); 33];
    }
    let mut none = Challenge::new(&[&made], PLAIN).request;
    if let Request::Assert(assert) = &mut none {
        assert.wanted.clear();
    }
    let mut long = Making::new(PLAIN, &[]).request;
    if let Request::Make(make) = &mut long {
        make.user_id.0 = vec![0; 65];
    }
    for request in [too_many, none, long] {
        let answer = ask(&desk, &request);
        assert_eq!(failure(&answer), Some(Failure::Refused));
        assert_eq!(answer.progress, Vec::<Progress>::new());
    }
    assert!(!key.blinks());
}
