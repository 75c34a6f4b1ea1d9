//! What can happen to a database file: who may read it, damage, a full disk, other processes, too much to do.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod disk;
mod file;
mod load;
mod migration;
mod sweep;

use std::{future::Future, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use mfad::{
    audit::{Event, Record},
    clock::Now,
    store::{
        Answer, Attempt, Credential, CredentialId, Guess, Judgement, Kind, Match, NewCredential,
        Person, PersonId, PersonKey, Standing, Store, sqlite::SqliteStore,
    },
    throttle::{Class, Place},
};

const START: i64 = 1_800_000_000;
const NOW: Now = Now {
    wall: START,
    steady: START,
    boot: 0,
};

/// A directory of our own, and the database's path in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let ours_alone = std::fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new()
        .permissions(ours_alone)
        .tempdir()
        .unwrap();
    let path = directory.path().join("mfa.db");
    (directory, path)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn record(user: &str) -> Record {
    Record {
        time: START,
        event: Event::Authentication,
        outcome: "asked".into(),
        user: Some(user.into()),
        service: None,
        rhost: None,
        tty: None,
        factor: None,
        rule: None,
        grounds: mfad::audit::Grounds::default(),
        by: None,
        detail: None,
    }
}

fn enroll<'a>(store: &'a SqliteStore, name: &str) -> Answer<'a, Person> {
    let new = NewCredential {
        id: CredentialId([1; 16]),
        kind: Kind::Totp,
        name: None,
        standing: Standing::Active,
        only_first: false,
        sealed: vec![7; 100],
        moving: -1,
        codes: Vec::new(),
    };
    let key = PersonKey {
        realm: "local".into(),
        name: name.into(),
        uid: 1000,
    };
    store.add_credential(key, new, NOW, record(name))
}

struct Right(i64);

impl Guess for Right {
    fn examine(&mut self, credentials: &[Credential]) -> Option<Match> {
        credentials.first().map(|credential| Match::Advance {
            credential: credential.id,
            to: self.0,
        })
    }

    fn cost(&self, _credentials: &[Credential]) -> u32 {
        1
    }
}

fn attempt(person: PersonId) -> Attempt {
    Attempt {
        completes: true,
        person: Some(person),
        class: Class::Otp,
        place: Place::Local,
        now: NOW,
        record: record("somebody"),
    }
}

fn judge(store: &SqliteStore, person: PersonId, step: i64) -> Answer<'_, Judgement> {
    store.judge(attempt(person), Box::new(Right(step)))
}

/// This test program again, to run one test with `role` set to `value`.
fn again(test: &str, role: &str, value: &std::path::Path) -> Vec<std::ffi::OsString> {
    let program = std::env::current_exe().unwrap();
    let mut words: Vec<std::ffi::OsString> = vec!["env".into()];
    let mut setting = std::ffi::OsString::from(role);
    setting.push("=");
    setting.push(value);
    words.push(setting);
    words.push(program.into());
    words.extend(["--exact", "--nocapture", test].map(Into::into));
    words
}

fn run(words: &[std::ffi::OsString]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}
