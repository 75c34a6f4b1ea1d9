//! Another key takes over: seals are replaced, and nothing else of a credential.

use std::sync::Arc;

use mfad::{
    audit::Event,
    store::{CredentialId, Kind, PersonId, Store},
};

use crate::rig::{Says, accepted, at, enroll, from, judge, record};

pub(crate) async fn a_seal_is_replaced_only_where_it_still_is(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    let id = CredentialId([1; 16]);
    let old = alice.credentials[0].sealed.clone();
    // What is accepted meanwhile stays accepted.
    let judged = judge(&*store, &alice, from(1), at(0), Says::step(7)).await;
    assert!(accepted(&judged));
    assert!(
        store
            .reseal(alice.id, id, old.clone(), vec![9; 120])
            .await
            .unwrap()
    );
    assert!(!store.reseal(alice.id, id, old, vec![8; 120]).await.unwrap());
    let unknown = store.reseal(PersonId(99), id, vec![9; 120], vec![8; 120]);
    assert!(!unknown.await.unwrap());
    let found = store.find_person("local", "alice").await.unwrap().unwrap();
    let credential = &found.credentials[0];
    assert_eq!((&credential.sealed, credential.moving), (&vec![9; 120], 7));
    assert_eq!(credential.kind, Kind::Totp);
}

pub(crate) async fn people_are_walked_in_the_order_of_their_ids(store: Arc<dyn Store>) {
    for name in ["carol", "alice", "bob"] {
        enroll(&*store, name).await;
    }
    let (mut names, mut after) = (Vec::new(), PersonId(0));
    loop {
        let some = store.people_after(after, 2).await.unwrap();
        let Some(last) = some.last() else { break };
        after = last.id;
        names.extend(some.into_iter().map(|person| person.key.name));
    }
    assert_eq!(names, ["carol", "alice", "bob"]);
}

pub(crate) async fn the_key_of_all_records_is_noted(store: Arc<dyn Store>) {
    assert_eq!(store.sealed_with().await.unwrap(), None);
    for key in [2, 255] {
        let record = record("nobody", Event::Administration);
        store.note_sealed_with(key, record).await.unwrap();
        assert_eq!(store.sealed_with().await.unwrap(), Some(key));
    }
    assert_eq!(
        store.count_enrolled().await.unwrap(),
        0,
        "a counter of its own"
    );
}
