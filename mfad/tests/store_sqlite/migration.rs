//! A database of an earlier schema, opened by this program: nothing of it is lost, and what is new works.

use std::{os::unix::fs::PermissionsExt, path::Path};

use mfad::{
    audit::Event,
    clock::Now,
    store::{
        AuditFilter, BindKind, Binding, CredentialId, Judgement, NewDevice, Options, Store,
        StoreError, sqlite::SqliteStore,
    },
    throttle::{Class, Place},
};

use super::{block_on, judge, place, record};

const SCHEMA_1: &str = include_str!("schema-1.sql");
const START: i64 = super::START;

/// Makes the database of schema 1.
fn make(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(SCHEMA_1).unwrap();
    connection.close().unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn version(path: &Path) -> u32 {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

#[test]
fn a_database_of_schema_1_keeps_everything() {
    let (_directory, path) = place();
    make(&path);
    assert_eq!(version(&path), 1);
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    block_on(async {
        let alice = store.find_person("local", "alice").await.unwrap().unwrap();
        let bob = store.find_person("local", "bob").await.unwrap().unwrap();
        assert_eq!((alice.key.uid, bob.key.uid), (1000, 1001));
        assert_eq!(alice.credentials.len(), 2);
        assert_eq!(alice.credentials[0].moving, 60_000_000);
        assert_eq!(bob.credentials[1].codes.len(), 3);
        // What a login was until then is one with a second factor.
        assert_eq!(
            (alice.last_login, alice.last_mfa),
            (Some(START + 70), Some(START + 70))
        );
        assert_eq!((bob.last_mfa, bob.failures_since), (None, 1));
        assert_eq!((alice.preferred, alice.requirement), (None, None));
        assert_eq!(store.count_enrolled().await, Ok(2));
        let soon = Now {
            wall: START + 80,
            steady: START + 80,
            boot: 80,
        };
        let budgets = store.budgets(bob.id, soon).await.unwrap();
        assert_eq!((budgets[0].class, budgets[0].spent), (Class::Otp, 1));
        let everything = AuditFilter {
            limit: 100,
            ..AuditFilter::default()
        };
        assert_eq!(store.audit(everything).await.unwrap().len(), 7);
        // The used code stays used, and the trusted source trusted.
        assert_eq!(
            judge(&store, alice.id, 60_000_000).await,
            Ok(Judgement::Wrong)
        );
        let from = Place::Remote(Some(std::net::Ipv4Addr::new(203, 0, 113, 9).into()));
        let failures = |person| store.recall(person, from, soon);
        assert_eq!(failures(alice.id).await.unwrap().failures.source, 0);
        assert_eq!(failures(bob.id).await.unwrap().failures.source, 2);
    });
    drop(store);
    assert_eq!(version(&path), 3);
}

#[test]
fn what_is_new_works_in_a_database_of_schema_1() {
    let (_directory, path) = place();
    make(&path);
    let now = super::NOW;
    let device = Binding::of([(BindKind::SshKey, "SHA256:x".to_owned())]).unwrap();
    let id = device.id();
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    let person = block_on(async {
        let alice = store.find_person("local", "alice").await.unwrap().unwrap();
        let new = NewDevice {
            binding: device,
            lifetime: 60,
        };
        store
            .remember_device(alice.id, new, now, record("alice"))
            .await
            .unwrap();
        let text = Some("x".to_owned());
        store
            .set_requirement(alice.id, text, record("alice"))
            .await
            .unwrap();
        alice.id
    });
    drop(store);
    // Opened again, and with nothing to migrate.
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    block_on(async {
        assert_eq!(
            store
                .find_devices(person, vec![id], now)
                .await
                .unwrap()
                .len(),
            1
        );
        let mut reset = record("alice");
        reset.event = Event::Enrollment;
        store.reset_person(person, reset).await.unwrap();
        assert_eq!(store.find_devices(person, vec![id], now).await, Ok(vec![]));
        assert_eq!(
            store.recall(person, Place::Local, now).await,
            Err(StoreError::NotFound)
        );
        let bob = store.find_person("local", "bob").await.unwrap().unwrap();
        assert_eq!(bob.credentials[0].id, CredentialId([1; 16]));
    });
}
