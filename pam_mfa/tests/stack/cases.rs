//! The cases. Each starts with no daemon, an empty log and no calls noted.

use std::time::{Duration, Instant};

use mfad_protocol::names::{GRANT_VARIABLE, PAM_SOCKET, STATE_DIR, USER_SOCKET};

use crate::{
    Bed,
    daemon::CODE,
    host::{
        AUTH_ERR, AUTHINFO_UNAVAIL, PERM_DENIED, RHOST, Reply, SERVICE_ERR, SESSION_ERR, SILENT,
        SUCCESS, TTY, Transaction,
    },
    hygiene::{Snapshot, in_child, resident},
    sandbox::stack,
};

type Case = (&'static str, fn(&mut Bed));

/// All of them, in the order in which they run.
pub(crate) const ALL: &[Case] = &[
    ("a_right_code_opens_the_whole_stack", right_code),
    ("a_wrong_code_is_denied", wrong_code),
    ("the_daemon_is_told_who_and_given_this_process", told_who),
    ("not_required_needs_a_proven_first_factor", not_required),
    ("each_way_a_daemon_can_fail_denies", failing_daemons),
    (
        "an_unreachable_daemon_denies_unless_the_administrator_says_otherwise",
        unreachable,
    ),
    ("break_glass_is_for_root_at_a_console", break_glass),
    ("a_decoy_asks_alike_and_always_refuses", decoy),
    ("a_bad_argument_denies_in_every_hook", bad_arguments),
    ("no_answer_denies", no_answer),
    ("silence_suppresses_information_only", silence),
    ("an_answer_too_late_denies", too_late),
    (
        "a_name_that_nobody_can_have_gets_an_unknown_user_s_dialogue",
        strange_names,
    ),
    ("the_guard_judges_a_login_without_an_auth_phase", guard),
    ("the_grant_goes_to_the_session_and_not_to_the_user", grant),
    ("other_services_pass_without_asking", unguarded),
    (
        "a_password_change_asks_once_and_keeps_what_was_decided",
        password,
    ),
    ("waiting_shows_the_cue_and_polls", waiting),
    ("a_socket_that_is_not_root_s_is_not_trusted", impostors),
    ("who_is_not_root_uses_the_other_socket", as_a_user),
    ("without_a_socket_the_system_bus_serves", over_the_bus),
    (
        "a_name_on_the_bus_with_a_strange_owner_is_not_trusted",
        impostor_on_the_bus,
    ),
    ("the_caller_s_bus_address_is_not_followed", foreign_bus),
    ("the_host_is_left_as_it_was", host_hygiene),
    ("a_forked_child_can_authenticate_again", forked),
    #[cfg(feature = "failpoints")]
    ("a_panic_in_any_hook_denies_and_the_host_lives", panics),
];

const STACK: &str = "auth required MODULE\naccount required MODULE\npassword required MODULE\nsession required MODULE\n";

fn typed(service: &str, user: &str, code: &'static [u8]) -> Transaction {
    Transaction::start(service, Some(user.as_bytes()), [Reply::Type(code)])
}

fn auth(service: &str, user: &str) -> i32 {
    typed(service, user, CODE).authenticate()
}

fn right_code(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", STACK);
    let mut login = typed("login", "alice", CODE);
    assert_eq!(login.authenticate(), SUCCESS);
    assert_eq!(login.account(), SUCCESS);
    assert_eq!(login.setcred(), SUCCESS);
    assert_eq!(login.open_session(0), SUCCESS);
    assert_eq!(login.close_session(), SUCCESS);
    let shown: Vec<_> = login
        .shown()
        .iter()
        .map(|(style, text)| (*style, text.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (4, "Hello."),
            (1, "Verification code: "),
            (4, "9 backup codes are left."),
            (4, "9 backup codes are left."),
        ]
    );
    assert!(bed.logged().is_empty());
}

fn wrong_code(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", STACK);
    for code in [&b"654321"[..], b"", b"\x08\n\r\x7fINCORRECT"] {
        assert_eq!(typed("login", "alice", code).authenticate(), AUTH_ERR);
    }
    assert!(
        bed.calls()
            .contains(&format!("{:?}", b"\x08\n\r\x7fINCORRECT".to_vec()))
    );
    let long: &'static [u8] = Vec::leak(vec![b'1'; 1 << 20]);
    assert_eq!(typed("login", "alice", long).authenticate(), AUTH_ERR);
    let sent = bed.calls().matches("49").count();
    assert_eq!(sent, mfad_protocol::limits::ANSWER);
}

fn told_who(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("sshd", STACK);
    assert_eq!(auth("sshd", "alice"), SUCCESS);
    let calls = bed.calls();
    let me = std::process::id();
    assert!(
        calls.starts_with(&format!(
            "Begin hook=Some(Auth) service=\"sshd\" user=\"alice\" uid=Some(0) guarded=Some(true) decoy=Some(false) \
             grant=None processes=[\"{me}\"]\nRespond "
        )),
        "{calls}"
    );
}

fn not_required(bed: &mut Bed) {
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

fn failing_daemons(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    // None of these is "unreachable" but the daemon that never spoke and the one that says that it cannot decide.
    stack(
        "login",
        "auth required MODULE after=password unreachable=ignore\n",
    );
    for (user, code) in [
        ("denied", AUTH_ERR),
        ("refused", AUTH_ERR),
        ("nonsense", AUTHINFO_UNAVAIL),
        ("midway", AUTHINFO_UNAVAIL),
        ("unavailable", SUCCESS),
    ] {
        assert_eq!(auth("login", user), code, "{user}");
    }
    stack("login", "auth required MODULE after=password\n");
    for user in ["unavailable", "hangup", "garbage", "huge", "mute"] {
        let start = Instant::now();
        assert_eq!(auth("login", user), AUTHINFO_UNAVAIL, "{user}");
        let took = start.elapsed();
        assert!(took < Duration::from_millis(2500), "{user} took {took:?}");
        if user == "mute" {
            assert!(took >= Duration::from_secs(2), "{user} took {took:?}");
        }
    }
    let log = bed.logged();
    assert!(!log.is_empty());
    assert!(log.iter().all(|line| !line.contains('\n')), "{log:?}");
}

fn unreachable(bed: &mut Bed) {
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

fn break_glass(bed: &mut Bed) {
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
    // With a daemon that answers, the door is shut.
    bed.daemon(&["peer", PAM_SOCKET]);
    let mut login = typed("login", "root", b"000000").item(TTY, "/dev/tty1");
    assert_eq!(login.authenticate(), AUTH_ERR);
}

fn decoy(bed: &mut Bed) {
    stack("login", "auth required MODULE decoy\n");
    assert_eq!(auth("login", "alice"), AUTHINFO_UNAVAIL);
    bed.daemon(&["peer", PAM_SOCKET]);
    let mut login = typed("login", "alice", CODE);
    assert_eq!(login.authenticate(), AUTH_ERR);
    assert_eq!(login.shown()[1], (1, "Verification code: ".to_owned()));
    assert!(bed.calls().contains("decoy=Some(true)"));
    assert_eq!(auth("login", "none"), AUTH_ERR);
}

fn bad_arguments(bed: &mut Bed) {
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
    assert_eq!(bed.calls(), "");
}

fn no_answer(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", STACK);
    for reply in [Reply::Null, Reply::NoArray, Reply::Fail] {
        let mut login = Transaction::start("login", Some(b"alice"), [reply.clone()]);
        assert_eq!(login.authenticate(), AUTH_ERR, "{reply:?}");
    }
    std::thread::sleep(Duration::from_millis(50));
    let calls = bed.calls();
    assert!(!calls.contains("Respond"), "{calls}");
    assert_eq!(calls.matches("Cancel").count(), 3, "{calls}");
}

fn silence(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", STACK);
    let mut login = typed("login", "alice", CODE);
    assert_eq!(login.authenticate_with(SILENT), SUCCESS);
    assert_eq!(login.shown(), [(1, "Verification code: ".to_owned())]);
}

fn too_late(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", "auth required MODULE timeout=5\n");
    let mut login = Transaction::start("login", Some(b"alice"), [Reply::Late(5050, CODE)]);
    assert_eq!(login.authenticate(), AUTH_ERR);
    assert!(!bed.calls().contains("Respond"));
}

fn strange_names(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", STACK);
    let long = vec![b'x'; 4096];
    for name in [&b"root\nalice"[..], b"\xff\xfe", b"a\x1b[2Jb", &long] {
        let mut login = Transaction::start("login", Some(name), [Reply::Type(b"1")]);
        assert_eq!(login.authenticate(), AUTH_ERR);
        assert_eq!(login.shown()[1].1, "Verification code: ");
        let calls = bed.calls();
        assert!(calls.contains('\u{FFFD}') && calls.len() < 600, "{calls}");
    }
    assert!(bed.logged().is_empty());
}

fn guard(bed: &mut Bed) {
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
    bed.nobody();
    assert_eq!(typed("sshd", "none", CODE).account(), AUTHINFO_UNAVAIL);
    assert_eq!(typed("sshd", "none", CODE).open_session(0), SESSION_ERR);
    stack("sshd", &STACK.replace("MODULE", "MODULE guard=none"));
    assert_eq!(typed("sshd", "none", CODE).account(), SUCCESS);
}

fn grant(bed: &mut Bed) {
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

fn unguarded(bed: &mut Bed) {
    stack("sudo", STACK);
    let mut fresh = typed("sudo", "alice", CODE);
    assert_eq!(
        (fresh.account(), fresh.open_session(0), fresh.setcred()),
        (SUCCESS, SUCCESS, SUCCESS)
    );
    assert!(bed.logged().is_empty());
}

fn password(bed: &mut Bed) {
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

fn waiting(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", STACK);
    let mut login = Transaction::start("login", Some(b"wait"), []);
    assert_eq!(login.authenticate(), SUCCESS);
    assert_eq!(login.shown(), [(4, "Touch your key.".to_owned())]);
    assert!(bed.calls().contains("Respond []"));
}

fn impostors(bed: &mut Bed) {
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
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(auth("login", "alice"), AUTHINFO_UNAVAIL);
    let log = bed.logged();
    assert!(
        log.iter()
            .any(|line| line.contains("uid 1000 listens there")),
        "{log:?}"
    );
    assert_eq!(bed.calls(), "");
}

fn as_a_user(bed: &mut Bed) {
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

fn over_the_bus(bed: &mut Bed) {
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

fn impostor_on_the_bus(bed: &mut Bed) {
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

fn foreign_bus(bed: &mut Bed) {
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

fn host_hygiene(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("sshd", STACK);
    stack("broken", &STACK.replace("MODULE", "MODULE nonsense"));
    let whole = |user: &str, code: &'static [u8]| {
        let mut login = typed("sshd", user, code);
        login.authenticate();
        login.account();
        login.setcred();
        login.open_session(0);
        login.close_session();
    };
    // SAFETY: the host ignores SIGPIPE or does not; the module must not care.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o027));
    whole("alice", CODE);
    let before = Snapshot::take();
    let mut after_warm_up = 0;
    for round in 0..1000 {
        whole("alice", CODE);
        match round % 10 {
            0 => whole("none", CODE),
            1 => whole("alice", b"1"),
            2 => whole("hangup", CODE),
            3 => whole("midway", CODE),
            4 => assert_eq!(auth("broken", "alice"), SERVICE_ERR),
            5 => assert_eq!(
                Transaction::start("sshd", Some(b"alice"), []).authenticate(),
                AUTH_ERR
            ),
            _ => {}
        }
        bed.calls();
        bed.logged();
        if round == 200 {
            after_warm_up = resident();
        }
    }
    assert_eq!(Snapshot::take(), before);
    let grown = resident().saturating_sub(after_warm_up);
    assert!(grown <= 64, "{grown} KiB grown in 800 transactions");
}

fn forked(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", STACK);
    assert_eq!(auth("login", "alice"), SUCCESS);
    for _ in 0..20 {
        let code = in_child(|| {
            let before = Snapshot::take();
            let code = auth("login", "alice");
            assert_eq!(Snapshot::take(), before);
            code
        });
        assert_eq!(code, SUCCESS);
    }
    assert_eq!(auth("login", "alice"), SUCCESS);
}

#[cfg(feature = "failpoints")]
fn panics(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    let before = Snapshot::take();
    for (hook, code) in [
        ("auth", AUTH_ERR),
        ("account", PERM_DENIED),
        ("session", SESSION_ERR),
        ("password", PERM_DENIED),
    ] {
        stack(
            "login",
            &STACK.replace("MODULE", &format!("MODULE failpoint=panic:{hook}")),
        );
        let mut login = typed("login", "alice", CODE);
        let result = match hook {
            "auth" => login.authenticate(),
            "account" => login.account(),
            "session" => login.open_session(0),
            _ => login.change_password(),
        };
        assert_eq!(result, code, "{hook}");
        let log = bed.logged();
        assert!(
            log.iter()
                .any(|line| line.contains("internal error at") && !line.contains("injected")),
            "{log:?}"
        );
    }
    assert_eq!(Snapshot::take(), before);
    // The host is written in Rust too, and its own hook is still its own.
    static HEARD: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {
        HEARD.store(true, std::sync::atomic::Ordering::Release)
    }));
    stack(
        "login",
        &STACK.replace("MODULE", "MODULE failpoint=panic:auth"),
    );
    assert_eq!(auth("login", "alice"), AUTH_ERR);
    assert!(!HEARD.swap(false, std::sync::atomic::Ordering::AcqRel));
    let _ = std::panic::catch_unwind(|| panic!("the host's"));
    std::panic::set_hook(hook);
    assert!(HEARD.load(std::sync::atomic::Ordering::Acquire));
}
