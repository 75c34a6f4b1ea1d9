//! Enrolling security keys of this machine: by who sits at it, as they asked for it, or out of pam_u2f's file; and proving
//! oneself with one to mfactl.

use std::time::Duration;

use mfad::{
    management::Refusal,
    session::{
        Caller, Connection,
        whereabouts::{Session, Whereabouts},
    },
    store::SessionKey,
};
use mfad_protocol::{
    Context, EnrollmentOptions, State, Style,
    fido::{Failure, Progress, Request},
};

use crate::{
    desk::{Act, Desk, ORIGIN, PRESENT, VERIFIED},
    security_key::{ANY, Dialogue, OFFERED, at_console, bench_with, person, text},
    support::{ALICE, Bench, process, root, session, sudo},
};

fn owner() -> Caller {
    Caller {
        uid: ALICE.1,
        connection: Connection::Peer(9),
    }
}

async fn offer(bench: &Bench, options: EnrollmentOptions) -> String {
    let offer = bench.engine.offer_own(&owner(), "fido2", options, "").await;
    offer.unwrap().id
}

fn sits_here(bench: &Bench) {
    bench.sessions.say(Whereabouts::In(Session {
        key: SessionKey::of("1", 1, 1),
        id: "1".into(),
        uid: ALICE.1,
        seat: Some("seat0".into()),
        remote: false,
        host: None,
    }));
}

#[tokio::test]
async fn a_key_is_enrolled_by_who_sits_at_it() {
    let desk = Desk::new();
    let bench = Bench::with_policy(&[ANY, crate::ENROLL].concat()).reaching(desk.socket.clone());
    let turn = |id: String, answers: Vec<Vec<u8>>| {
        let bench = &bench;
        async move {
            let caller = owner();
            let turn =
                bench
                    .engine
                    .confirm_own_security_key(&caller, &id, answers, Some(process()));
            turn.await
        }
    };
    let id = offer(
        &bench,
        EnrollmentOptions {
            verify: Some(true),
            ..EnrollmentOptions::default()
        },
    )
    .await;
    bench.sessions.say(session("3", ALICE.1));
    assert!(
        matches!(turn(id.clone(), Vec::new()).await, Err(Refusal::Denied(_))),
        "from afar"
    );
    assert_eq!(desk.asked(), 0);
    sits_here(&bench);
    desk.then(&[Act::Fail(Failure::PinNeeded { tries: Some(8) })]);
    desk.then(&[
        Act::Tell(Progress::Touch),
        Act::Wait(Duration::from_millis(50)),
        Act::Sign(PRESENT | VERIFIED, 4),
    ]);
    let (step, _) = turn(id.clone(), Vec::new()).await.unwrap();
    assert_eq!(
        (step.state, step.messages[0].style),
        (State::Continue, Style::Secret)
    );
    let (step, _) = turn(id.clone(), vec![b"271828".to_vec()]).await.unwrap();
    assert_eq!(
        (step.state, text(&step)),
        (State::Wait, "Touch the key now.")
    );
    let (step, stored) = turn(id, Vec::new()).await.unwrap();
    assert_eq!(
        (step.state, stored[0].kind.as_str()),
        (State::Granted, "fido2")
    );
    assert_eq!(
        stored[0].detail.as_deref(),
        Some("ES256, with PIN or finger")
    );
    assert_eq!(person(&bench).await.credentials[0].moving, 4);
    let Request::Make(asked) = desk.last() else {
        panic!("another question");
    };
    assert!(
        asked.rp_id.starts_with("mfa:") && asked.rp_id.len() == 36,
        "{}",
        asked.rp_id
    );
    // It lets its owner in.
    desk.then(&[Act::Sign(PRESENT | VERIFIED, 5)]);
    let mut dialogue = Dialogue::begin(&bench, at_console()).await;
    assert_eq!(dialogue.answer("").await, State::Granted);
}

#[tokio::test]
async fn a_key_that_is_not_what_was_asked_for_is_not_stored() {
    let desk = Desk::new();
    let bench = Bench::with_policy(&[ANY, crate::ENROLL].concat()).reaching(desk.socket.clone());
    sits_here(&bench);
    let attested = EnrollmentOptions {
        attested: Some(true),
        ..EnrollmentOptions::default()
    };
    let verified = EnrollmentOptions {
        verify: Some(true),
        ..EnrollmentOptions::default()
    };
    for (options, act) in [
        (attested, Act::Sign(PRESENT, 1)),
        (verified, Act::Sign(PRESENT, 1)),
        (EnrollmentOptions::default(), Act::Sign(0, 1)),
        (EnrollmentOptions::default(), Act::Fail(Failure::Several)),
        (EnrollmentOptions::default(), Act::Fail(Failure::Timeout)),
    ] {
        let id = offer(&bench, options).await;
        desk.then(std::slice::from_ref(&act));
        let caller = owner();
        let turn = bench
            .engine
            .confirm_own_security_key(&caller, &id, Vec::new(), Some(process()));
        assert!(matches!(turn.await, Err(Refusal::Denied(_))), "{act:?}");
    }
    assert!(
        bench
            .engine
            .store
            .find_person("local", ALICE.0)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_credential_of_pam_u2f_is_taken_over_once() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    let options = |key: String| EnrollmentOptions {
        key: Some(key),
        rp_id: Some(ORIGIN.into()),
        ..EnrollmentOptions::default()
    };
    let administrator = root(0);
    let again = bench.engine.enroll_user(
        &administrator,
        ALICE.0,
        "fido2",
        options(desk.record("+presence")),
    );
    assert!(matches!(again.await, Err(Refusal::Exists(_))));
    let nonsense = bench.engine.enroll_user(
        &administrator,
        ALICE.0,
        "fido2",
        options("*,AA,es256,".into()),
    );
    assert!(matches!(nonsense.await, Err(Refusal::Invalid(_))));
}

#[tokio::test]
async fn mfactl_asks_it_too_where_its_user_sits() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    let context = || Context {
        service: "mfactl".into(),
        ..sudo(ALICE.0, ALICE.1)
    };
    let somebody_else_s = Whereabouts::In(Session {
        key: SessionKey::of("1", 1, 1),
        id: "1".into(),
        uid: 4711,
        seat: Some("seat0".into()),
        remote: false,
        host: None,
    });
    for elsewhere in [session("3", ALICE.1), somebody_else_s, Whereabouts::Unknown] {
        bench.sessions.say(elsewhere);
        let caller = owner();
        let begun = bench.engine.begin(&caller, context(), Some(process()));
        assert_eq!(text(&begun.await.1), "Verification code: ");
    }
    sits_here(&bench);
    let caller = owner();
    let (session, step) = bench
        .engine
        .begin(&caller, context(), Some(process()))
        .await;
    assert_eq!(text(&step), OFFERED);
    desk.then(&[Act::Sign(PRESENT, 1)]);
    let mut step = bench
        .engine
        .respond(&caller, &session, vec![Vec::new()])
        .await;
    while step.state == State::Wait {
        step = bench.engine.respond(&caller, &session, Vec::new()).await;
    }
    assert_eq!(step.state, State::Granted);
}
