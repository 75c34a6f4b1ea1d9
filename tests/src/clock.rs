//! The daemon with another clock than everybody else's. Only where no systemd runs it: it is started by hand.

use crate::{Outcome, host::Host};

impl Host {
    /// Ends the daemon and starts it at `at`, in seconds since the epoch; from then on its clock runs.
    pub fn daemon_at(&self, at: i64) -> Outcome {
        self.stop_daemon()?;
        self.ok(&format!(
            "FAKETIME_DONT_FAKE_MONOTONIC=1 setsid faketime \"$(date -u -d @{at} '+%F %T')\" /usr/libexec/mfa/mfad \
             >/tmp/mfad.out 2>&1 </dev/null & \
             for i in $(seq 100); do [ -S /run/mfad/pam.sock ] && pgrep -x mfad >/dev/null && exit; sleep 0.05; done; exit 1"
        ))
        .map(drop)
    }
}
