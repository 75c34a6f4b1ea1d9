//! People, credentials and the audit trail.

use std::sync::Arc;

use mfad::{
    audit::Event,
    store::{CredentialId, Kind, Login, NewCredential, PersonId, Standing, Store, StoreError},
    throttle::Place,
};

use crate::rig::*;

pub(crate) fn named(kind: Kind, number: u8, name: &str) -> NewCredential {
    NewCredential {
        name: Some(name.into()),
        ..new(kind, number)
    }
}

pub(crate) fn pending(kind: Kind, number: u8) -> NewCredential {
    NewCredential {
        standing: Standing::PendingUntil(START + 900),
        ..new(kind, number)
    }
}

pub(crate) async fn try_add(
    store: &dyn Store,
    name: &str,
    new: NewCredential,
) -> Result<(), StoreError> {
    store
        .add_credential(key(name), new, at(0), record(name, Event::Enrollment))
        .await
        .map(drop)
}

pub(crate) async fn names(store: &dyn Store, person: &str) -> Vec<String> {
    let found = store.find_person("local", person).await.unwrap().unwrap();
    found
        .credentials
        .into_iter()
        .map(|credential| credential.name)
        .collect()
}

pub(crate) async fn nobody_is_found_where_nobody_is(store: Arc<dyn Store>) {
    assert_eq!(store.find_person("local", "alice").await.unwrap(), None);
    assert_eq!(store.count_enrolled().await.unwrap(), 0);
}

pub(crate) async fn an_added_credential_is_found(store: Arc<dyn Store>) {
    let answered = add(
        &*store,
        "alice",
        NewCredential {
            moving: 77,
            ..new(Kind::Totp, 1)
        },
    )
    .await;
    let alice = store.find_person("local", "alice").await.unwrap().unwrap();
    assert_eq!(answered, alice);
    assert_eq!(alice.key, key("alice"));
    let credential = &alice.credentials[0];
    assert_eq!(
        (credential.id, credential.kind, credential.moving),
        (CredentialId([1; 16]), Kind::Totp, 77)
    );
    assert_eq!((credential.created, credential.last_used), (START, None));
    assert_eq!(
        (credential.standing, credential.sealed.as_slice()),
        (Standing::Active, &[1; 120][..])
    );
    assert_eq!(store.find_person("fleet", "alice").await.unwrap(), None);
    assert_eq!(store.find_person("local", "Alice").await.unwrap(), None);
}

pub(crate) async fn names_are_unique_without_case(store: Arc<dyn Store>) {
    add(&*store, "alice", named(Kind::Totp, 1, "Zoë's phone")).await;
    assert_eq!(
        try_add(&*store, "alice", named(Kind::Hotp, 2, "ZOË'S PHONE")).await,
        Err(StoreError::Exists)
    );
    assert_eq!(
        try_add(&*store, "bob", named(Kind::Totp, 2, "zoë's phone")).await,
        Ok(())
    );
    assert_eq!(
        try_add(&*store, "alice", named(Kind::Totp, 1, "other")).await,
        Err(StoreError::Exists),
        "the id is taken"
    );
}

pub(crate) async fn names_are_chosen_and_numbered(store: Arc<dyn Store>) {
    for number in 1..=3 {
        add(&*store, "alice", new(Kind::Totp, number)).await;
    }
    add(&*store, "alice", named(Kind::Hotp, 4, "HOTP")).await;
    add(&*store, "alice", new(Kind::Hotp, 5)).await;
    assert_eq!(
        names(&*store, "alice").await,
        ["totp", "totp-2", "totp-3", "HOTP", "hotp-2"]
    );
}

pub(crate) async fn another_uid_is_refused(store: Arc<dyn Store>) {
    enroll(&*store, "alice").await;
    let mut recreated = key("alice");
    recreated.uid = 1001;
    let refused = store
        .add_credential(
            recreated,
            new(Kind::Totp, 2),
            at(0),
            record("alice", Event::Enrollment),
        )
        .await;
    assert_eq!(refused, Err(StoreError::Exists));
    assert_eq!(names(&*store, "alice").await, ["totp"]);
}

pub(crate) async fn sixteen_credentials_are_the_most(store: Arc<dyn Store>) {
    for number in 0..16 {
        add(&*store, "alice", new(Kind::Totp, number)).await;
    }
    assert_eq!(
        try_add(&*store, "alice", new(Kind::Hotp, 16)).await,
        Err(StoreError::Full)
    );
    assert_eq!(names(&*store, "alice").await.len(), 16);
}

pub(crate) async fn a_new_backup_set_replaces_the_old_one(store: Arc<dyn Store>) {
    add(&*store, "alice", new(Kind::BackupCodes, 1)).await;
    let alice = add(&*store, "alice", new(Kind::BackupCodes, 2)).await;
    assert_eq!(alice.credentials.len(), 1);
    assert_eq!(
        (alice.credentials[0].id, alice.credentials[0].codes.len()),
        (CredentialId([2; 16]), 10)
    );
    assert_eq!(alice.credentials[0].name, "backup-codes");
}

pub(crate) async fn renaming_keeps_names_unique(store: Arc<dyn Store>) {
    add(&*store, "alice", new(Kind::Totp, 1)).await;
    let alice = add(&*store, "alice", new(Kind::Hotp, 2)).await;
    let rename = |number: u8, name: &str| {
        store.rename_credential(
            alice.id,
            CredentialId([number; 16]),
            name.into(),
            record("alice", Event::Administration),
        )
    };
    assert_eq!(rename(2, "ToTp").await, Err(StoreError::Exists));
    assert_eq!(rename(3, "phone").await, Err(StoreError::NotFound));
    assert_eq!(
        rename(1, "TOTP").await,
        Ok(()),
        "only the case of its own name"
    );
    assert_eq!(rename(2, "key fob").await, Ok(()));
    assert_eq!(names(&*store, "alice").await, ["TOTP", "key fob"]);
    assert_eq!(rename(2, "").await, Err(StoreError::Full));
}

pub(crate) async fn removing_the_last_factor_removes_the_backup_codes(store: Arc<dyn Store>) {
    add(&*store, "alice", new(Kind::Totp, 1)).await;
    add(&*store, "alice", new(Kind::Hotp, 2)).await;
    let alice = add(&*store, "alice", new(Kind::BackupCodes, 3)).await;
    let remove = |number: u8| {
        store.remove_credential(
            alice.id,
            CredentialId([number; 16]),
            record("alice", Event::Administration),
        )
    };
    remove(1).await.unwrap();
    assert_eq!(names(&*store, "alice").await, ["hotp", "backup-codes"]);
    remove(2).await.unwrap();
    assert_eq!(names(&*store, "alice").await, Vec::<String>::new());
    assert_eq!(remove(2).await, Err(StoreError::NotFound));
    assert_eq!(store.count_enrolled().await.unwrap(), 0);
}

pub(crate) async fn reset_forgets_everything_but_the_audit_trail(store: Arc<dyn Store>) {
    let alice = add(&*store, "alice", new(Kind::BackupCodes, 3)).await;
    judge(&*store, &alice, Place::Local, at(1), Says::wrong()).await;
    store
        .record_login(Login::proven(alice.id, from(1), at(2)))
        .await
        .unwrap();
    store
        .reset_person(alice.id, record("alice", Event::Administration))
        .await
        .unwrap();
    assert_eq!(store.find_person("local", "alice").await.unwrap(), None);
    assert_eq!(
        store
            .reset_person(alice.id, record("alice", Event::Administration))
            .await,
        Err(StoreError::NotFound)
    );
    assert_eq!(
        store.budgets(alice.id, at(3)).await,
        Err(StoreError::NotFound)
    );
    assert_eq!(outcomes(&*store).await, ["asked", "wrong", "asked"]);
    assert_eq!(store.count_enrolled().await.unwrap(), 0);
    let reserved = mfad::store::PersonId(0);
    assert_eq!(
        store
            .reset_person(reserved, record("", Event::Administration))
            .await,
        Err(StoreError::NotFound)
    );
}

pub(crate) async fn people_are_listed_by_name_in_pages(store: Arc<dyn Store>) {
    for name in ["carol", "alice", "dave", "bob"] {
        enroll(&*store, name).await;
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = store.list_people("local", &after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after.clone_from(&last.key.name);
        assert!(page.len() <= 3 && page.iter().all(|person| person.credentials.len() == 1));
        seen.extend(page.into_iter().map(|person| person.key.name));
    }
    assert_eq!(seen, ["alice", "bob", "carol", "dave"]);
}

pub(crate) async fn enrolled_people_are_counted(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    add(&*store, "alice", new(Kind::Totp, 2)).await;
    let bob = add(&*store, "bob", pending(Kind::Totp, 1)).await;
    assert_eq!(store.count_enrolled().await.unwrap(), 1);
    store
        .activate(
            bob.id,
            CredentialId([1; 16]),
            0,
            at(1),
            record("bob", Event::Enrollment),
        )
        .await
        .unwrap();
    assert_eq!(store.count_enrolled().await.unwrap(), 2);
    store
        .remove_credential(
            alice.id,
            CredentialId([1; 16]),
            record("alice", Event::Administration),
        )
        .await
        .unwrap();
    assert_eq!(store.count_enrolled().await.unwrap(), 2);
    store
        .reset_person(alice.id, record("alice", Event::Administration))
        .await
        .unwrap();
    assert_eq!(store.count_enrolled().await.unwrap(), 1);
}

pub(crate) async fn what_is_too_long_is_refused(store: Arc<dyn Store>) {
    let long = "x".repeat(257);
    for (name, new) in [
        (long.as_str(), new(Kind::Totp, 1)),
        ("", new(Kind::Totp, 1)),
        ("alice", named(Kind::Totp, 1, &long)),
        (
            "alice",
            NewCredential {
                sealed: vec![0; 5000],
                ..new(Kind::Totp, 1)
            },
        ),
        (
            "alice",
            NewCredential {
                codes: vec![[0; 32]; 65],
                ..new(Kind::BackupCodes, 1)
            },
        ),
    ] {
        assert_eq!(
            try_add(&*store, name, new).await,
            Err(StoreError::Full),
            "{name}"
        );
    }
    assert_eq!(store.list_people("local", "", 10).await.unwrap(), []);
}

pub(crate) async fn what_a_person_asks_for_is_kept_and_bounded(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    assert_eq!((alice.preferred, alice.requirement), (None, None));
    let changed = record("alice", Event::Enrollment);
    let prefer = |kind: Option<String>| store.set_preferred(alice.id, kind, changed.clone());
    let require = |text: Option<String>| store.set_requirement(alice.id, text, changed.clone());
    prefer(Some("totp".into())).await.unwrap();
    require(Some("x".repeat(4096))).await.unwrap();
    assert_eq!(prefer(Some("x".repeat(65))).await, Err(StoreError::Full));
    assert_eq!(require(Some("x".repeat(4097))).await, Err(StoreError::Full));
    let kept = store.find_person("local", "alice").await.unwrap().unwrap();
    assert_eq!(kept.preferred.as_deref(), Some("totp"));
    assert_eq!(kept.requirement.map(|text| text.len()), Some(4096));
    prefer(None).await.unwrap();
    require(Some("y".into())).await.unwrap();
    require(None).await.unwrap();
    require(None).await.unwrap();
    let gone = store.find_person("local", "alice").await.unwrap().unwrap();
    assert_eq!((gone.preferred, gone.requirement), (None, None));
    let nobody = PersonId(77);
    assert_eq!(
        store.set_preferred(nobody, None, changed.clone()).await,
        Err(StoreError::NotFound)
    );
    assert_eq!(
        store.set_requirement(nobody, None, changed.clone()).await,
        Err(StoreError::NotFound)
    );
}

pub(crate) async fn of_pending_credentials_of_one_person_the_oldest_makes_room(
    store: Arc<dyn Store>,
) {
    add(&*store, "bob", pending(Kind::Totp, 99)).await;
    add(&*store, "alice", pending(Kind::BackupCodes, 98)).await;
    for number in 1..=30 {
        add(&*store, "alice", pending(Kind::Totp, number)).await;
    }
    let alice = store.find_person("local", "alice").await.unwrap().unwrap();
    let left: Vec<_> = alice.credentials.iter().map(|one| one.id.0[0]).collect();
    assert_eq!(left, [98, 23, 24, 25, 26, 27, 28, 29, 30]);
    assert_eq!(names(&*store, "bob").await.len(), 1);
    let active = add(&*store, "alice", new(Kind::Totp, 31)).await;
    assert_eq!(active.credentials.len(), 10, "one in use pushes out none");
}
