//! What the host must find unchanged.

use mfad_protocol::names::PAM_SOCKET;

use super::{STACK, auth, typed};
use crate::{
    Bed,
    daemon::CODE,
    host::{AUTH_ERR, SERVICE_ERR, SUCCESS, Transaction},
    hygiene::{Snapshot, in_child, resident},
    sandbox::stack,
};

pub(super) fn host_hygiene(bed: &mut Bed) {
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

pub(super) fn forked(bed: &mut Bed) {
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
pub(super) fn panics(bed: &mut Bed) {
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::host::{PERM_DENIED, SESSION_ERR};
    static HEARD: AtomicBool = AtomicBool::new(false);
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
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {
        HEARD.store(true, Ordering::Release);
    }));
    stack(
        "login",
        &STACK.replace("MODULE", "MODULE failpoint=panic:auth"),
    );
    assert_eq!(auth("login", "alice"), AUTH_ERR);
    assert!(!HEARD.swap(false, Ordering::AcqRel));
    let _ = std::panic::catch_unwind(|| panic!("the host's"));
    std::panic::set_hook(hook);
    assert!(HEARD.load(Ordering::Acquire));
}
