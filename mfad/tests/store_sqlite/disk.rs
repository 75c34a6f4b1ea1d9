//! A disk that is full or read-only, in a mount namespace of the test's own (`unshare -rm`).

use std::{fs, path::Path, process::Command};

use mfad::store::{Judgement, Options, Store, StoreError, sqlite::SqliteStore};

use super::{again, block_on, enroll, judge, place, run};

const ROLE: &str = "MFAD_TEST_TMPFS";

/// Runs this test again with a tmpfs of 2 MiB below `directory`. `None` in that second run.
fn on_a_small_disk(test: &str) -> Option<()> {
    if std::env::var_os(ROLE).is_some() {
        return None;
    }
    let (directory, _) = place();
    let mount = r#"mount -t tmpfs -o size=2m,mode=0700 tmpfs "$0" && exec "$@""#;
    let mut command = Command::new("unshare");
    command
        .args(["-rm", "sh", "-c", mount])
        .arg(directory.path())
        .args(again(test, ROLE, directory.path()));
    // Its output is kept from the summary, which would count the test twice.
    let second = command.output().unwrap();
    assert!(
        second.status.success(),
        "{test} on the small disk (it needs root, or user namespaces): {}{}",
        String::from_utf8_lossy(&second.stdout),
        String::from_utf8_lossy(&second.stderr)
    );
    Some(())
}

fn here() -> (std::path::PathBuf, SqliteStore) {
    let path = Path::new(&std::env::var_os(ROLE).unwrap()).join("mfa.db");
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    (path, store)
}

fn fill(ballast: &Path) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(ballast)
        .unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
}

#[test]
fn a_full_disk_changes_nothing_and_is_left_behind_without_a_restart() {
    if on_a_small_disk("disk::a_full_disk_changes_nothing_and_is_left_behind_without_a_restart")
        .is_some()
    {
        return;
    }
    let (path, store) = here();
    let ballast = path.with_file_name("ballast");
    let mut acknowledged = Vec::new();
    for round in 0..20 {
        fill(&ballast);
        let refused = block_on(async {
            for number in 0.. {
                let name = format!("user-{round}-{number}");
                match enroll(&store, &name).await {
                    Ok(person) => acknowledged.push((name, person.id)),
                    Err(error) => return error,
                }
                assert!(number < 100_000, "a disk of 2 MiB has no end");
            }
            unreachable!()
        });
        assert!(
            matches!(&refused, StoreError::Unwritable(why) if why.contains("disk is full")),
            "{refused:?}"
        );
        let (name, person) = acknowledged.last().unwrap().clone();
        block_on(async {
            let moving = || async {
                store
                    .find_person("local", &name)
                    .await
                    .unwrap()
                    .unwrap()
                    .credentials[0]
                    .moving
            };
            let before = moving().await;
            let mut refused = 0;
            for step in before + 1..before + 4 {
                match judge(&store, person, step).await {
                    Err(StoreError::Unwritable(_)) => refused += 1,
                    // The log may have had blocks left for this one: then it is durable.
                    judged => assert_eq!(judged.is_ok(), moving().await == step, "{judged:?}"),
                }
            }
            assert!(
                moving().await - before <= 3 - refused,
                "a code that could not be spent is not spent"
            );
            fs::remove_file(&ballast).unwrap();
            let judged = judge(&store, person, before + 4).await.unwrap();
            assert!(matches!(judged, Judgement::Accepted { .. }), "{judged:?}");
        });
        for (name, _) in &acknowledged {
            assert!(
                block_on(store.find_person("local", name))
                    .unwrap()
                    .is_some(),
                "{name}"
            );
        }
    }
    println!(
        "{} enrolled around 20 full disks, none lost",
        acknowledged.len()
    );
}

#[test]
fn a_read_only_disk_is_unwritable_until_it_is_writable() {
    if on_a_small_disk("disk::a_read_only_disk_is_unwritable_until_it_is_writable").is_some() {
        return;
    }
    let (path, store) = here();
    let directory = path.parent().unwrap();
    let alice = block_on(enroll(&store, "alice")).unwrap();
    drop(store);
    let remount = |how: &str| {
        run(&[
            "mount".into(),
            "-o".into(),
            format!("remount,{how}").into(),
            directory.into(),
        ])
    };
    assert!(remount("ro").status().unwrap().success());
    let refused = SqliteStore::open(&path, Options::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Unwritable(_)), "{refused:?}");
    assert!(remount("rw").status().unwrap().success());
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    assert!(matches!(
        block_on(judge(&store, alice.id, 5)).unwrap(),
        Judgement::Accepted { .. }
    ));
}
