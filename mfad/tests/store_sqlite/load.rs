//! More than the writer can take, other processes at the same file, and an audit trail that stays small.

use std::{
    collections::HashMap,
    io::Write,
    path::Path,
    process::Stdio,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use mfad::store::{
    AuditFilter, Credential, Guess, Judgement, Match, Options, PersonId, Store, StoreError,
    sqlite::SqliteStore,
};

use super::{again, attempt, block_on, enroll, judge, place, record, run};

/// Holds the writer until it is told to go on.
struct Holds(mpsc::Receiver<()>);

impl Guess for Holds {
    fn examine(&mut self, _credentials: &[Credential]) -> Option<Match> {
        let _sender_gone = self.0.recv();
        None
    }

    fn cost(&self, _credentials: &[Credential]) -> u32 {
        1
    }
}

#[test]
fn a_full_queue_refuses_at_once_and_look_ups_do_not_wait() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    let alice = block_on(enroll(&store, "alice")).unwrap();
    let (go, wait) = mpsc::sync_channel(1);
    let held = store.judge(attempt(alice.id), Box::new(Holds(wait)));
    let mut waiting = Vec::new();
    // In one runtime: an answer that is waited for keeps its own alive, and a thousand of them more files open than a login
    // may have.
    let refused = block_on(async {
        loop {
            let mut answer = store.append_audit(record("alice"));
            let first = tokio::time::timeout(Duration::from_millis(1), &mut answer).await;
            // It came before the writer went on: nothing has told that to.
            if let Ok(answered) = first {
                break answered.unwrap_err();
            }
            waiting.push(answer);
            assert!(waiting.len() <= 2048, "the queue has no end");
        }
    });
    assert_eq!(refused, StoreError::Busy);
    assert!(
        block_on(store.find_person("local", "alice"))
            .unwrap()
            .is_some()
    );
    go.send(()).unwrap();
    assert_eq!(block_on(held).unwrap(), Judgement::Wrong);
    for answer in waiting {
        block_on(answer).unwrap();
    }
    assert!(block_on(judge(&store, alice.id, 4)).is_ok());
}

const ROLE: &str = "MFAD_TEST_SHARED";
const PEOPLE: i64 = 300;

#[test]
fn two_processes_at_one_file_accept_each_code_once() {
    if let Some(path) = std::env::var_os(ROLE) {
        return answer_everybody(Path::new(&path));
    }
    let (_directory, path) = place();
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    block_on(async {
        for number in 1..=PEOPLE {
            assert_eq!(
                enroll(&store, &format!("user{number}")).await.unwrap().id,
                PersonId(number)
            );
        }
    });
    let words = again(
        "load::two_processes_at_one_file_accept_each_code_once",
        ROLE,
        &path,
    );
    let children: Vec<_> = (0..2)
        .map(|_| run(&words).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let mut accepted: HashMap<String, u32> = HashMap::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            if let Some(person) = line.strip_prefix("accepted ") {
                *accepted.entry(person.to_owned()).or_default() += 1;
            }
        }
    }
    assert_eq!(accepted.len(), usize::try_from(PEOPLE).unwrap());
    assert!(accepted.values().all(|times| *times == 1), "{accepted:?}");
}

fn answer_everybody(path: &Path) {
    let store = SqliteStore::open(path, Options::default()).unwrap();
    let mut out = std::io::stdout();
    for number in 1..=PEOPLE {
        if matches!(
            block_on(judge(&store, PersonId(number), 1)).unwrap(),
            Judgement::Accepted { .. }
        ) {
            writeln!(out, "\naccepted {number}").unwrap();
        }
    }
}

#[test]
fn the_audit_trail_is_pruned_while_it_grows() {
    let (_directory, path) = place();
    let options = Options {
        audit_records: 100,
        ..Options::default()
    };
    let store = Arc::new(SqliteStore::open(&path, options).unwrap());
    let count = || {
        block_on(store.audit(AuditFilter {
            limit: 1000,
            ..Default::default()
        }))
        .unwrap()
    };
    block_on(async {
        for _ in 0..20 {
            let waiting: Vec<_> = (0..200)
                .map(|_| store.append_audit(record("alice")))
                .collect();
            for answer in waiting {
                answer.await.unwrap();
            }
        }
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    while count().len() > 355 {
        assert!(Instant::now() < deadline, "{} are left", count().len());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(count().last().unwrap().0, 4000, "the newest stays");
}
