//! A place where the compiled-in paths are the suite's: namespaces of its own, with an empty `/run` and a log.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::{Path, PathBuf},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::{getgid, getuid},
};

use crate::host::STACKS;

/// Enters the namespaces. The process must have one thread still.
pub(crate) fn enter() -> UnixDatagram {
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
    // The module may lie below what is covered now.
    for place in ["/run", "/var/lib"] {
        mount(
            Some("tmpfs"),
            place,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("mode=0755"),
        )
        .unwrap();
    }
    for directory in ["/run/mfad", "/run/dbus", "/run/dev", STACKS] {
        fs::create_dir(directory).unwrap();
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // A /dev with a log in it.
    let log = UnixDatagram::bind("/run/dev/log").unwrap();
    fs::set_permissions("/run/dev/log", fs::Permissions::from_mode(0o666)).unwrap();
    log.set_nonblocking(true).unwrap();
    for node in ["null", "urandom"] {
        fs::write(format!("/run/dev/{node}"), "").unwrap();
        let (from, to) = (format!("/dev/{node}"), format!("/run/dev/{node}"));
        mount(
            Some(from.as_str()),
            to.as_str(),
            none,
            MsFlags::MS_BIND,
            none,
        )
        .unwrap();
    }
    mount(
        Some("/run/dev"),
        "/dev",
        none,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none,
    )
    .unwrap();
    // libpam logs a line of its own, through a descriptor that it keeps, where this one is missing.
    fs::write(
        Path::new(STACKS).join("other"),
        "auth required pam_deny.so\n",
    )
    .unwrap();
    log
}

/// Everything logged so far.
pub(crate) fn logged(log: &UnixDatagram) -> Vec<String> {
    let mut lines = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = log.recv(&mut buffer) {
        lines.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
    }
    lines
}

/// Writes the stack of a service; `MODULE` in it becomes the module's path.
pub(crate) fn stack(service: &str, lines: &str) {
    let path = Path::new(STACKS).join(service);
    fs::write(path, lines.replace("MODULE", module().to_str().unwrap())).unwrap();
}

/// The module under test: `PAM_MFA_MODULE`, which names one that is built already, or what [`build`] made.
pub(crate) fn module() -> PathBuf {
    std::env::var_os("PAM_MFA_MODULE").map_or_else(built, PathBuf::from)
}

fn built() -> PathBuf {
    target().join("debug/libpam_mfa.so")
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pam")
}

/// Builds the module as it is shipped, by an invocation of its own: cargo makes no cdylib for a test, and one built
/// along with a suite would have the suite's features in its dependencies.
pub(crate) fn build() {
    if std::env::var_os("PAM_MFA_MODULE").is_some() {
        return;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command
        .args(["build", "--quiet", "-p", "pam_mfa", "--target-dir"])
        .arg(target());
    if cfg!(feature = "failpoints") {
        command.args(["--features", "failpoints"]);
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(
        command.status().unwrap().success(),
        "the module does not build"
    );
}
