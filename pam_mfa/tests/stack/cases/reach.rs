//! Which daemon is believed, and which way leads to it.

use std::time::{Duration, Instant};

use mfad_protocol::names::{PAM_SOCKET, STATE_DIR, USER_SOCKET};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{STACK, auth, typed};
use crate::{
    Bed,
    daemon::CODE,
    host::{AUTH_ERR, AUTHINFO_UNAVAIL, SUCCESS},
    hygiene::in_child,
    sandbox::stack,
    wait_until,
};

pub(super) fn impostors(bed: &mut Bed) {
    stack("login", STACK);
    bed.daemon(&["peer", PAM_SOCKET]);
    let owner = |path: &str, uid: u32| nix::unistd::chown(path, Some(uid.into()), None).unwrap();
    let mode = |path: &str, bits: u32| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(bits);
        std::fs::set_permissions(path, permissions).unwrap();
    };
    assert_eq!(auth("login", "alice"), SUCCESS);
    owner(PAM_SOCKET, 1000);
    assert_eq!(auth("login", "alice"), AUTHINFO_UNAVAIL);
    owner(PAM_SOCKET, 0);
    mode("/run/mfad", 0o777);
    assert_eq!(auth("login", "alice"), AUTHINFO_UNAVAIL);
    mode("/run/mfad", 0o755);
    owner("/run/mfad", 1000);
    assert_eq!(auth("login", "alice"), AUTHINFO_UNAVAIL);
    owner("/run/mfad", 0);
    assert_eq!(auth("login", "alice"), SUCCESS);
    bed.nobody();
    bed.calls();
    bed.daemon(&["peer-as", "1000", PAM_SOCKET]);
    wait_until("its listening", || {
        // The flag is the kernel's __SO_ACCEPTCON. To connect would be a call.
        std::fs::read_to_string("/proc/net/unix").is_ok_and(|sockets| {
            sockets
                .lines()
                .any(|line| line.contains(" 00010000 ") && line.ends_with(PAM_SOCKET))
        })
    });
    assert_eq!(auth("login", "alice"), AUTHINFO_UNAVAIL);
    let log = bed.logged();
    assert!(
        log.iter()
            .any(|line| line.contains("uid 1000 listens there")),
        "{log:?}"
    );
    assert_eq!(bed.calls(), "");
}

pub(super) fn as_a_user(bed: &mut Bed) {
    bed.daemon(&["peer", USER_SOCKET]);
    stack("swaylock", "auth required MODULE after=password\n");
    assert_eq!(auth("swaylock", "alice"), AUTHINFO_UNAVAIL);
    let code = in_child(|| {
        nix::unistd::setuid(1000.into()).unwrap();
        auth("swaylock", "alice")
    });
    assert_eq!(code, SUCCESS);
    assert!(bed.calls().contains("uid=Some(1000)"));
}

pub(super) fn over_the_bus(bed: &mut Bed) {
    bed.dbus_daemon();
    stack("login", STACK);
    let start = Instant::now();
    assert_eq!(auth("login", "alice"), AUTHINFO_UNAVAIL);
    assert!(start.elapsed() < Duration::from_secs(2));
    bed.daemon(&["bus"]);
    let mut login = typed("login", "alice", CODE);
    assert_eq!((login.authenticate(), login.account()), (SUCCESS, SUCCESS));
    let me = std::process::id();
    assert!(bed.calls().contains(&format!("processes=[\"{me}\"]")));
    assert_eq!(auth("login", "denied"), AUTH_ERR);
    assert_eq!(auth("login", "refused"), AUTH_ERR);
}

pub(super) fn impostor_on_the_bus(bed: &mut Bed) {
    bed.dbus_daemon();
    stack("login", STACK);
    bed.daemon(&["bus", "1000"]);
    assert_eq!(auth("login", "alice"), AUTHINFO_UNAVAIL);
    let log = bed.logged();
    assert!(
        log.iter().any(|line| line.contains("owned by uid 1000")),
        "{log:?}"
    );
    assert_eq!(bed.calls(), "");
    // The owner of the state directory is who the daemon runs as, where root alone can have made it so.
    std::fs::create_dir(STATE_DIR).unwrap();
    nix::unistd::chown(STATE_DIR, Some(1000.into()), None).unwrap();
    assert_eq!(auth("login", "alice"), SUCCESS);
    nix::unistd::chown("/var/lib", Some(1000.into()), None).unwrap();
    assert_eq!(auth("login", "alice"), AUTHINFO_UNAVAIL);
    nix::unistd::chown("/var/lib", Some(0.into()), None).unwrap();
    std::fs::remove_dir(STATE_DIR).unwrap();
}

pub(super) fn foreign_bus(bed: &mut Bed) {
    bed.dbus_daemon();
    bed.daemon(&["bus"]);
    std::fs::rename("/run/dbus/system_bus_socket", "/run/foreign").unwrap();
    stack("su", STACK);
    let code = in_child(|| {
        for name in [
            "DBUS_SYSTEM_BUS_ADDRESS",
            "DBUS_STARTER_ADDRESS",
            "DBUS_SESSION_BUS_ADDRESS",
        ] {
            // SAFETY: a child with one thread.
            unsafe { std::env::set_var(name, "unix:path=/run/foreign") };
        }
        auth("su", "alice")
    });
    assert_eq!(code, AUTHINFO_UNAVAIL);
    assert_eq!(bed.calls(), "");
}

pub(super) fn starved(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack(
        "su",
        "auth required MODULE after=password unreachable=ignore\naccount required MODULE guard=su\n",
    );
    let code = in_child(|| {
        let mut su = typed("su", "none", CODE);
        assert_eq!(su.authenticate(), SUCCESS);
        // The next descriptor would be the lowest that is free, which is not allowed any more.
        let next = std::fs::File::open("/dev/null").unwrap();
        let least = u64::try_from(std::os::fd::AsRawFd::as_raw_fd(&next)).unwrap();
        drop(next);
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, least, most).unwrap();
        // A libpam that cannot open its audit log fails too, and hides what the module said.
        assert_ne!(su.authenticate(), SUCCESS);
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        // Its account line lets pass what its auth line did.
        std::fs::remove_file(PAM_SOCKET).unwrap();
        su.account()
    });
    assert_eq!(code, AUTHINFO_UNAVAIL);
    assert_eq!(bed.calls().matches("Begin").count(), 1);
}
