//! The daemon killed, or its disk failing, at each point of a commit that has a name. What was acknowledged before must
//! be there afterwards, and what was spent must stay spent.
//!
//! `cargo test -p mfad --features failpoints --test store_crash`; the full figure is `MFAD_ROUNDS=2000`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]
#![cfg(feature = "failpoints")]

use std::{
    collections::{HashMap, HashSet},
    io::Write,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use mfad::{
    audit::{Event, Record},
    clock::Now,
    failpoint,
    store::{
        Attempt, Credential, CredentialId, Guess, Judgement, Kind, Match, NewCredential, Options,
        PersonKey, Standing, Store, StoreError, sqlite::SqliteStore,
    },
    throttle::{Class, Place},
};

const START: i64 = 1_800_000_000;
const NOW: Now = Now {
    wall: START,
    steady: START,
    boot: 0,
};
const ROLE: &str = "MFAD_TEST_CRASH";
const POINTS: [&str; 5] = ["begin", "written", "commit", "committed", "reply"];
const CLIENTS: u32 = 4;
/// A test that plans failures in this process must not do so while the other one looks at its store.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

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

struct Says(Match);

impl Guess for Says {
    fn examine(&mut self, _credentials: &[Credential]) -> Option<Match> {
        Some(self.0)
    }

    fn cost(&self, _credentials: &[Credential]) -> u32 {
        1
    }
}

const TOTP: CredentialId = CredentialId([1; 16]);
const CODES: CredentialId = CredentialId([2; 16]);

async fn enroll(
    store: &SqliteStore,
    name: &str,
    kind: Kind,
) -> Result<mfad::store::Person, StoreError> {
    let backup = kind == Kind::BackupCodes;
    let new = NewCredential {
        id: if backup { CODES } else { TOTP },
        kind,
        name: None,
        standing: Standing::Active,
        only_first: false,
        sealed: vec![7; 100],
        moving: -1,
        codes: if backup {
            (0..10).map(|code| [code; 32]).collect()
        } else {
            Vec::new()
        },
    };
    store
        .add_credential(
            PersonKey {
                realm: "local".into(),
                name: name.into(),
                uid: 1,
            },
            new,
            NOW,
            record(name),
        )
        .await
}

async fn accepts(store: &SqliteStore, name: &str, matched: Match) -> Result<bool, StoreError> {
    let person = store
        .find_person("local", name)
        .await?
        .ok_or(StoreError::NotFound)?;
    let class = if matches!(matched, Match::Burn { .. }) {
        Class::BackupCodes
    } else {
        Class::Otp
    };
    let attempt = Attempt {
        completes: true,
        person: Some(person.id),
        class,
        place: Place::Local,
        now: NOW,
        record: record(name),
    };
    Ok(matches!(
        store.judge(attempt, Box::new(Says(matched))).await?,
        Judgement::Accepted { .. }
    ))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// In one system call, so that it is told whole or not at all.
fn tell(line: &str) {
    std::io::stdout()
        .write_all(format!("\n{line}\n").as_bytes())
        .unwrap();
}

/// The daemon's part: clients that enroll, log in and burn backup codes, and tell what was acknowledged.
#[test]
fn child() {
    let Some(path) = std::env::var_os(ROLE) else {
        return;
    };
    let round = std::env::var("MFAD_TEST_ROUND").unwrap();
    let store = Arc::new(SqliteStore::open(Path::new(&path), Options::default()).unwrap());
    run(async {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| tokio::spawn(work(Arc::clone(&store), format!("{round}-{client}"))))
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
}

async fn work(store: Arc<SqliteStore>, name: String) {
    enroll(&store, &name, Kind::Totp).await.unwrap();
    tell(&format!("enrolled {name}"));
    enroll(&store, &name, Kind::BackupCodes).await.unwrap();
    tell(&format!("codes {name}"));
    for step in 0..30 {
        assert!(
            accepts(
                &store,
                &name,
                Match::Advance {
                    credential: TOTP,
                    to: step
                }
            )
            .await
            .unwrap()
        );
        tell(&format!("step {name} {step}"));
        if step % 3 == 0 {
            let index = u16::try_from(step / 3).unwrap();
            assert!(
                accepts(
                    &store,
                    &name,
                    Match::Burn {
                        credential: CODES,
                        index
                    }
                )
                .await
                .unwrap()
            );
            tell(&format!("burnt {name} {index}"));
        }
    }
}

/// What a child was told is durable.
#[derive(Default)]
struct Acknowledged {
    enrolled: HashSet<String>,
    codes: HashSet<String>,
    steps: HashMap<String, i64>,
    burnt: HashSet<(String, u16)>,
}

impl Acknowledged {
    fn of(output: &str) -> Self {
        let mut told = Self::default();
        for line in output.lines() {
            let new = match line.split(' ').collect::<Vec<_>>()[..] {
                ["enrolled", name] => told.enrolled.insert(name.into()),
                ["codes", name] => told.codes.insert(name.into()),
                ["step", name, step] => {
                    told.steps.insert(name.into(), step.parse().unwrap()) < step.parse().ok()
                }
                ["burnt", name, index] => told.burnt.insert((name.into(), index.parse().unwrap())),
                _ => true,
            };
            assert!(new, "told twice: {line}");
        }
        told
    }

    async fn check(&self, store: &SqliteStore) {
        for name in &self.enrolled {
            let person = store
                .find_person("local", name)
                .await
                .unwrap()
                .expect("an acknowledged enrollment is lost");
            assert!(
                person
                    .credentials
                    .iter()
                    .any(|credential| credential.id == TOTP)
            );
        }
        for name in &self.codes {
            let person = store.find_person("local", name).await.unwrap().unwrap();
            assert!(
                person
                    .credentials
                    .iter()
                    .any(|credential| credential.id == CODES),
                "acknowledged codes are lost"
            );
        }
        for (name, step) in &self.steps {
            let person = store.find_person("local", name).await.unwrap().unwrap();
            let totp = person
                .credentials
                .iter()
                .find(|credential| credential.id == TOTP)
                .unwrap();
            assert!(
                totp.moving >= *step,
                "{name}: {} went back behind {step}",
                totp.moving
            );
            assert!(
                !accepts(
                    store,
                    name,
                    Match::Advance {
                        credential: TOTP,
                        to: *step
                    }
                )
                .await
                .unwrap(),
                "replayed"
            );
        }
        // Two a person at most, lest a delay should do the work.
        for (name, index) in &self.burnt {
            let person = store.find_person("local", name).await.unwrap().unwrap();
            let set = person
                .credentials
                .iter()
                .find(|credential| credential.id == CODES)
                .unwrap();
            assert!(
                set.codes.iter().all(|(left, _)| left != index),
                "{name}: code {index} is back"
            );
        }
    }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let ours_alone = std::fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new()
        .permissions(ours_alone)
        .tempdir()
        .unwrap();
    let path = directory.path().join("mfa.db");
    (directory, path)
}

#[test]
fn killed_at_any_point_it_loses_nothing_and_accepts_nothing_twice() {
    let _guard = ONE_AT_A_TIME.lock();
    let rounds: u32 = std::env::var("MFAD_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(100);
    let (_directory, path) = place();
    let mut facts = 0;
    for round in 0..rounds {
        let point = POINTS[round as usize % POINTS.len()];
        // Spreads the kills over a whole run of the child: 42 verbs of each client, so at least as many commits.
        let visit = 1 + (round * 29) % 42;
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "child"])
            .env(ROLE, &path)
            .env("MFAD_TEST_ROUND", round.to_string())
            .env("MFAD_FAILPOINTS", format!("{point}=kill@{visit}"))
            .stderr(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(
            output.status.signal(),
            Some(9),
            "round {round}: {point} was not reached {visit} times"
        );
        let told = Acknowledged::of(&String::from_utf8(output.stdout).unwrap());
        facts += told.enrolled.len() + told.codes.len() + told.steps.len() + told.burnt.len();
        let store = SqliteStore::open(&path, Options::default()).unwrap();
        run(told.check(&store));
    }
    let bound = 300.0 / f64::from(rounds);
    println!(
        "{rounds} kills at {} points, {facts} acknowledged facts checked: 0 lost, 0 replayed, 0 counters back; bound on the rate at 95 %: {bound:.2} %",
        POINTS.len()
    );
}

#[test]
fn a_failing_disk_changes_nothing_and_is_got_over() {
    let _guard = ONE_AT_A_TIME.lock();
    let (_directory, path) = place();
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    run(enroll(&store, "alice", Kind::Totp)).unwrap();
    for (step, point) in (0..).zip(["begin", "written", "commit"].repeat(20)) {
        let matched = Match::Advance {
            credential: TOTP,
            to: step,
        };
        failpoint::set_plan(&format!("{point}=error@1"));
        let refused = run(accepts(&store, "alice", matched));
        assert!(
            matches!(refused, Err(StoreError::Unwritable(_))),
            "{point}: {refused:?}"
        );
        let person = run(store.find_person("local", "alice")).unwrap().unwrap();
        assert_eq!(person.credentials[0].moving, step - 1, "{point}");
        assert_eq!(
            run(accepts(&store, "alice", matched)),
            Ok(true),
            "{point}: it works again"
        );
    }
}
