//! Files that are open to others, not ours, damaged, newer, or locked.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
};

use mfad::store::{Options, PersonId, Store, StoreError, sqlite::SqliteStore};
use rusqlite::Connection;

use super::{block_on, enroll, judge, place};

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, Options::default())
}

fn refusal(path: &Path) -> String {
    open(path).unwrap_err().to_string()
}

#[test]
fn a_new_file_and_its_log_are_ours_alone() {
    let (directory, path) = place();
    let store = open(&path).unwrap();
    block_on(enroll(&store, "alice")).unwrap();
    let mut files = 0;
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().mode() & 0o777,
            0o600,
            "{:?}",
            entry.path()
        );
        files += 1;
    }
    assert!(files >= 2, "the database and its log");
}

#[test]
fn what_others_can_read_is_refused_with_the_command_that_helps() {
    let (directory, path) = place();
    drop(open(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(refusal(&path).contains(&format!("chmod 0600 {}", path.display())));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(refusal(&path).contains(&format!("chmod 0700 {}", directory.path().display())));
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(open(&path).is_ok());
}

#[test]
fn what_is_no_plain_file_is_refused() {
    let (directory, path) = place();
    let elsewhere = directory.path().join("elsewhere");
    fs::write(&elsewhere, "").unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(refusal(&path).contains("not a plain file"));
    assert_eq!(fs::read(&elsewhere).unwrap(), b"");
    let missing = directory.path().join("missing").join("mfa.db");
    assert!(refusal(&missing).contains("make it, with mode 0700"));
}

#[test]
fn garbage_is_called_damaged_and_left_alone() {
    let (_directory, path) = place();
    fs::write(&path, vec![0xA5; 8192]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains(&path.display().to_string()) && text.contains("restore"),
        "{text}"
    );
    assert_eq!(fs::read(&path).unwrap(), vec![0xA5; 8192]);
}

#[test]
fn another_programs_database_is_left_alone() {
    let (_directory, path) = place();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let before = fs::read(&path).unwrap();
    let error = open(&path).unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt(why) if why.contains("another program")),
        "{error:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_schema_is_refused_by_its_number() {
    let (_directory, path) = place();
    drop(open(&path).unwrap());
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 9)
        .unwrap();
    assert_eq!(open(&path).err(), Some(StoreError::FromTheFuture(9)));
}

#[test]
fn damage_found_in_use_is_told_and_lets_nobody_in() {
    let (_directory, path) = place();
    let store = open(&path).unwrap();
    block_on(async {
        for number in 0..200 {
            enroll(&store, &format!("user{number}")).await.unwrap();
        }
    });
    drop(store);
    fs::remove_file(path.with_extension("db-wal")).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xEE);
    fs::write(&path, bytes).unwrap();
    let store = open(&path).unwrap();
    let mut damaged = 0;
    block_on(async {
        for number in 0..200 {
            let name = format!("user{number}");
            match store.find_person("local", &name).await {
                Ok(found) => assert_eq!(found.map(|person| person.key.name), Some(name)),
                Err(error) => {
                    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
                    damaged += 1;
                    let judged = judge(&store, PersonId(number + 1), 5).await;
                    assert!(matches!(judged, Err(StoreError::Corrupt(_))), "{judged:?}");
                }
            }
        }
    });
    assert!(damaged > 20, "{damaged} of 200 people are on damaged pages");
}

#[test]
fn a_file_locked_by_another_is_unwritable_until_it_is_free() {
    let (_directory, path) = place();
    let store = open(&path).unwrap();
    let alice = block_on(enroll(&store, "alice")).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = block_on(judge(&store, alice.id, 5)).unwrap_err();
    assert!(
        refused.to_string().contains("locked by another process"),
        "{refused}"
    );
    assert!(
        block_on(store.find_person("local", "alice"))
            .unwrap()
            .is_some(),
        "look-ups go on"
    );
    assert!(refusal(&path).contains("locked by another process"));
    other.execute_batch("ROLLBACK").unwrap();
    assert!(block_on(judge(&store, alice.id, 5)).is_ok());
}

#[test]
fn what_was_answered_is_there_after_reopening() {
    let (_directory, path) = place();
    let store = open(&path).unwrap();
    let alice = block_on(enroll(&store, "alice")).unwrap();
    block_on(judge(&store, alice.id, 5)).unwrap();
    drop(store);
    assert!(
        fs::metadata(path.with_extension("db-wal")).unwrap().len() >= 512 * 1024,
        "the log keeps its blocks"
    );
    let store = open(&path).unwrap();
    let found = block_on(store.find_person("local", "alice"))
        .unwrap()
        .unwrap();
    assert_eq!(found.credentials[0].moving, 5);
}
