//! What `mfactl pam check` makes of a stack, beside the real libpam: seeded stacks of `pam_debug.so`, whose answers are its
//! arguments, in a mount namespace with a `/etc/pam.d` of its own.
//!
//! `cargo test -p mfactl --test libpam`; 400 stacks and 360 machines, and more with `MFA_PROVE=1`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

mod broken;
mod compare;
mod corpus;
mod good;
mod host;
mod machine;
mod seeded;

use std::{fs, path::Path, process::ExitCode};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{getgid, getuid},
};

/// Where libpam looks.
const STACKS: &str = "/etc/pam.d";

/// Enters a mount namespace with an empty `/etc/pam.d`. The process must have one thread still.
fn enter() {
    let (uid, gid) = (getuid(), getgid());
    if uid.is_root() {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
    } else {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
            .expect("needs root, or user namespaces for everybody");
        fs::write("/proc/self/setgroups", "deny").unwrap();
        fs::write("/proc/self/uid_map", format!("0 {uid} 1")).unwrap();
        fs::write("/proc/self/gid_map", format!("0 {gid} 1")).unwrap();
    }
    let none: Option<&Path> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(
        Some("tmpfs"),
        STACKS,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=0755"),
    )
    .unwrap();
}

/// A case by its name.
type Case = (&'static str, fn());

const CASES: &[Case] = &[
    (
        "seeded stacks come to what libpam makes of them",
        compare::seeded_stacks,
    ),
    ("what seeds come upon too rarely", compare::fixed_stacks),
    ("no good machine alarms", corpus::good_machines),
    ("every mistake is found", corpus::broken_machines),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in CASES {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    enter();
    let (mut passed, mut failed) = (0, 0);
    for (name, case) in CASES {
        if filter.is_some_and(|filter| !name.contains(filter.as_str())) {
            continue;
        }
        let fine = std::panic::catch_unwind(case).is_ok();
        println!("test {name} ... {}", if fine { "ok" } else { "FAILED" });
        passed += u32::from(fine);
        failed += u32::from(!fine);
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    // As libtest closes, so that whoever sums suites up counts these cases too.
    println!("\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
