//! What each entry point does, and what goes from one to the next.

use std::time::{Duration, Instant};

use mfad_protocol::{
    limits,
    names::{GRANT_VARIABLE, PAM_SOCKET},
};
use nix::sys::signal::{Signal, kill};

use super::{STACK, auth, typed};
use crate::{
    Bed,
    daemon::{CALLS, CODE, SLOW},
    host::{
        AUTH_ERR, AUTHINFO_UNAVAIL, PERM_DENIED, RHOST, Reply, SERVICE_ERR, SESSION_ERR, SUCCESS,
        TTY, Transaction, USER,
    },
    hygiene::{begin_in_child, end_of, in_child},
    sandbox::stack,
};

pub(super) fn not_required(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", "auth required MODULE\n");
    // IGNORE: nothing in the stack succeeded.
    assert_eq!(auth("login", "none"), PERM_DENIED);
    let mut by_sshd =
        typed("login", "none", CODE).env("SSH_AUTH_INFO_0=publickey ssh-ed25519 AAAA");
    assert_eq!(by_sshd.authenticate(), SUCCESS);
    let mut empty = typed("login", "none", CODE).env("SSH_AUTH_INFO_0=");
    assert_eq!(empty.authenticate(), PERM_DENIED);
    stack("login", "auth required MODULE after=password\n");
    assert_eq!(auth("login", "none"), SUCCESS);
}

pub(super) fn unreachable(bed: &mut Bed) {
    stack(
        "login",
        "auth required MODULE after=password\naccount required MODULE\n",
    );
    assert_eq!(auth("login", "alice"), AUTHINFO_UNAVAIL);
    let log = bed.logged();
    assert!(
        log[0].starts_with("<83>pam_mfa[") && log[0].contains("mfad cannot be reached"),
        "{log:?}"
    );
    stack("login", "auth required MODULE unreachable=ignore\n");
    assert_eq!(auth("login", "alice"), PERM_DENIED);
    let pass = "auth required MODULE after=password unreachable=ignore\naccount required MODULE\n";
    stack("login", pass);
    let mut login = typed("login", "alice", CODE);
    assert_eq!((login.authenticate(), login.account()), (SUCCESS, SUCCESS));
    assert!(login.shown().is_empty());
    // A guarded service keeps the outcome of its auth phase too.
    stack("sshd", &format!("{pass}session required MODULE\n"));
    let mut login = typed("sshd", "alice", CODE);
    assert_eq!(
        (login.authenticate(), login.account(), login.open_session(0)),
        (SUCCESS, SUCCESS, SUCCESS)
    );
    let mut by_key = typed("sshd", "alice", CODE);
    assert_eq!(
        (by_key.account(), by_key.open_session(0)),
        (AUTHINFO_UNAVAIL, SESSION_ERR)
    );
}

pub(super) fn stopped(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stop_and_go(bed);
}

pub(super) fn stopped_on_the_bus(bed: &mut Bed) {
    bed.dbus_daemon();
    bed.daemon(&["bus"]);
    stop_and_go(bed);
}

fn stop_and_go(bed: &mut Bed) {
    stack(
        "sudo",
        "auth required MODULE after=password unreachable=ignore\n",
    );
    // Nobody stops it: the daemon is too slow, and the administrator lets that pass.
    assert_eq!(auth("sudo", "slow"), SUCCESS);
    // Stopped until the time is up, not yet until the answer is there; and until well after it.
    for stop in [SLOW * 5 / 6, SLOW * 2] {
        // On a busy machine the stop may come when the time is nearly up: that shows nothing.
        let shown = (0..20).any(|_| stops_and_goes(bed, stop));
        assert!(shown, "the stop always came too late");
    }
}

/// Whether the host was stopped soon enough; then it must have been refused.
fn stops_and_goes(bed: &mut Bed, stop: Duration) -> bool {
    bed.calls();
    let begun = Instant::now();
    let host = begin_in_child(|| {
        let mut login = typed("sudo", "slow", b"000000");
        let code = login.authenticate();
        // Nobody was asked.
        if login.shown().is_empty() { -1 } else { code }
    });
    crate::wait_until("a call", || {
        std::fs::read(CALLS).is_ok_and(|calls| !calls.is_empty())
    });
    kill(host, Signal::SIGSTOP).unwrap();
    let soon = begun.elapsed() < limits::CONNECT / 2;
    std::thread::sleep(stop);
    kill(host, Signal::SIGCONT).unwrap();
    let end = end_of(host);
    if soon {
        assert_eq!(end, AUTH_ERR, "{stop:?}");
    }
    soon
}

pub(super) fn break_glass(bed: &mut Bed) {
    stack(
        "login",
        "auth required MODULE after=password breakglass=console\naccount required MODULE\n",
    );
    let door = |user: &str, tty: &str, rhost: &str| {
        let mut login = typed("login", user, CODE).item(TTY, tty).item(RHOST, rhost);
        (login.authenticate(), login.account())
    };
    assert_eq!(door("root", "/dev/tty1", ""), (SUCCESS, SUCCESS));
    let log = bed.logged();
    assert!(
        log.iter()
            .any(|line| line.starts_with("<81>") && line.contains("BREAK-GLASS")),
        "{log:?}"
    );
    for (user, tty, rhost) in [
        ("alice", "/dev/tty1", ""),
        ("root", "/dev/pts/0", ""),
        ("root", "/dev/tty1", "203.0.113.9"),
        ("root", "", ""),
    ] {
        assert_eq!(
            door(user, tty, rhost).0,
            AUTHINFO_UNAVAIL,
            "{user} {tty} {rhost}"
        );
    }
    assert!(!bed.logged().iter().any(|line| line.contains("BREAK-GLASS")));
    // It was opened for root, not for who is in the handle afterwards.
    stack(
        "login",
        "auth required MODULE after=password breakglass=console\naccount required MODULE guard=login\n",
    );
    let mut login = typed("login", "root", CODE).item(TTY, "/dev/tty1");
    assert_eq!(login.authenticate(), SUCCESS);
    assert_eq!(login.account(), SUCCESS);
    let mut login = login.item(USER, "alice");
    assert_eq!(login.account(), AUTHINFO_UNAVAIL);
    bed.logged();
    // With a daemon that answers, the door is shut.
    bed.daemon(&["peer", PAM_SOCKET]);
    let mut login = typed("login", "root", b"000000").item(TTY, "/dev/tty1");
    assert_eq!(login.authenticate(), AUTH_ERR);
}

pub(super) fn bad_arguments(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    for args in [
        "nullok",
        "debug debug",
        "timeout=1",
        "unreachable=ignor",
        "breakglass=console",
        "guard=",
    ] {
        stack("login", &STACK.replace("MODULE", &format!("MODULE {args}")));
        let mut login = typed("login", "alice", CODE);
        assert_eq!(login.authenticate(), SERVICE_ERR, "{args}");
        assert_eq!(login.account(), SERVICE_ERR, "{args}");
        assert_eq!(login.open_session(0), SERVICE_ERR, "{args}");
        assert_eq!(login.change_password(), SERVICE_ERR, "{args}");
        assert_ne!(login.setcred(), SUCCESS, "{args}");
        assert_ne!(login.close_session(), SUCCESS, "{args}");
        assert!(login.shown().is_empty());
        assert!(
            bed.logged()
                .iter()
                .all(|line| line.contains("access is denied"))
        );
    }
    stack("login", "account required MODULE decoy\n");
    assert_eq!(typed("login", "alice", CODE).account(), SERVICE_ERR);
    stack("login", "auth required MODULE defer=session\n");
    assert_eq!(auth("login", "alice"), SERVICE_ERR);
    stack("sshd", "session required MODULE defer=session\n");
    assert_eq!(typed("sshd", "none", CODE).open_session(0), SERVICE_ERR);
    assert_eq!(bed.calls(), "");
}

pub(super) fn guard(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("sshd", STACK);
    assert_eq!(typed("sshd", "alice", CODE).account(), PERM_DENIED);
    assert_eq!(typed("sshd", "none", CODE).account(), SUCCESS);
    // A daemon that wants to ask where nobody can be asked: "mute" to the account phase.
    assert_eq!(
        typed("sshd", "unavailable", CODE).account(),
        AUTHINFO_UNAVAIL
    );
    assert_eq!(typed("sshd", "alice", CODE).open_session(0), PERM_DENIED);
    assert_eq!(typed("sshd", "none", CODE).open_session(0), SUCCESS);
    assert!(!bed.calls().contains("defer=Some(true)"));
    // Told that there is a session line, the daemon may leave it the decision.
    stack(
        "sshd",
        "account required MODULE defer=session\nsession required MODULE\n",
    );
    assert_eq!(typed("sshd", "none", CODE).account(), SUCCESS);
    let calls = bed.calls();
    assert!(
        calls.contains("hook=Some(Account)") && calls.contains("defer=Some(true)"),
        "{calls}"
    );
    stack("sshd", STACK);
    bed.nobody();
    assert_eq!(typed("sshd", "none", CODE).account(), AUTHINFO_UNAVAIL);
    assert_eq!(typed("sshd", "none", CODE).open_session(0), SESSION_ERR);
    stack("sshd", &STACK.replace("MODULE", "MODULE guard=none"));
    assert_eq!(typed("sshd", "none", CODE).account(), SUCCESS);
}

pub(super) fn grant(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("sshd", STACK);
    let name = std::ffi::CString::new(GRANT_VARIABLE).unwrap();
    let mut child = typed("sshd", "alice", CODE);
    assert_eq!((child.authenticate(), child.account()), (SUCCESS, SUCCESS));
    let grant = child.get_env(&name);
    assert_eq!(grant.as_deref(), Some("g-alice"));
    // sshd's parent imports the environment into a transaction of its own.
    let mut parent = typed("sshd", "alice", CODE).env("PAM_MFA_GRANT=g-alice");
    assert_eq!(parent.open_session(0), SUCCESS);
    assert_eq!(parent.get_env(&name), None);
    // Removed whatever it is, and whatever comes of it.
    let mut forged = typed("sshd", "alice", CODE).env("PAM_MFA_GRANT=x y");
    assert_eq!(forged.open_session(0), PERM_DENIED);
    assert_eq!(forged.get_env(&name), None);
    // Nothing of ours for a service whose session runs in the same process.
    stack("login", STACK);
    let mut login = typed("login", "alice", CODE);
    assert_eq!((login.authenticate(), login.account()), (SUCCESS, SUCCESS));
    assert_eq!(login.get_env(&name), None);
}

pub(super) fn unguarded(bed: &mut Bed) {
    stack("sudo", STACK);
    let mut fresh = typed("sudo", "alice", CODE);
    assert_eq!(
        (fresh.account(), fresh.open_session(0), fresh.setcred()),
        (SUCCESS, SUCCESS, SUCCESS)
    );
    assert!(bed.logged().is_empty());
}

pub(super) fn password(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    let change = |user: &'static str, code: &'static [u8], lines: &str| {
        stack("passwd", lines);
        in_child(move || {
            // passwd: the user's real uid, root's effective one.
            nix::unistd::setresuid(1000.into(), 0.into(), 0.into()).unwrap();
            let mut passwd = typed("passwd", user, code);
            let result = passwd.change_password();
            let prompts = passwd
                .shown()
                .iter()
                .filter(|(style, _)| *style == 1)
                .count();
            result * 10 + i32::try_from(prompts).unwrap()
        })
    };
    let alone = "password required MODULE\n";
    let before = "password required MODULE\npassword required pam_permit.so\n";
    assert_eq!(change("alice", CODE, before), SUCCESS * 10 + 1);
    assert_eq!(change("alice", b"1", before), PERM_DENIED * 10 + 1);
    assert_eq!(change("none", CODE, before), SUCCESS * 10);
    assert_eq!(change("denied", CODE, before), PERM_DENIED * 10);
    // Not asked is not success: nothing else in this stack succeeds.
    assert_eq!(change("none", CODE, alone), PERM_DENIED * 10);
    // Both halves go through the same lines of the stack, whichever way the check went.
    let apart = concat!(
        "password [success=1 default=ignore] MODULE\n",
        "password required pam_debug.so prechauthtok=success chauthtok=perm_denied\n",
        "password required pam_permit.so\n"
    );
    assert_eq!(change("alice", CODE, apart), SUCCESS * 10 + 1);
    assert_eq!(change("alice", b"1", apart), PERM_DENIED * 10 + 1);
    assert_eq!(change("none", CODE, apart), PERM_DENIED * 10);
    let jump = "password [success=1 default=ignore] MODULE\npassword required pam_deny.so\npassword required pam_permit.so\n";
    assert_eq!(change("alice", CODE, jump), SUCCESS * 10 + 1);
    assert_ne!(change("alice", b"1", jump) / 10, SUCCESS);
    let sufficient = "password requisite MODULE\npassword sufficient pam_permit.so\npassword required pam_deny.so\n";
    assert_eq!(change("alice", CODE, sufficient), SUCCESS * 10 + 1);
    assert_eq!(change("alice", b"1", sufficient), PERM_DENIED * 10 + 1);
    bed.calls();
    // Root could write the file itself.
    stack("passwd", before);
    let mut root = typed("passwd", "alice", CODE);
    assert_eq!(root.change_password(), SUCCESS);
    assert_eq!(bed.calls(), "");
    // A login whose password has expired: the step-up was done a moment ago.
    stack("su", &format!("auth required MODULE\n{before}"));
    let code = in_child(|| {
        nix::unistd::setresuid(1000.into(), 0.into(), 0.into()).unwrap();
        let mut su = typed("su", "alice", CODE);
        su.authenticate() + su.change_password()
    });
    assert_eq!(code, SUCCESS);
    assert_eq!(bed.calls().matches("Begin").count(), 1);
}

pub(super) fn another_user(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack(
        "su",
        "auth required MODULE\naccount required MODULE\npassword required MODULE\npassword required pam_permit.so\n",
    );
    let code = in_child(|| {
        nix::unistd::setresuid(1000.into(), 0.into(), 0.into()).unwrap();
        let mut su = typed("su", "alice", CODE);
        assert_eq!(su.authenticate(), SUCCESS);
        // What alice has proven is nothing to bob, who is asked and says nothing.
        let mut su = su.item(USER, "bob");
        let prompts = su.shown().len();
        let changed = su.change_password();
        assert!(su.shown().len() > prompts, "bob was not asked");
        changed
    });
    assert_eq!(code, PERM_DENIED);
    assert_eq!(bed.calls().matches("user=\"bob\"").count(), 1);
}

pub(super) fn second_try(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    // The first try is right, and the stack fails elsewhere.
    stack(
        "login",
        "auth required MODULE\nauth required pam_deny.so\naccount required MODULE\n",
    );
    let answers = [Reply::Type(CODE), Reply::Type(b"000000")];
    let mut login = Transaction::start("login", Some(b"alice"), answers);
    assert_ne!(login.authenticate(), SUCCESS);
    assert_ne!(login.authenticate(), SUCCESS);
    assert_eq!(bed.calls().matches("Respond").count(), 2);
    login.account();
    let calls = bed.calls();
    assert!(!calls.contains("g-alice"), "{calls}");
}
