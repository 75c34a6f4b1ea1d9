//! What is accepted, how often, and what is written with it.

use std::sync::{Arc, atomic::Ordering};

use mfad::{
    audit::Event,
    store::{Attempt, Credential, CredentialId, Guess, Judgement, Kind, Match, Standing, Store},
    throttle::{Class, Place, Refusal},
};

use crate::rig::*;

/// Rounds of simultaneous answers; the full figure before a release is `MFAD_ROUNDS=1000`.
fn rounds() -> u32 {
    std::env::var("MFAD_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(50)
}

pub(crate) async fn a_right_code_is_accepted_once_and_recorded(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    let judgement = judge(&*store, &alice, Place::Local, at(5), Says::step(60_000_000)).await;
    assert_eq!(
        judgement,
        Judgement::Accepted {
            kind: Kind::Totp,
            name: "totp".into()
        }
    );
    let found = store.find_person("local", "alice").await.unwrap().unwrap();
    assert_eq!(
        (found.credentials[0].moving, found.credentials[0].last_used),
        (60_000_000, Some(START + 5))
    );
    assert_eq!(
        judge(&*store, &alice, Place::Local, at(6), Says::step(60_000_000)).await,
        Judgement::Wrong
    );
    assert_eq!(outcomes(&*store).await, ["asked", "granted", "replayed"]);
}

pub(crate) async fn a_step_at_or_below_the_last_is_a_replay(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    for (seconds, step, right) in [
        (0, 100, true),
        (60, 100, false),
        (7200, 99, false),
        (20_000, 101, true),
        (20_001, -1, false),
    ] {
        let judgement = judge(&*store, &alice, Place::Local, at(seconds), Says::step(step)).await;
        assert_eq!(accepted(&judgement), right, "step {step}: {judgement:?}");
    }
    let found = store.find_person("local", "alice").await.unwrap().unwrap();
    assert_eq!(found.credentials[0].moving, 101);
    assert_eq!(found.failures_since, 3);
}

fn backup(index: u16) -> Says {
    Says::of(Some(Match::Burn {
        credential: CredentialId([2; 16]),
        index,
    }))
}

fn with_backup_codes(person: &mfad::store::Person) -> Attempt {
    Attempt {
        class: Class::BackupCodes,
        ..attempt(Some(person.id), Place::Local, at(1))
    }
}

pub(crate) async fn a_backup_code_is_burnt_once(store: Arc<dyn Store>) {
    let alice = add(&*store, "alice", new(Kind::BackupCodes, 2)).await;
    let first = store
        .judge(with_backup_codes(&alice), Box::new(backup(3)))
        .await
        .unwrap();
    assert_eq!(
        first,
        Judgement::Accepted {
            kind: Kind::BackupCodes,
            name: "backup-codes".into()
        }
    );
    assert_eq!(
        store
            .judge(with_backup_codes(&alice), Box::new(backup(3)))
            .await
            .unwrap(),
        Judgement::Wrong
    );
    let found = store.find_person("local", "alice").await.unwrap().unwrap();
    let left: Vec<u16> = found.credentials[0]
        .codes
        .iter()
        .map(|(index, _)| *index)
        .collect();
    assert_eq!(left, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert_eq!(found.credentials[0].last_used, Some(START + 1));
}

async fn at_once(attempts: Vec<(Arc<dyn Store>, Attempt, Says)>) -> Vec<Judgement> {
    let tasks: Vec<_> = attempts
        .into_iter()
        .map(|(store, attempt, guess)| {
            tokio::spawn(async move { store.judge(attempt, Box::new(guess)).await.unwrap() })
        })
        .collect();
    let mut judgements = Vec::new();
    for task in tasks {
        judgements.push(task.await.unwrap());
    }
    judgements
}

pub(crate) async fn the_same_code_64_times_at_once_is_accepted_once(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    for round in 0..rounds() {
        // Hours apart, and forgiven in between, so that no delay does the work of the replay check.
        let now = at(i64::from(round) * 7200);
        let attempts = (0..64).map(|_| {
            (
                Arc::clone(&store),
                attempt(Some(alice.id), Place::Local, now),
                Says::step(i64::from(round)),
            )
        });
        let judgements = at_once(attempts.collect()).await;
        assert_eq!(
            judgements
                .iter()
                .filter(|judgement| accepted(judgement))
                .count(),
            1,
            "round {round}"
        );
        store
            .unlock(alice.id, false, now, record("alice", Event::Administration))
            .await
            .unwrap();
    }
    let n = rounds();
    println!(
        "{n} rounds of 64: exactly one accepted in each; bound on the rate of others at 95 %: {:.3} %",
        300.0 / f64::from(n)
    );
}

pub(crate) async fn the_same_backup_code_64_times_at_once_is_accepted_once(store: Arc<dyn Store>) {
    let alice = add(&*store, "alice", new(Kind::BackupCodes, 2)).await;
    for index in 0..10 {
        let attempts =
            (0..64).map(|_| (Arc::clone(&store), with_backup_codes(&alice), backup(index)));
        let judgements = at_once(attempts.collect()).await;
        assert_eq!(
            judgements
                .iter()
                .filter(|judgement| accepted(judgement))
                .count(),
            1,
            "code {index}"
        );
        store
            .unlock(
                alice.id,
                false,
                at(1),
                record("alice", Event::Administration),
            )
            .await
            .unwrap();
    }
}

pub(crate) async fn different_people_at_once_do_not_disturb_one_another(store: Arc<dyn Store>) {
    let mut attempts = Vec::new();
    for number in 0..64 {
        let person = enroll(&*store, &format!("user{number}")).await;
        // Every second one fails, and must not take a neighbour's transaction with it.
        let guess = if number % 2 == 0 {
            Says::step(7)
        } else {
            Says::wrong()
        };
        attempts.push((
            Arc::clone(&store),
            attempt(Some(person.id), Place::Local, at(1)),
            guess,
        ));
    }
    for (number, judgement) in at_once(attempts).await.iter().enumerate() {
        assert_eq!(
            accepted(judgement),
            number % 2 == 0,
            "{number}: {judgement:?}"
        );
        let person = store
            .find_person("local", &format!("user{number}"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            person.credentials[0].moving,
            if number % 2 == 0 { 7 } else { -1 }
        );
        assert_eq!(person.failures_since, u32::from(number % 2 == 1));
    }
}

pub(crate) async fn somebody_unknown_is_wrong_and_recorded(store: Arc<dyn Store>) {
    for seconds in 0..30 {
        let guess = Says::step(1);
        let place = if seconds % 2 == 0 {
            Place::Local
        } else {
            from(9)
        };
        let judgement = store
            .judge(attempt(None, place, at(seconds)), Box::new(guess.clone()))
            .await
            .unwrap();
        assert_eq!(
            judgement,
            Judgement::Wrong,
            "{seconds}: no budget of its own ever stops it"
        );
        assert_eq!(
            (
                guess.looked.load(Ordering::Relaxed),
                guess.decoys.load(Ordering::Relaxed)
            ),
            (0, 1)
        );
        if seconds == 20 {
            break;
        }
    }
    assert!(
        outcomes(&*store)
            .await
            .iter()
            .all(|outcome| outcome == "wrong")
    );
    assert!(store.list_people("", "", 10).await.unwrap().is_empty());
    assert!(store.find_person("", "").await.unwrap().is_none());
}

pub(crate) async fn somebody_reset_meanwhile_is_wrong(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    store
        .reset_person(alice.id, record("alice", Event::Administration))
        .await
        .unwrap();
    assert_eq!(
        judge(&*store, &alice, Place::Local, at(1), Says::step(9)).await,
        Judgement::Wrong
    );
    let again = enroll(&*store, "alice").await;
    assert_ne!(
        again.id, alice.id,
        "a session that still holds the old row must not reach the new person"
    );
}

pub(crate) async fn pending_credentials_and_other_classes_are_not_shown_to_a_guess(
    store: Arc<dyn Store>,
) {
    let pending = mfad::store::NewCredential {
        standing: Standing::PendingUntil(START + 900),
        ..new(Kind::Totp, 1)
    };
    add(&*store, "alice", pending).await;
    let alice = add(&*store, "alice", new(Kind::BackupCodes, 2)).await;
    let guess = Says::step(5);
    assert_eq!(
        judge(&*store, &alice, Place::Local, at(1), guess.clone()).await,
        Judgement::Wrong
    );
    assert_eq!(
        (
            guess.looked.load(Ordering::Relaxed),
            guess.decoys.load(Ordering::Relaxed)
        ),
        (0, 1)
    );
}

pub(crate) async fn a_match_that_was_not_shown_is_wrong(store: Arc<dyn Store>) {
    let pending = mfad::store::NewCredential {
        standing: Standing::PendingUntil(START + 900),
        ..new(Kind::Totp, 3)
    };
    add(&*store, "alice", pending).await;
    let alice = enroll(&*store, "alice").await;
    for matched in [
        Match::Advance {
            credential: CredentialId([9; 16]),
            to: 5,
        },
        Match::Advance {
            credential: CredentialId([3; 16]),
            to: 5,
        },
        Match::Burn {
            credential: CredentialId([1; 16]),
            index: 0,
        },
    ] {
        let judgement = judge(
            &*store,
            &alice,
            Place::SelfService,
            at(100_000),
            Says::of(Some(matched)),
        )
        .await;
        assert_eq!(judgement, Judgement::Wrong, "{matched:?}");
        store
            .unlock(
                alice.id,
                false,
                at(1),
                record("alice", Event::Administration),
            )
            .await
            .unwrap();
    }
    let found = store.find_person("local", "alice").await.unwrap().unwrap();
    assert!(
        found
            .credentials
            .iter()
            .all(|credential| credential.moving == -1 && credential.last_used.is_none())
    );
}

pub(crate) async fn a_guess_that_panics_lets_nobody_in_and_breaks_nothing(store: Arc<dyn Store>) {
    struct Panics;
    impl Guess for Panics {
        fn examine(&mut self, _credentials: &[Credential]) -> Option<Match> {
            panic!("as this test wants");
        }
        fn cost(&self, _credentials: &[Credential]) -> u32 {
            1
        }
    }
    let alice = enroll(&*store, "alice").await;
    let both = [
        store.judge(
            attempt(Some(alice.id), Place::Local, at(1)),
            Box::new(Panics),
        ),
        store.judge(
            attempt(Some(alice.id), Place::Local, at(1)),
            Box::new(Says::step(4)),
        ),
    ];
    let mut answers = Vec::new();
    for answer in both {
        answers.push(answer.await);
    }
    assert!(answers[0].is_err());
    assert!(accepted(answers[1].as_ref().unwrap()));
}

pub(crate) async fn refused_attempts_are_recorded_once_a_minute(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    for _ in 0..3 {
        judge(&*store, &alice, Place::Local, at(0), Says::wrong()).await;
    }
    for second in 0..20 {
        let refused = judge(&*store, &alice, Place::Local, at(second), Says::wrong()).await;
        assert_eq!(
            refused,
            Judgement::NotEvaluated(Refusal::Delayed(START + 30))
        );
    }
    assert_eq!(
        outcomes(&*store).await,
        ["asked", "wrong", "wrong", "wrong", "delayed"]
    );
    // Three failures after half a minute, then refused in the next minute: one more record, which tells of the others.
    judge(&*store, &alice, Place::Local, at(30), Says::wrong()).await;
    judge(&*store, &alice, Place::Local, at(61), Says::wrong()).await;
    let filter = mfad::store::AuditFilter {
        limit: 1,
        ..Default::default()
    };
    let last = store.audit(filter).await.unwrap();
    assert!(last[0].2.contains("19 more were refused"), "{}", last[0].2);
}
