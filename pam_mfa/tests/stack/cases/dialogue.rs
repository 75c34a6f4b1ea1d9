//! What a person and a daemon can do in a dialogue.

use std::time::{Duration, Instant};

use mfad_protocol::names::PAM_SOCKET;

use super::{STACK, auth, typed};
use crate::{
    Bed,
    daemon::{CALLS, CODE},
    host::{AUTH_ERR, AUTHINFO_UNAVAIL, Reply, SILENT, SUCCESS, Transaction},
    sandbox::stack,
    wait_until,
};

pub(super) fn right_code(bed: &mut Bed) {
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

pub(super) fn wrong_code(bed: &mut Bed) {
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
    // Of the answer's line alone: a process number may hold a 49 too.
    let calls = bed.calls();
    let answered = calls.lines().filter(|line| line.starts_with("Respond"));
    let sent: usize = answered.map(|line| line.matches("49").count()).sum();
    assert_eq!(sent, mfad_protocol::limits::ANSWER);
}

pub(super) fn told_who(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("sshd", STACK);
    assert_eq!(auth("sshd", "alice"), SUCCESS);
    let calls = bed.calls();
    let me = std::process::id();
    assert!(
        calls.starts_with(&format!(
            "Begin hook=Some(Auth) service=\"sshd\" user=\"alice\" uid=Some(0) guarded=Some(true) defer=Some(false) decoy=Some(false) \
             grant=None processes=[\"{me}\"]\nRespond "
        )),
        "{calls}"
    );
}

pub(super) fn failing_daemons(bed: &mut Bed) {
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
        assert!(took < Duration::from_secs(20), "{user} took {took:?}");
        if user == "mute" {
            assert!(took >= Duration::from_secs(2), "{user} took {took:?}");
        }
    }
    let log = bed.logged();
    assert!(!log.is_empty());
    assert!(log.iter().all(|line| !line.contains('\n')), "{log:?}");
}

pub(super) fn decoy(bed: &mut Bed) {
    stack("login", "auth required MODULE decoy\n");
    assert_eq!(auth("login", "alice"), AUTHINFO_UNAVAIL);
    bed.daemon(&["peer", PAM_SOCKET]);
    let mut login = typed("login", "alice", CODE);
    assert_eq!(login.authenticate(), AUTH_ERR);
    assert_eq!(login.shown()[1], (1, "Verification code: ".to_owned()));
    assert!(bed.calls().contains("decoy=Some(true)"));
    assert_eq!(auth("login", "none"), AUTH_ERR);
}

pub(super) fn no_answer(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", STACK);
    for reply in [Reply::Null, Reply::NoArray, Reply::Fail] {
        let mut login = Transaction::start("login", Some(b"alice"), [reply.clone()]);
        assert_eq!(login.authenticate(), AUTH_ERR, "{reply:?}");
    }
    // Nobody waits for the answer to a cancellation, nor for its arrival.
    wait_until("the last cancellation", || {
        std::fs::read_to_string(CALLS).is_ok_and(|calls| calls.matches("Cancel").count() >= 3)
    });
    let calls = bed.calls();
    assert!(!calls.contains("Respond"), "{calls}");
    assert_eq!(calls.matches("Cancel").count(), 3, "{calls}");
}

pub(super) fn silence(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", STACK);
    let mut login = typed("login", "alice", CODE);
    assert_eq!(login.authenticate_with(SILENT), SUCCESS);
    assert_eq!(login.shown(), [(1, "Verification code: ".to_owned())]);
}

pub(super) fn too_late(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", "auth required MODULE timeout=5\n");
    let mut login = Transaction::start("login", Some(b"alice"), [Reply::Late(5050, CODE)]);
    assert_eq!(login.authenticate(), AUTH_ERR);
    assert!(!bed.calls().contains("Respond"));
}

pub(super) fn strange_names(bed: &mut Bed) {
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

pub(super) fn waiting(bed: &mut Bed) {
    bed.daemon(&["peer", PAM_SOCKET]);
    stack("login", STACK);
    let mut login = Transaction::start("login", Some(b"wait"), []);
    assert_eq!(login.authenticate(), SUCCESS);
    assert_eq!(login.shown(), [(4, "Touch your key.".to_owned())]);
    assert!(bed.calls().contains("Respond []"));
}
