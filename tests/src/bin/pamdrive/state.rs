//! What a guest in a process must leave as it found it. It only looks.

use std::{collections::BTreeMap, env, fs, mem::MaybeUninit};

use serde_json::{Value, json};

/// The process as it is now.
pub(crate) fn look() -> Value {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let signals = ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"].map(field);
    let ids = ["Uid", "Gid", "Groups"].map(field);
    json!({
        "threads": field("Threads"),
        "descriptors": descriptors(),
        "handlers": handlers(),
        "signals": signals,
        "environment": environment(),
        "directory": env::current_dir().unwrap_or_default(),
        "umask": field("Umask"),
        "children": fs::read_to_string("/proc/thread-self/children").unwrap_or_default(),
        "ids": ids,
    })
}

/// Resident memory, in kB.
pub(crate) fn resident() -> u64 {
    fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or_default()
}

fn descriptors() -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let target = fs::read_link(entry.path())
                .ok()?
                .to_string_lossy()
                .into_owned();
            // The directory that is being read is itself among them.
            (!target.ends_with("/fd"))
                .then(|| (entry.file_name().to_string_lossy().into_owned(), target))
        })
        .collect()
}

fn environment() -> BTreeMap<String, String> {
    env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .collect()
}

/// Address and flags of every signal's handler.
fn handlers() -> Vec<(usize, i32)> {
    (1..=libc::SIGRTMAX())
        .map(|signal| {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: a null new action only asks; the old one has room, and all zeroes is a valid value of it.
            let action = unsafe {
                libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
                action.assume_init()
            };
            (action.sa_sigaction, action.sa_flags)
        })
        .collect()
}
