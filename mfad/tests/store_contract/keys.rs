//! Keys that sign: their counters never go back, and their failures keep nobody out.

use std::sync::Arc;

use mfad::{
    audit::Event,
    store::{
        Attempt, AuditFilter, CredentialId, Guess, Judgement, Kind, Match, NewCredential, Person,
        Store,
    },
    throttle::{Class, Place},
};

use crate::rig::*;

const KEY: CredentialId = CredentialId([7; 16]);

async fn with_key(store: &dyn Store, kind: Kind, moving: i64) -> Person {
    let key = NewCredential {
        moving,
        ..new(kind, 7)
    };
    add(store, "alice", key).await
}

fn signed(person: &Person, place: Place, seconds: i64) -> Attempt {
    Attempt {
        class: Class::Key,
        ..attempt(Some(person.id), place, at(seconds))
    }
}

fn counting(to: i64) -> Says {
    Says::of(Some(Match::Counter {
        credential: KEY,
        to,
    }))
}

async fn moving(store: &dyn Store) -> i64 {
    let alice = store.find_person("local", "alice").await.unwrap().unwrap();
    alice.credentials[0].moving
}

pub(crate) async fn a_signature_counter_never_goes_back(store: Arc<dyn Store>) {
    let alice = with_key(&*store, Kind::Fido2, 0).await;
    let cloned = || Judgement::Cloned {
        kind: Kind::Fido2,
        name: "fido2".into(),
    };
    for (to, right, left) in [
        (0, true, 0),
        (0, true, 0),
        (3, true, 3),
        (3, false, 3),
        (2, false, 3),
        (0, false, 3),
        (i64::from(u32::MAX), true, i64::from(u32::MAX)),
        (4, false, i64::from(u32::MAX)),
    ] {
        let judged = store
            .judge(signed(&alice, Place::Local, to), Box::new(counting(to)))
            .await
            .unwrap();
        if right {
            assert!(accepted(&judged), "{to}: {judged:?}");
        } else {
            assert_eq!(judged, cloned(), "{to}");
        }
        assert_eq!(moving(&*store).await, left, "after {to}");
    }
    let found = store.find_person("local", "alice").await.unwrap().unwrap();
    assert_eq!(found.failures_since, 4, "each is a failure");
}

pub(crate) async fn a_clone_is_an_alarm_in_the_trail(store: Arc<dyn Store>) {
    let alice = with_key(&*store, Kind::SshSk, 9).await;
    store
        .judge(signed(&alice, Place::Local, 1), Box::new(counting(9)))
        .await
        .unwrap();
    let filter = AuditFilter {
        limit: 10,
        ..AuditFilter::default()
    };
    let records = store.audit(filter).await.unwrap();
    let last: serde_json::Value = serde_json::from_str(&records.last().unwrap().2).unwrap();
    let alarm = serde_json::to_value(Event::Alarm).unwrap();
    assert_eq!(last["event"], alarm);
    assert_eq!(last["outcome"], "cloned");
    assert_eq!(last["factor"], "ssh-sk ssh-sk");
}

pub(crate) async fn of_equal_signatures_at_once_one_is_accepted(store: Arc<dyn Store>) {
    let alice = with_key(&*store, Kind::Fido2, 0).await;
    for round in 1..=20 {
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (store, attempt) = (Arc::clone(&store), signed(&alice, Place::Local, round));
                tokio::spawn(async move {
                    let guess: Box<dyn Guess> = Box::new(counting(round));
                    store.judge(attempt, guess).await.unwrap()
                })
            })
            .collect();
        let mut right = 0;
        for task in tasks {
            right += u32::from(accepted(&task.await.unwrap()));
        }
        assert_eq!(right, 1, "round {round}");
        assert_eq!(moving(&*store).await, round);
    }
}

pub(crate) async fn a_key_that_is_vouched_for_moves_nothing(store: Arc<dyn Store>) {
    let alice = with_key(&*store, Kind::SshSk, 5).await;
    let vouched = || Says::of(Some(Match::Vouched { credential: KEY }));
    let judged = store
        .judge(signed(&alice, Place::Local, 3), Box::new(vouched()))
        .await
        .unwrap();
    assert!(accepted(&judged), "{judged:?}");
    let found = store.find_person("local", "alice").await.unwrap().unwrap();
    let key = &found.credentials[0];
    assert_eq!((key.moving, key.last_used), (5, Some(START + 3)));
}

pub(crate) async fn what_matches_must_fit_the_kind(store: Arc<dyn Store>) {
    let alice = with_key(&*store, Kind::SshSk, 5).await;
    let steps = Says::of(Some(Match::Advance {
        credential: KEY,
        to: 6,
    }));
    let judged = store.judge(signed(&alice, Place::Local, 1), Box::new(steps));
    assert_eq!(judged.await.unwrap(), Judgement::Wrong);
    let bob = enroll(&*store, "bob").await;
    for matched in [
        Match::Counter {
            credential: CredentialId([1; 16]),
            to: 6,
        },
        Match::Vouched {
            credential: CredentialId([1; 16]),
        },
    ] {
        for class in [Class::Otp, Class::Key] {
            let attempt = Attempt {
                class,
                ..attempt(Some(bob.id), Place::Local, at(2))
            };
            let judged = store.judge(attempt, Box::new(Says::of(Some(matched))));
            assert_eq!(judged.await.unwrap(), Judgement::Wrong, "{matched:?}");
        }
    }
}

pub(crate) async fn failed_signatures_delay_nobody_and_are_counted(store: Arc<dyn Store>) {
    let alice = with_key(&*store, Kind::Fido2, 0).await;
    add(&*store, "alice", new(Kind::Totp, 1)).await;
    let far = from(9);
    for _ in 0..300 {
        let judged = store
            .judge(signed(&alice, far, 1), Box::new(Says::wrong()))
            .await;
        assert_eq!(judged.unwrap(), Judgement::Wrong);
    }
    let key = store.judge(signed(&alice, far, 1), Box::new(counting(1)));
    assert!(accepted(&key.await.unwrap()), "the key still opens");
    let code = judge(&*store, &alice, far, at(1), Says::step(60_000_000)).await;
    assert!(accepted(&code), "and so does a code: {code:?}");
    let recalled = store.recall(alice.id, far, at(1)).await.unwrap();
    assert_eq!(recalled.failures.user, 300, "risk hears of them");
    assert_eq!(recalled.failures.everywhere, 0, "but not others' risk");
}

pub(crate) async fn exhausted_codes_leave_the_key(store: Arc<dyn Store>) {
    let alice = with_key(&*store, Kind::Fido2, 0).await;
    add(&*store, "alice", new(Kind::Totp, 1)).await;
    let far = from(9);
    for _ in 0..30 {
        judge(&*store, &alice, far, at(1), Says::wrong()).await;
    }
    let code = judge(&*store, &alice, far, at(1), Says::step(60_000_000)).await;
    assert!(matches!(code, Judgement::NotEvaluated(_)), "{code:?}");
    let key = store.judge(signed(&alice, far, 1), Box::new(counting(1)));
    assert!(accepted(&key.await.unwrap()));
}
