//! The daemon with another clock than everybody else's.

use crate::{Outcome, host::Host};

impl Host {
    /// Ends the daemon, and has systemd start the next ones with a clock that is so many minutes ahead.
    pub fn daemon_ahead(&self, minutes: u32) -> Outcome {
        self.ok(&format!(
            "mkdir -p /run/systemd/system/mfad.service.d && \
             printf '[Service]\\nEnvironment=LD_PRELOAD=%s FAKETIME=+{minutes}m FAKETIME_DONT_FAKE_MONOTONIC=1\\n' \
             /usr/lib/*/faketime/libfaketimeMT.so.1 >/run/systemd/system/mfad.service.d/clock.conf && \
             systemctl daemon-reload && systemctl restart mfad.service"
        ))
        .map(drop)
    }

    /// Ends the daemon and starts it by hand, where no systemd runs it, at `at`, in seconds since the epoch; from then on its clock runs.
    pub fn daemon_at(&self, at: i64) -> Outcome {
        self.stop_daemon()?;
        self.ok(&format!(
            "FAKETIME_DONT_FAKE_MONOTONIC=1 setsid faketime \"$(date -u -d @{at} '+%F %T')\" /usr/libexec/mfa/mfad \
             >/tmp/mfad.out 2>&1 </dev/null & \
             for i in $(seq 600); do [ -S /run/mfad/pam.sock ] && pgrep -x mfad >/dev/null && exit; sleep 0.05; done; exit 1"
        ))
        .map(drop)
    }
}
