//! `pam_mfa.so`: collects what is known of a login, asks `mfad`, shows its prompts, sends the answers, and turns the
//! verdict into a PAM code. It must never know a factor's name, read a secret, start a thread, fork, install a signal
//! handler, leave a descriptor, write to the host's streams, or block past its deadline.

mod agent;
mod args;
mod bus;
mod context;
mod dialogue;
mod ffi;
mod hooks;
mod log;
mod outcome;
mod patience;
mod peer;
mod runtime;
mod screen;
mod socket;
mod stop;
mod transaction;
mod transport;

/// A heap that tells what is left in it, for the tests.
#[cfg(test)]
#[path = "../../mfad/protocol/tests/heap/mod.rs"]
mod heap;
#[cfg(test)]
#[global_allocator]
static HEAP: heap::Heap = heap::Heap;

use std::{
    ffi::CStr,
    panic::{AssertUnwindSafe, catch_unwind},
};

use mfad_protocol::Hook;
use pam::{
    constants::{PamFlag, PamResultCode},
    module::{PamHandle, PamHooks},
};

struct Module;

/// The six symbols that libpam looks for.
#[allow(
    missing_docs,
    unreachable_pub,
    reason = "what the macro writes: exported to libpam, undocumented there"
)]
mod entry {
    use super::Module;

    pam::pam_hooks!(Module);
}

impl PamHooks for Module {
    fn sm_authenticate(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        guarded(outcome::failed(Hook::Auth), || {
            hooks::authenticate(pamh, &args, flags)
        })
    }

    fn acct_mgmt(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        guarded(outcome::failed(Hook::Account), || {
            hooks::account(pamh, &args, flags)
        })
    }

    fn sm_open_session(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        guarded(outcome::failed(Hook::Session), || {
            hooks::open_session(pamh, &args, flags)
        })
    }

    fn sm_chauthtok(pamh: &mut PamHandle, args: Vec<&CStr>, flags: PamFlag) -> PamResultCode {
        guarded(outcome::failed(Hook::Password), || {
            hooks::change_password(pamh, &args, flags)
        })
    }

    fn sm_setcred(pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        guarded(PamResultCode::PAM_CRED_ERR, || {
            hooks::nothing_to_do(pamh, &args, "setcred")
        })
    }

    fn sm_close_session(pamh: &mut PamHandle, args: Vec<&CStr>, _flags: PamFlag) -> PamResultCode {
        guarded(PamResultCode::PAM_SESSION_ERR, || {
            hooks::nothing_to_do(pamh, &args, "close_session")
        })
    }
}

/// Runs a hook so that a panic in it becomes `refusal`. `pam-bindings` has a guard of its own, whose `PAM_ABORT` says
/// less to the host, and which leaves no line in the log.
fn guarded(refusal: PamResultCode, hook: impl FnOnce() -> PamResultCode) -> PamResultCode {
    quieten_panics();
    catch_unwind(AssertUnwindSafe(hook)).unwrap_or_else(|payload| {
        // Dropping a payload can panic again; it is leaked instead, once.
        std::mem::forget(payload);
        refusal
    })
}

/// Replaces the default panic hook, which writes to the host's standard error and, with `RUST_BACKTRACE` in the host's
/// environment, spends tens of megabytes there.
///
/// The hook is a static of the standard library that is linked into this object, whose symbols nobody else sees: a
/// host written in Rust has another library, another static, and keeps its hook. `-z nodelete` keeps this one's code
/// mapped. It stays set, because a thread-local's destructor may panic after the call as well as in it.
fn quieten_panics() {
    #[cfg(not(test))]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| std::panic::set_hook(Box::new(log_panic)));
    }
}

/// Where, never what: the payload may quote what somebody typed.
#[cfg_attr(
    test,
    allow(dead_code, reason = "tests keep the hook that shows their panics")
)]
fn log_panic(info: &std::panic::PanicHookInfo<'_>) {
    let place = info.location().map_or_else(
        || "an unknown place".to_owned(),
        |at| format!("{}:{}", at.file(), at.line()),
    );
    log::write_line(
        log::Level::Alert,
        &format!("internal error at {place}; access is denied. This is a bug: please report it"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_hook_denies() {
        let code = guarded(PamResultCode::PAM_AUTH_ERR, || panic!("injected"));
        assert_eq!(code, PamResultCode::PAM_AUTH_ERR);
    }

    #[test]
    fn a_panic_whose_payload_panics_when_dropped_denies_too() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let code = guarded(PamResultCode::PAM_AUTH_ERR, || std::panic::panic_any(Bomb));
        assert_eq!(code, PamResultCode::PAM_AUTH_ERR);
    }

    #[test]
    fn without_a_panic_the_hook_decides() {
        let code = guarded(PamResultCode::PAM_AUTH_ERR, || PamResultCode::PAM_IGNORE);
        assert_eq!(code, PamResultCode::PAM_IGNORE);
    }
}
