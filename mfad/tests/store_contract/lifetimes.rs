//! What passes with time: pending credentials, logins, clocks set back, the audit trail.

use std::sync::Arc;

use mfad::{
    audit::Event,
    clock::Now,
    store::{AuditFilter, CredentialId, Kind, Login, NewCredential, Standing, Store, StoreError},
    throttle::Place,
};

use crate::rig::*;

use crate::people::{pending, try_add};

pub(crate) async fn an_offered_backup_set_replaces_the_old_one_when_activated(
    store: Arc<dyn Store>,
) {
    add(&*store, "alice", new(Kind::BackupCodes, 1)).await;
    let alice = add(&*store, "alice", pending(Kind::BackupCodes, 2)).await;
    assert_eq!(alice.credentials.len(), 2);
    store
        .activate(
            alice.id,
            CredentialId([2; 16]),
            0,
            at(5),
            record("alice", Event::Enrollment),
        )
        .await
        .unwrap();
    let alice = store.find_person("local", "alice").await.unwrap().unwrap();
    assert_eq!(
        alice
            .credentials
            .iter()
            .map(|set| set.id)
            .collect::<Vec<_>>(),
        [CredentialId([2; 16])]
    );
}

pub(crate) async fn pending_credentials_are_activated_or_expire(store: Arc<dyn Store>) {
    let alice = add(&*store, "alice", pending(Kind::Totp, 1)).await;
    assert_eq!(
        alice.credentials[0].standing,
        Standing::PendingUntil(START + 900)
    );
    let activate = |number: u8, seconds| {
        store.activate(
            alice.id,
            CredentialId([number; 16]),
            60,
            at(seconds),
            record("alice", Event::Enrollment),
        )
    };
    assert_eq!(activate(9, 1).await, Err(StoreError::NotFound));
    assert_eq!(activate(1, 900).await, Err(StoreError::NotFound), "expired");
    assert_eq!(activate(1, 899).await, Ok(()));
    assert_eq!(
        activate(1, 899).await,
        Err(StoreError::NotFound),
        "active already"
    );
    let found = store.find_person("local", "alice").await.unwrap().unwrap();
    assert_eq!(
        (found.credentials[0].standing, found.credentials[0].moving),
        (Standing::Active, 60)
    );
    assert!(
        !accepted(&judge(&*store, &alice, Place::Local, at(900), Says::step(60)).await),
        "the code that confirmed it"
    );
    add(&*store, "bob", pending(Kind::Totp, 1)).await;
    let late = store
        .add_credential(
            key("bob"),
            new(Kind::Hotp, 2),
            at(900),
            record("bob", Event::Enrollment),
        )
        .await
        .unwrap();
    assert_eq!(late.credentials.len(), 1, "the expired one is gone");
}

pub(crate) async fn too_many_pending_credentials_are_refused(store: Arc<dyn Store>) {
    let mut waiting = Vec::new();
    for number in 0..1024 {
        waiting.push(store.add_credential(
            key(&format!("user{number}")),
            pending(Kind::Totp, 1),
            at(0),
            record("x", Event::Enrollment),
        ));
        if waiting.len() == 256 {
            for answer in waiting.drain(..) {
                answer.await.unwrap();
            }
        }
    }
    assert_eq!(
        try_add(&*store, "one-more", pending(Kind::Totp, 1)).await,
        Err(StoreError::Full)
    );
    assert_eq!(
        store.find_person("local", "one-more").await.unwrap(),
        None,
        "nothing of a refused verb stays"
    );
    assert_eq!(try_add(&*store, "active", new(Kind::Totp, 1)).await, Ok(()));
    let later = store
        .add_credential(
            key("one-more"),
            pending(Kind::Totp, 1),
            at(900),
            record("x", Event::Enrollment),
        )
        .await;
    assert!(later.is_ok(), "the others have expired: {later:?}");
}

pub(crate) async fn a_login_is_noted(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    judge(&*store, &alice, Place::Local, at(1), Says::wrong()).await;
    assert_eq!(
        store
            .find_person("local", "alice")
            .await
            .unwrap()
            .unwrap()
            .failures_since,
        1
    );
    store
        .record_login(Login::proven(alice.id, from(1), at(60)))
        .await
        .unwrap();
    for _ in 0..3_000 {
        let found = store.find_person("local", "alice").await.unwrap().unwrap();
        if (found.last_login, found.failures_since) == (Some(START + 60), 0) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("not written within half a minute");
}

pub(crate) async fn unlock_with_clock_sets_future_steps_back(store: Arc<dyn Store>) {
    let alice = add(
        &*store,
        "alice",
        NewCredential {
            moving: 4,
            ..new(Kind::Hotp, 2)
        },
    )
    .await;
    enroll(&*store, "alice").await;
    let ahead = Now {
        wall: START + 365 * DAY,
        steady: START,
        boot: 0,
    };
    assert!(accepted(
        &judge(
            &*store,
            &alice,
            Place::Local,
            ahead,
            Says::step((START + 365 * DAY) / 30)
        )
        .await
    ));
    assert!(!accepted(
        &judge(
            &*store,
            &alice,
            Place::Local,
            at(60),
            Says::step((START + 60) / 30)
        )
        .await
    ));
    store
        .unlock(
            alice.id,
            true,
            at(90),
            record("alice", Event::Administration),
        )
        .await
        .unwrap();
    let found = store.find_person("local", "alice").await.unwrap().unwrap();
    let step = (START + 90) / 30;
    let steps: Vec<i64> = found
        .credentials
        .iter()
        .map(|credential| credential.moving)
        .collect();
    assert_eq!(steps[0], 4, "a counter is no clock");
    assert!(
        (step - 1..=step).contains(&steps[1]),
        "{} is not about {step}",
        steps[1]
    );
    assert!(accepted(
        &judge(
            &*store,
            &alice,
            Place::Local,
            at(120),
            Says::step((START + 120) / 30)
        )
        .await
    ));
    let before = store.find_person("local", "alice").await.unwrap().unwrap();
    store
        .unlock(
            alice.id,
            true,
            at(121),
            record("alice", Event::Administration),
        )
        .await
        .unwrap();
    assert_eq!(
        store
            .find_person("local", "alice")
            .await
            .unwrap()
            .unwrap()
            .credentials,
        before.credentials
    );
}

pub(crate) async fn the_audit_trail_is_filtered(store: Arc<dyn Store>) {
    for number in 0..10 {
        let user = if number % 2 == 0 { "alice" } else { "bob\n" };
        let record = mfad::audit::Record {
            time: START + number,
            ..record(user, Event::Authentication)
        };
        store.append_audit(record).await.unwrap();
    }
    let times = |filter: AuditFilter| {
        let store = Arc::clone(&store);
        async move {
            store
                .audit(filter)
                .await
                .unwrap()
                .into_iter()
                .map(|(_, time, _)| time - START)
                .collect::<Vec<_>>()
        }
    };
    let all = AuditFilter {
        limit: 100,
        ..Default::default()
    };
    assert_eq!(times(all.clone()).await, (0..10).collect::<Vec<_>>());
    assert_eq!(
        times(AuditFilter {
            user: Some("bob\n".into()),
            ..all.clone()
        })
        .await,
        [1, 3, 5, 7, 9]
    );
    assert_eq!(
        times(AuditFilter {
            since: Some(START + 7),
            ..all.clone()
        })
        .await,
        [7, 8, 9]
    );
    assert_eq!(
        times(AuditFilter {
            limit: 2,
            ..all.clone()
        })
        .await,
        [8, 9]
    );
    let after = store.audit(all.clone()).await.unwrap()[4].0;
    assert_eq!(
        times(AuditFilter {
            after: Some(after),
            user: Some("alice".into()),
            ..all
        })
        .await,
        [6, 8]
    );
}
