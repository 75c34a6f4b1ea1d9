//! Owns every `unsafe` block of the module: the libpam calls that `pam-bindings` lacks, `pidfd_open(2)`, and looking for
//! signals. It must decide nothing.

use std::{
    ffi::{CStr, CString, c_char, c_int},
    mem::MaybeUninit,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr,
};

use pam::{
    constants::PamResultCode,
    module::{PamHandle, PamResult},
};

use crate::transaction::Transaction;

/// Under which the transaction is kept. The version is part of it: an upgrade may map a second build of the module
/// into a running host, and the two must not read each other's types.
const TRANSACTION: &str = concat!("pam_mfa-", env!("CARGO_PKG_VERSION"));

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_getenv(pamh: *mut PamHandle, name: *const c_char) -> *const c_char;
    fn pam_putenv(pamh: *mut PamHandle, name_value: *const c_char) -> c_int;
}

/// A variable of the PAM environment (not the process's), at most `max` bytes of it.
pub(crate) fn pam_env(pamh: &mut PamHandle, name: &CStr, max: usize) -> Option<Vec<u8>> {
    // SAFETY: the handle is libpam's, alive for the whole hook, and the name ends in NUL.
    let value = unsafe { pam_getenv(pamh, name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: not null, so a C string inside the handle's environment, which nothing changes before we have copied.
    let bytes = unsafe { CStr::from_ptr(value) }.to_bytes();
    Some(bytes[..bytes.len().min(max)].to_vec())
}

/// Sets (`NAME=value`) or removes (`NAME`) a variable of the PAM environment.
pub(crate) fn set_pam_env(pamh: &mut PamHandle, entry: &CString) -> bool {
    // SAFETY: the handle is libpam's and alive; libpam copies the entry.
    let result = unsafe { pam_putenv(pamh, entry.as_ptr()) };
    PamResultCode::try_from(result) == Ok(PamResultCode::PAM_SUCCESS)
}

/// What the earlier hooks of this transaction left.
pub(crate) fn transaction(pamh: &PamHandle) -> Transaction {
    // SAFETY: this key is ours, and `keep_transaction` stores nothing but a `Transaction` under it.
    unsafe { pamh.get_data::<Transaction>(TRANSACTION) }
        .ok()
        .cloned()
        .unwrap_or_default()
}

/// Leaves something for the later hooks of this transaction.
pub(crate) fn keep_transaction(pamh: &mut PamHandle, transaction: Transaction) -> PamResult<()> {
    pamh.set_data(TRANSACTION, Box::new(transaction))
}

/// A descriptor of this process, or `None` where the kernel has none to give.
pub(crate) fn own_pidfd() -> Option<OwnedFd> {
    // SAFETY: a plain system call without pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just opened it (close-on-exec) for us, and nobody else knows of it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether a signal waits for this thread or the process, and the host does not ignore it.
pub(crate) fn is_pending(signal: c_int) -> bool {
    let mut pending = MaybeUninit::uninit();
    // SAFETY: it writes the set that the pointer is to, and nothing else.
    if unsafe { libc::sigpending(pending.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call has succeeded, so that the set is written.
    if unsafe { libc::sigismember(pending.as_ptr(), signal) } != 1 {
        return false;
    }
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null new action changes nothing; the old one is written to where the pointer is to.
    if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call has succeeded, so that the action is written.
    unsafe { action.assume_init() }.sa_sigaction != libc::SIG_IGN
}

/// For tests: makes this process one that does not ignore a signal.
#[cfg(test)]
pub(crate) fn heed(signal: nix::sys::signal::Signal) {
    // SAFETY: it installs no handler.
    unsafe { nix::sys::signal::signal(signal, nix::sys::signal::SigHandler::SigDfl) }.unwrap();
}
