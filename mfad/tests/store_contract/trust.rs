//! Remembered devices, and what was proven in login sessions.

use std::sync::Arc;

use mfad::{
    audit::Event,
    clock::Now,
    store::{
        BindKind, Binding, CredentialId, Kind, Lesson, Login, NewDevice, Person, PersonId,
        SessionKey, Store, StoreError,
    },
    throttle::Place,
};

use crate::rig::*;

const HOUR: i64 = 3_600;

fn binding(key: &str) -> Binding {
    Binding::of([
        (BindKind::SshKey, key.to_owned()),
        (BindKind::Service, "sshd".to_owned()),
    ])
    .unwrap()
}

async fn remember(store: &dyn Store, person: &Person, key: &str, now: Now) {
    let device = NewDevice {
        binding: binding(key),
        lifetime: 12 * HOUR,
    };
    store
        .remember_device(person.id, device, now, record("alice", Event::Enrollment))
        .await
        .unwrap();
}

async fn is_known(store: &dyn Store, person: &Person, key: &str, now: Now) -> bool {
    let asked = vec![binding("another").id(), binding(key).id()];
    let found = store.find_devices(person.id, asked, now).await.unwrap();
    assert!(found.iter().all(|device| device.id == binding(key).id()));
    !found.is_empty()
}

pub(crate) async fn a_remembered_device_is_found_until_it_expires(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    assert!(!is_known(&*store, &alice, "k", at(0)).await);
    remember(&*store, &alice, "k", at(0)).await;
    assert!(is_known(&*store, &alice, "k", at(0)).await);
    assert!(is_known(&*store, &alice, "k", at(12 * HOUR - 1)).await);
    assert!(!is_known(&*store, &alice, "k", at(12 * HOUR)).await);
    let list = store.list_devices(alice.id, at(1)).await.unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].label, "ssh-key k, service sshd");
    assert_eq!(
        (list[0].created, list[0].expires, list[0].last_used),
        (START, START + 12 * HOUR, None)
    );
    assert_eq!(
        store.list_devices(alice.id, at(12 * HOUR)).await,
        Ok(vec![])
    );
    assert_eq!(outcomes(&*store).await.len(), 2, "enrolled and remembered");
}

pub(crate) async fn a_device_is_not_found_before_it_was_remembered(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    remember(&*store, &alice, "k", at(100)).await;
    assert!(
        !is_known(&*store, &alice, "k", at(99)).await,
        "a clock set back lengthens nothing"
    );
}

pub(crate) async fn devices_of_others_are_not_found(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    let bob = enroll(&*store, "bob").await;
    remember(&*store, &alice, "k", at(0)).await;
    assert!(!is_known(&*store, &bob, "k", at(1)).await);
    assert_eq!(
        store
            .revoke_device(bob.id, binding("k").id(), record("bob", Event::Enrollment))
            .await,
        Err(StoreError::NotFound)
    );
    assert!(is_known(&*store, &alice, "k", at(1)).await);
}

pub(crate) async fn remembering_again_prolongs(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    remember(&*store, &alice, "k", at(0)).await;
    remember(&*store, &alice, "k", at(HOUR)).await;
    assert!(is_known(&*store, &alice, "k", at(13 * HOUR - 1)).await);
    assert_eq!(
        store.list_devices(alice.id, at(HOUR)).await.unwrap().len(),
        1
    );
    let forever = NewDevice {
        binding: binding("k"),
        lifetime: i64::MAX,
    };
    store
        .remember_device(alice.id, forever, at(0), record("alice", Event::Enrollment))
        .await
        .unwrap();
    assert!(!is_known(&*store, &alice, "k", at(367 * DAY)).await);
}

pub(crate) async fn more_than_32_devices_push_the_oldest_out(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    for number in 0..40 {
        remember(&*store, &alice, &format!("k{number}"), at(number)).await;
    }
    assert_eq!(
        store.list_devices(alice.id, at(50)).await.unwrap().len(),
        32
    );
    assert!(!is_known(&*store, &alice, "k7", at(50)).await);
    assert!(is_known(&*store, &alice, "k8", at(50)).await);
    // One that is remembered by a clock set back is not the first to go.
    remember(&*store, &alice, "late", at(-5)).await;
    assert!(is_known(&*store, &alice, "late", at(50)).await);
    assert_eq!(
        store.list_devices(alice.id, at(50)).await.unwrap().len(),
        32
    );
}

pub(crate) async fn one_device_is_revoked_or_all(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    for key in ["a", "b", "c"] {
        remember(&*store, &alice, key, at(0)).await;
    }
    let revoked = record("alice", Event::Enrollment);
    store
        .revoke_device(alice.id, binding("a").id(), revoked.clone())
        .await
        .unwrap();
    assert!(!is_known(&*store, &alice, "a", at(1)).await);
    assert!(is_known(&*store, &alice, "b", at(1)).await);
    let records = outcomes(&*store).await.len();
    assert_eq!(store.revoke_devices(alice.id, revoked.clone()).await, Ok(2));
    assert!(!is_known(&*store, &alice, "b", at(1)).await);
    assert_eq!(store.revoke_devices(alice.id, revoked).await, Ok(0));
    assert_eq!(
        outcomes(&*store).await.len(),
        records + 1,
        "nothing to tell the second time"
    );
}

pub(crate) async fn what_a_factor_earned_goes_with_it(store: Arc<dyn Store>) {
    let alice = add(&*store, "alice", new(Kind::Totp, 1)).await;
    add(&*store, "alice", new(Kind::Hotp, 2)).await;
    remember(&*store, &alice, "k", at(0)).await;
    prove(&*store, alice.id, session("1"), &["totp"], at(0)).await;
    store
        .remove_credential(
            alice.id,
            CredentialId([2; 16]),
            record("alice", Event::Enrollment),
        )
        .await
        .unwrap();
    assert!(!is_known(&*store, &alice, "k", at(1)).await);
    assert_eq!(
        store.proofs(alice.id, session("1"), at(1)).await,
        Ok(vec![])
    );
    remember(&*store, &alice, "k", at(1)).await;
    store
        .reset_person(alice.id, record("alice", Event::Enrollment))
        .await
        .unwrap();
    let again = enroll(&*store, "alice").await;
    assert!(!is_known(&*store, &again, "k", at(2)).await);
}

fn session(id: &str) -> SessionKey {
    SessionKey::of(id, 1, 2)
}

async fn prove(store: &dyn Store, person: PersonId, session: SessionKey, kinds: &[&str], now: Now) {
    let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    store
        .record_proof(person, session, kinds, now)
        .await
        .unwrap();
}

async fn proven(
    store: &dyn Store,
    person: PersonId,
    session: SessionKey,
    now: Now,
) -> Vec<(String, i64)> {
    let proofs = store.proofs(person, session, now).await.unwrap();
    proofs
        .into_iter()
        .map(|proof| (proof.kind, proof.at - START))
        .collect()
}

pub(crate) async fn a_proof_holds_in_its_own_session_only(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await.id;
    let bob = enroll(&*store, "bob").await.id;
    prove(
        &*store,
        alice,
        session("1"),
        &["backup-codes", "totp"],
        at(0),
    )
    .await;
    prove(&*store, alice, session("1"), &["totp"], at(60)).await;
    assert_eq!(
        proven(&*store, alice, session("1"), at(60)).await,
        [("backup-codes".to_owned(), 0), ("totp".to_owned(), 60)]
    );
    assert!(
        proven(&*store, alice, session("2"), at(60))
            .await
            .is_empty()
    );
    assert!(proven(&*store, bob, session("1"), at(60)).await.is_empty());
    let rebooted = SessionKey::of("1", 1, 3);
    assert!(proven(&*store, alice, rebooted, at(60)).await.is_empty());
}

pub(crate) async fn proofs_are_bounded_and_expire(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await.id;
    for number in 0..70 {
        prove(
            &*store,
            alice,
            session(&number.to_string()),
            &["totp"],
            at(number),
        )
        .await;
    }
    assert!(
        proven(&*store, alice, session("5"), at(70))
            .await
            .is_empty()
    );
    assert_eq!(proven(&*store, alice, session("6"), at(70)).await.len(), 1);
    let week = 7 * DAY;
    assert_eq!(
        proven(&*store, alice, session("69"), at(68 + week))
            .await
            .len(),
        1
    );
    assert!(
        proven(&*store, alice, session("69"), at(69 + week))
            .await
            .is_empty()
    );
    let nine = vec!["x".to_owned(); 9];
    let long = vec!["x".repeat(65)];
    for kinds in [nine, long] {
        assert_eq!(
            store.record_proof(alice, session("1"), kinds, at(0)).await,
            Err(StoreError::Full)
        );
    }
}

pub(crate) async fn a_proof_from_the_future_does_not_count(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await.id;
    prove(&*store, alice, session("1"), &["totp"], at(1_000)).await;
    assert!(
        proven(&*store, alice, session("1"), at(999))
            .await
            .is_empty()
    );
    // By the time the clock gets there, it is forgotten.
    prove(&*store, alice, session("2"), &["totp"], at(999)).await;
    assert!(
        proven(&*store, alice, session("1"), at(1_000))
            .await
            .is_empty()
    );
}

pub(crate) async fn a_login_notes_which_device_it_used(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    remember(&*store, &alice, "k", at(0)).await;
    let login = Login {
        lesson: Lesson::Nothing,
        remembered: Some(binding("k").id()),
        ..Login::proven(alice.id, Place::Local, at(60))
    };
    store.record_login(login).await.unwrap();
    store
        .append_audit(record("alice", Event::Authentication))
        .await
        .unwrap();
    let list = store.list_devices(alice.id, at(61)).await.unwrap();
    assert_eq!(list[0].last_used, Some(START + 60));
}

pub(crate) async fn nobody_can_be_given_a_device_or_a_proof(store: Arc<dyn Store>) {
    for nobody in [PersonId(0), PersonId(77), PersonId(-1)] {
        let device = NewDevice {
            binding: binding("k"),
            lifetime: HOUR,
        };
        assert_eq!(
            store
                .remember_device(nobody, device, at(0), record("x", Event::Enrollment))
                .await,
            Err(StoreError::NotFound)
        );
        assert_eq!(
            store
                .record_proof(nobody, session("1"), vec!["totp".into()], at(0))
                .await,
            Err(StoreError::NotFound)
        );
    }
    assert!(
        outcomes(&*store).await.is_empty(),
        "nothing of a refused verb stays"
    );
}
