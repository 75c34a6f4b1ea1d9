//! People, credentials and the audit trail.

use std::sync::Arc;

use mfad::{
    audit::Event,
    clock::Now,
    store::{AuditFilter, CredentialId, Kind, Login, NewCredential, Standing, Store, StoreError},
    throttle::Place,
};

use crate::rig::*;

fn named(kind: Kind, number: u8, name: &str) -> NewCredential {
    NewCredential {
        name: Some(name.into()),
        ..new(kind, number)
    }
}

fn pending(kind: Kind, number: u8) -> NewCredential {
    NewCredential {
        standing: Standing::PendingUntil(START + 900),
        ..new(kind, number)
    }
}

async fn try_add(store: &dyn Store, name: &str, new: NewCredential) -> Result<(), StoreError> {
    store
        .add_credential(key(name), new, at(0), record(name, Event::Enrollment))
        .await
        .map(drop)
}

async fn names(store: &dyn Store, person: &str) -> Vec<String> {
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
        .record_login(Login {
            person: alice.id,
            place: from(1),
            now: at(2),
        })
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
        .record_login(Login {
            person: alice.id,
            place: from(1),
            now: at(60),
        })
        .await
        .unwrap();
    for _ in 0..500 {
        let found = store.find_person("local", "alice").await.unwrap().unwrap();
        if (found.last_login, found.failures_since) == (Some(START + 60), 0) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("not written within five seconds");
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
