//! What a host must find unchanged after the module has run in it.

use std::{collections::BTreeMap, fs, mem::MaybeUninit, path::PathBuf};

use nix::unistd::Pid;

/// The process, as a host sees itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    threads: usize,
    descriptors: BTreeMap<String, PathBuf>,
    handlers: Vec<usize>,
    blocked: String,
    environment: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    directory: PathBuf,
    umask: u32,
}

impl Snapshot {
    pub(crate) fn take() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        Self {
            threads: fs::read_dir("/proc/self/task").unwrap().count(),
            descriptors: descriptors(),
            handlers: (1..=64).map(handler).collect(),
            blocked: field("SigBlk:"),
            environment: std::env::vars_os().collect(),
            directory: std::env::current_dir().unwrap(),
            umask: u32::from_str_radix(&field("Umask:"), 8).unwrap(),
        }
    }
}

fn descriptors() -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        // The directory being read is a descriptor itself.
        if !target.ends_with("fd") {
            found.insert(entry.file_name().to_string_lossy().into_owned(), target);
        }
    }
    found
}

fn handler(signal: i32) -> usize {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a query into memory of the right size; for a signal that cannot be asked about it stays zero.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction
    }
}

/// Resident memory, in KiB.
pub(crate) fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs `work` in a forked child and returns its exit status.
pub(crate) fn in_child(work: impl FnOnce() -> i32) -> i32 {
    end_of(begin_in_child(work))
}

/// The child, at work.
pub(crate) fn begin_in_child(work: impl FnOnce() -> i32) -> Pid {
    // SAFETY: this process has one thread, so the child may do what the parent may.
    match unsafe { nix::unistd::fork() }.unwrap() {
        nix::unistd::ForkResult::Child => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(99);
            // SAFETY: ends this process without running the parent's destructors.
            unsafe { libc::_exit(code) }
        }
        nix::unistd::ForkResult::Parent { child } => child,
    }
}

/// The exit code of a child, once it has ended.
pub(crate) fn end_of(child: Pid) -> i32 {
    match nix::sys::wait::waitpid(child, None).unwrap() {
        nix::sys::wait::WaitStatus::Exited(_, code) => code,
        other => panic!("the child ended as {other:?}"),
    }
}
