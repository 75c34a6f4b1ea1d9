//! Installations that are ended at every step, undone in every state, and refused. Directories stand in for the machine.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::apply::{Step, apply};
use super::journal::{Journal, Moment, Record};
use super::plan::{self, Choice, Plan};
use super::{put_into_place, taken_back, undo};
use crate::pam::tree::Tree;

const NAMES: [&str; 3] = ["login", "sudo", "sudo-i"];

/// A machine with old stacks for sudo and login, and none for sudo-i.
fn machine() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for directory in ["etc/pam.d", "etc/mfa", "usr/share/mfa/pam"] {
        fs::create_dir_all(root.path().join(directory)).unwrap();
    }
    for name in NAMES {
        put(
            &root,
            &format!("usr/share/mfa/pam/{name}"),
            &format!("# new {name}\n"),
        );
        if name != "sudo-i" {
            put(
                &root,
                &format!("etc/pam.d/{name}"),
                &format!("# old {name}\n"),
            );
        }
    }
    put(&root, "usr/share/mfa/pam/sshd-key", "# new sshd\n");
    root
}

fn put(root: &TempDir, path: &str, text: &str) {
    fs::write(root.path().join(path), text).unwrap();
}

fn stack(root: &TempDir, name: &str) -> Option<String> {
    fs::read_to_string(root.path().join("etc/pam.d").join(name)).ok()
}

fn old(name: &str) -> Option<String> {
    (name != "sudo-i").then(|| format!("# old {name}\n"))
}

fn is_new(root: &TempDir, name: &str) -> bool {
    stack(root, name).is_some_and(|found| found == format!("# new {name}\n"))
}

fn plan(root: &TempDir) -> (Tree, Journal, Plan, Record) {
    let tree = Tree::new(root.path());
    let names = ["sudo".to_owned(), "login".to_owned()];
    let plan = plan::make(&tree, &names, None).unwrap();
    let record = plan.record(1000, &moment("here", 50), 10);
    (tree, Journal::below(root.path()), plan, record)
}

fn moment(boot: &str, uptime: i64) -> Moment {
    Moment {
        boot: boot.to_owned(),
        uptime,
    }
}

/// Applies until `steps` are done, then ends as a killed process does. Whether it came to the end.
fn apply_until(root: &TempDir, steps: usize) -> bool {
    let (tree, journal, plan, record) = plan(root);
    let mut done = 0;
    let mut passed = |_: Step| {
        done += 1;
        if done == steps {
            Err(io::Error::other("killed"))
        } else {
            Ok(())
        }
    };
    apply(&tree, &journal, &record, &plan, &mut passed).is_ok()
}

fn all_old(root: &TempDir) {
    for name in NAMES {
        assert_eq!(stack(root, name), old(name), "{name}");
    }
    let left: Vec<_> = fs::read_dir(root.path().join("etc/pam.d"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| !NAMES.iter().any(|known| name.to_str() == Some(*known)))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn ended_after_any_step_each_stack_is_old_or_new_and_goes_back() {
    let mut ends = 0;
    loop {
        let root = machine();
        let finished = apply_until(&root, ends + 1);
        for name in NAMES {
            let found = stack(&root, name);
            assert!(
                found == old(name) || is_new(&root, name),
                "{name}: {found:?}"
            );
        }
        let tree = Tree::new(root.path());
        let journal = Journal::below(root.path());
        let any_new = NAMES.iter().any(|name| is_new(&root, name));
        assert!(
            !any_new || journal.pending().unwrap().is_some(),
            "after {ends} steps"
        );
        undo::rollback(&tree, &journal, false).unwrap();
        all_old(&root);
        assert!(journal.pending().unwrap().is_none());
        // Again does nothing.
        assert!(undo::rollback(&tree, &journal, false).unwrap().is_empty());
        if finished {
            break;
        }
        ends += 1;
    }
    // Prepared, three copies, begun, armed, three stacks.
    assert_eq!(ends, 9);
}

#[test]
fn a_rollback_that_is_ended_halfway_is_finished_by_the_next() {
    let root = machine();
    assert!(apply_until(&root, usize::MAX));
    // As if it had been killed after the first stack.
    put(&root, "etc/pam.d/login", "# old login\n");
    let restored =
        undo::rollback(&Tree::new(root.path()), &Journal::below(root.path()), false).unwrap();
    assert_eq!(restored, ["sudo", "sudo-i"]);
    all_old(&root);
}

#[test]
fn a_stack_that_cannot_be_put_back_keeps_no_other_and_the_clock_goes_on() {
    let root = machine();
    assert!(apply_until(&root, usize::MAX));
    let (tree, journal) = (Tree::new(root.path()), Journal::below(root.path()));
    // Where the new file is to be written there is no room for one.
    let taken = root.path().join("etc/pam.d/.login.mfa-new");
    fs::create_dir(&taken).unwrap();
    assert!(undo::rollback(&tree, &journal, false).is_err());
    assert!(is_new(&root, "login"));
    assert_eq!(stack(&root, "sudo"), old("sudo"));
    assert_eq!(stack(&root, "sudo-i"), old("sudo-i"));
    assert!(undo::is_left(&tree, &journal));
    fs::remove_dir(&taken).unwrap();
    assert_eq!(undo::rollback(&tree, &journal, false).unwrap(), ["login"]);
    all_old(&root);
    assert!(!undo::is_left(&tree, &journal));
}

#[test]
fn what_was_edited_meanwhile_is_overwritten_by_force_only() {
    let root = machine();
    assert!(apply_until(&root, usize::MAX));
    put(&root, "etc/pam.d/sudo", "# mine\n");
    let (tree, journal) = (Tree::new(root.path()), Journal::below(root.path()));
    let failure = undo::rollback(&tree, &journal, false).unwrap_err();
    assert!(
        failure.to_string().contains("left as they are: sudo."),
        "{failure}"
    );
    assert_eq!(stack(&root, "sudo").unwrap(), "# mine\n");
    assert_eq!(stack(&root, "login"), old("login"));
    assert!(
        journal.pending().unwrap().is_some(),
        "it can still be taken back"
    );
    assert!(!undo::is_left(&tree, &journal), "but not by the clock");
    undo::rollback(&tree, &journal, true).unwrap();
    all_old(&root);
}

#[test]
fn what_was_confirmed_can_be_taken_back_too() {
    let root = machine();
    assert!(apply_until(&root, usize::MAX));
    let (tree, journal) = (Tree::new(root.path()), Journal::below(root.path()));
    let record = journal.pending().unwrap().unwrap();
    journal.settle(&record).unwrap();
    assert!(journal.pending().unwrap().is_none());
    assert_eq!(undo::rollback(&tree, &journal, false).unwrap().len(), 3);
    all_old(&root);
}

#[test]
fn modes_stay_and_copies_are_roots_alone() {
    let root = machine();
    let sudo = root.path().join("etc/pam.d/sudo");
    fs::set_permissions(&sudo, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(apply_until(&root, usize::MAX));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&sudo), 0o640);
    assert_eq!(mode(&root.path().join("etc/mfa/pam-backup")), 0o700);
    assert_eq!(
        mode(&root.path().join("etc/mfa/pam-backup/pending.json")),
        0o600
    );
    undo::rollback(&Tree::new(root.path()), &Journal::below(root.path()), false).unwrap();
    assert_eq!(mode(&sudo), 0o640);
}

#[test]
fn one_at_a_time_changes_the_stacks() {
    let root = machine();
    let journal = Journal::below(root.path());
    journal.create().unwrap();
    let held = journal.lock(Duration::ZERO).unwrap();
    let (tree, _, plan, _) = plan(&root);
    let second = Journal::below(root.path()).lock(Duration::ZERO);
    let failure = second.err().unwrap().to_string();
    assert!(failure.contains("Another mfactl"), "{failure}");
    drop(held);
    drop(journal.lock(Duration::ZERO).unwrap());
    // One that waited for the first's end finds what that has left.
    assert!(apply_until(&root, usize::MAX));
    let failure = put_into_place(&tree, &journal, &plan, 10).unwrap_err();
    assert!(failure.to_string().contains("waits for its confirmation"));
}

#[test]
fn a_stack_that_was_edited_while_the_question_stood_is_not_overwritten() {
    let root = machine();
    let (tree, journal, plan, _) = plan(&root);
    put(&root, "etc/pam.d/sudo", "# mine\n");
    let failure = put_into_place(&tree, &journal, &plan, 10).unwrap_err();
    assert!(
        failure.to_string().contains("was changed meanwhile"),
        "{failure}"
    );
    assert_eq!(stack(&root, "sudo").unwrap(), "# mine\n");
    assert_eq!(stack(&root, "login"), old("login"));
    assert!(journal.pending().unwrap().is_none());
}

#[test]
fn what_cannot_be_finished_is_taken_back_and_nothing_else_is() {
    let root = machine();
    assert!(apply_until(&root, usize::MAX));
    let (tree, journal) = (Tree::new(root.path()), Journal::below(root.path()));
    let record = journal.pending().unwrap().unwrap();
    journal.settle(&record).unwrap();
    // Nothing waits: the confirmed ones stay.
    let failure = taken_back(&tree, &journal, "the disk is full.");
    assert!(failure.to_string().contains("the disk is full."));
    assert!(NAMES.iter().all(|name| is_new(&root, name)));
    journal.begin(&record).unwrap();
    taken_back(&tree, &journal, "the disk is full.");
    all_old(&root);
}

#[test]
fn a_stack_that_is_not_what_was_installed_is_named() {
    let root = machine();
    // Everything but the last stack.
    assert!(!apply_until(&root, 8));
    put(&root, "etc/pam.d/login", "# mine\n");
    let (tree, journal) = (Tree::new(root.path()), Journal::below(root.path()));
    let record = journal.pending().unwrap().unwrap();
    let found = undo::strangers(&tree, &journal, &record).unwrap();
    assert_eq!(found, ["login", "sudo-i"]);
}

#[test]
fn it_is_due_by_the_time_that_passed_and_not_by_a_clock_that_was_set() {
    let root = machine();
    let (.., record) = plan(&root);
    let due = |boot: &str, uptime, wall| undo::is_due(&record, wall, &moment(boot, uptime));
    // Applied at 1000, 50 s after the start, for 600 s.
    assert!(!due("here", 649, 1_000_000));
    assert!(due("here", 650, 0));
    // After a restart: by the clock, or after as much time again.
    assert!(!due("later", 20, 1599));
    assert!(due("later", 20, 1600));
    assert!(due("later", 600, 0));
}

#[test]
fn sudo_takes_sudo_i_along_and_sshd_wants_to_know_which() {
    let root = machine();
    let tree = Tree::new(root.path());
    let names = |plan: &Plan| {
        plan.changes
            .iter()
            .map(|change| change.service.clone())
            .collect::<Vec<_>>()
    };
    let made = plan::make(&tree, &["sudo".to_owned()], None).unwrap();
    assert_eq!(names(&made), ["sudo", "sudo-i"]);
    let sshd = ["sshd".to_owned()];
    assert_eq!(plan::make(&tree, &sshd, None).unwrap_err().exit_code(), 2);
    assert_eq!(
        names(&plan::make(&tree, &sshd, Some(Choice::Key)).unwrap()),
        ["sshd"]
    );
    assert_eq!(
        plan::make(&tree, &["cron".to_owned()], None)
            .unwrap_err()
            .exit_code(),
        2
    );
    put(&root, "etc/pam.d/login", "# new login\n");
    assert!(
        plan::make(&tree, &["login".to_owned()], None)
            .unwrap()
            .changes
            .is_empty()
    );
}

#[test]
fn a_record_that_cannot_be_understood_stops_everything() {
    let root = machine();
    assert!(apply_until(&root, usize::MAX));
    put(&root, "etc/mfa/pam-backup/pending.json", "{\"applied\": 1");
    let (tree, journal) = (Tree::new(root.path()), Journal::below(root.path()));
    assert!(journal.pending().is_err());
    assert!(undo::rollback(&tree, &journal, true).is_err());
}

#[test]
fn there_is_a_service_for_every_stack_that_is_shipped() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/pam");
    let mut shipped: Vec<String> = fs::read_dir(shipped)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| {
            if name.starts_with("sshd-") {
                "sshd".to_owned()
            } else {
                name
            }
        })
        .collect();
    shipped.sort();
    shipped.dedup();
    let mut known = super::plan::SERVICES;
    known.sort_unstable();
    assert_eq!(shipped, known);
}
