//! Owns the signals by which a person asks the host to end, while the module waits for somebody to touch a key. It must
//! change no disposition, consume no signal and leave the thread's mask as it was: what came is the host's.
//!
//! sudo holds Ctrl-C back while PAM works, and looks for it once the module has returned. Until a key gave up, it would
//! have looked like a sudo that cannot be stopped.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use crate::ffi;

/// Ctrl-C, Ctrl-\, a terminal that is gone, and a host that is told to end.
const ASKS: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGTERM,
];

/// Holds them back in this thread as long as it lives, so that one that comes stays to be seen.
pub(crate) struct HeldBack {
    before: Option<SigSet>,
}

impl HeldBack {
    pub(crate) fn new() -> Self {
        let asks: SigSet = ASKS.into_iter().collect();
        Self {
            before: asks.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok(),
        }
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // It was this thread's mask: it can be set again.
            let _ = before.thread_set_mask();
        }
    }
}

/// Whether one has come that the host does not ignore. Only those that are held back can be seen.
pub(crate) fn asked() -> bool {
    ASKS.into_iter()
        .any(|signal| ffi::is_pending(signal as libc::c_int))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Sends this thread a Ctrl-C that ends nothing, for as long as `body` takes.
    pub(crate) fn with_ctrl_c(body: impl FnOnce()) {
        let host = HeldBack::new();
        // A shell that runs the tests in the background has it ignored.
        ffi::heed(Signal::SIGINT);
        nix::sys::signal::raise(Signal::SIGINT).unwrap();
        body();
        let still_there = SigSet::from(Signal::SIGINT).wait();
        assert_eq!(still_there, Ok(Signal::SIGINT), "it is the host's");
        drop(host);
    }

    #[test]
    fn ctrl_c_is_seen_and_left_to_the_host() {
        let before = SigSet::thread_get_mask().unwrap();
        assert!(!asked());
        with_ctrl_c(|| {
            let held = HeldBack::new();
            assert!(asked());
            drop(held);
            assert!(asked());
        });
        assert!(!asked());
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}
