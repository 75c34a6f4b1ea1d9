//! Another key takes over: every record moves, whenever it is interrupted, and nobody is locked out at any time.

use std::{future::Future, pin::pin, task::Poll};

use mfad::{
    engine::Engine,
    rotation::{Pass, pass},
    store::{PersonKey, Standing, seal::key_of},
};
use mfad_protocol::{EnrollmentOptions, State};

use crate::REQUIRED;
use crate::support::{ALICE, BOB, Bench, Phone, START, root, ssh};

const FIRST: &str = "mfad-key 1 1111111111111111111111111111111111111111111111111111111111111111\n";
const SECOND: &str =
    "mfad-key 2 2222222222222222222222222222222222222222222222222222222222222222\n";

async fn codes(bench: &Bench, user: &str) -> Vec<String> {
    let (by, options) = (root(0), EnrollmentOptions::default());
    let offer = bench.engine.enroll_user(&by, user, "backup-codes", options);
    offer.await.unwrap().codes.unwrap()
}

/// People without an account, one TOTP each.
async fn crowd(engine: &Engine, count: u32) {
    let maker = mfad::enrollment::Maker {
        keyring: &engine.keyring,
        settings: &engine.loaded().settings,
    };
    for number in 0..count {
        let key = PersonKey {
            realm: "local".into(),
            name: format!("crowd{number}"),
            uid: 5000 + number,
        };
        let kind = mfad::store::Kind::Totp;
        let generator = maker
            .generator(kind, &EnrollmentOptions::default())
            .unwrap();
        let new = maker.otp(&key, kind, &generator, None, Standing::Active, -1);
        let record = mfad::audit::Record::new(START, mfad::audit::Event::Enrollment, "added");
        let added = engine
            .store
            .add_credential(key, new.unwrap(), engine.now(), record);
        added.await.unwrap();
    }
}

/// How many records there are by the number of their key.
async fn sealed_with(engine: &Engine, number: u8) -> usize {
    let people = engine.store.people_after(mfad::store::PersonId(0), 1000);
    let people = people.await.unwrap();
    let all = people.iter().flat_map(|person| &person.credentials);
    all.filter(|credential| key_of(&credential.sealed) == Some(number))
        .count()
}

async fn lets_in(bench: &Bench, user: &str, answer: &str) -> bool {
    bench.login(ssh(user), answer).await.state == State::Granted
}

async fn lets_in_by_phone(bench: &Bench, user: &str, phone: &Phone) -> bool {
    bench.clock.advance(30);
    let code = phone.code(bench.engine.now().wall);
    lets_in(bench, user, &code).await
}

#[tokio::test]
async fn every_record_moves_to_a_new_key_and_the_old_one_can_go() {
    let both = format!("{FIRST}{SECOND}");
    let bench = Bench::with_policy(REQUIRED).restarted_with(REQUIRED, FIRST);
    let phone = bench.enroll(ALICE.0).await;
    let codes = codes(&bench, ALICE.0).await;
    assert!(lets_in_by_phone(&bench, ALICE.0, &phone).await);

    // Before a record moves, its own key opens it; a new one is sealed with the new key.
    let bench = bench.restarted_with(REQUIRED, &both);
    assert!(lets_in_by_phone(&bench, ALICE.0, &phone).await);
    assert!(lets_in(&bench, ALICE.0, &codes[0]).await);
    let bobs = bench.enroll(BOB.0).await;
    assert_eq!(sealed_with(&bench.engine, 1).await, 2);
    let moved = pass(&bench.engine).await.unwrap();
    assert_eq!(moved, Pass { moved: 2, stuck: 0 });
    assert_eq!(sealed_with(&bench.engine, 2).await, 3);
    let again = pass(&bench.engine).await.unwrap();
    assert_eq!(again, Pass::default(), "it is known to be done");

    // What was spent stays spent, and what was left serves, with either file.
    let used = phone.code(bench.engine.now().wall);
    assert!(!lets_in(&bench, ALICE.0, &used).await);
    assert!(lets_in_by_phone(&bench, ALICE.0, &phone).await);
    let bench = bench.restarted_with(REQUIRED, SECOND);
    assert!(lets_in_by_phone(&bench, ALICE.0, &phone).await);
    assert!(!lets_in(&bench, ALICE.0, &codes[0]).await);
    assert!(lets_in(&bench, ALICE.0, &codes[1]).await);
    assert!(lets_in_by_phone(&bench, BOB.0, &bobs).await);
}

#[tokio::test]
async fn a_pass_that_is_cut_off_locks_nobody_out_and_the_next_one_goes_on() {
    let both = format!("{FIRST}{SECOND}");
    let bench = Bench::with_policy(REQUIRED).restarted_with(REQUIRED, FIRST);
    let phone = bench.enroll(ALICE.0).await;
    crowd(&bench.engine, 150).await;
    let mut bench = bench.restarted_with(REQUIRED, &both);
    let mut rest = 151;
    while rest > 100 {
        {
            // As far as it comes before the daemon is killed.
            let mut passing = pin!(pass(&bench.engine));
            for _ in 0..20 {
                let ended = std::future::poll_fn(|context| {
                    Poll::Ready(passing.as_mut().poll(context).is_ready())
                });
                assert!(!ended.await);
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
        bench = bench.restarted_with(REQUIRED, &both);
        let left = sealed_with(&bench.engine, 1).await;
        assert!(left < rest, "{left} of {rest}");
        assert_eq!(left + sealed_with(&bench.engine, 2).await, 151);
        rest = left;
        assert!(lets_in_by_phone(&bench, ALICE.0, &phone).await);
    }
    let moved = pass(&bench.engine).await.unwrap();
    assert_eq!(moved.moved, u64::try_from(rest).unwrap());
    let bench = bench.restarted_with(REQUIRED, SECOND);
    assert!(lets_in_by_phone(&bench, ALICE.0, &phone).await);
}

#[tokio::test]
async fn a_record_whose_key_is_missing_stays_as_it_is_and_the_next_pass_looks_again() {
    let bench = Bench::with_policy(REQUIRED).restarted_with(REQUIRED, FIRST);
    let phone = bench.enroll(ALICE.0).await;
    let bench = bench.restarted_with(REQUIRED, SECOND);
    let stuck = pass(&bench.engine).await.unwrap();
    assert_eq!(stuck, Pass { moved: 0, stuck: 1 });
    assert!(!lets_in_by_phone(&bench, ALICE.0, &phone).await);
    let bench = bench.restarted_with(REQUIRED, &format!("{FIRST}{SECOND}"));
    assert!(lets_in_by_phone(&bench, ALICE.0, &phone).await);
    let moved = pass(&bench.engine).await.unwrap();
    assert_eq!(moved, Pass { moved: 1, stuck: 0 });
}
