//! A name service that does not answer the daemon: logins end in time, and a rule for a group opens nothing.

use std::time::{Duration, Instant};

use super::{by_key_alone, rule};
use crate::{
    Outcome,
    cases::{Case, WITHOUT_SYSTEMD},
    failure::ensure,
    host::Host,
};

/// The table.
pub(super) const CASES: &[Case] = &[Case::new(
    "while groups are not told, a rule for a group opens no login, and the login ends within its deadline",
    hanging,
)
.on(WITHOUT_SYSTEMD)];

/// The daemon in a mount namespace of its own, in which later the file of groups is a pipe that nobody writes to: who
/// opens it waits. Nobody else is held up.
const ALONE: &str = "setsid unshare --mount /usr/libexec/mfa/mfad >/tmp/mfad.out 2>&1 </dev/null & \
    for i in $(seq 600); do [ -S /run/mfad/pam.sock ] && pgrep -x mfad >/dev/null && exit; sleep 0.05; done; exit 1";
const HANG: &str = "mkfifo -m 0644 /run/silent && nsenter --target \"$(pgrep -x mfad)\" --mount mount --bind /run/silent /etc/group";
/// Lets the look-up go on, which shows that one was stuck there: without a reader, nobody can open a pipe to write.
const ANSWER: &str = "nsenter --target \"$(pgrep -x mfad)\" --mount umount --lazy /etc/group && \
    timeout 10 sh -c ': >/run/silent'";
/// The module waits for the daemon for 45 seconds at most, and sshd for the whole login two minutes.
const DEADLINE: Duration = Duration::from_secs(45);

fn hanging(host: &Host) -> Outcome {
    let (alice, _) = by_key_alone(host)?;
    host.policy(&rule("{ group = \"alice\" }", "require = \"none\""))?;
    host.ssh_in(&alice, "-o BatchMode=yes", &[])?;
    host.stop_daemon()?;
    host.ok(ALONE)?;
    host.ok(HANG)?;
    let begun = Instant::now();
    host.ssh_refused(&alice, "-o BatchMode=yes", &[])?;
    let took = begun.elapsed();
    ensure(took < DEADLINE, || format!("refused after {took:?}"))?;
    host.ok(ANSWER)?;
    host.ok("mfactl audit --json | grep 'the name service does not answer'")?;
    host.ssh_in(&alice, "-o BatchMode=yes", &[])
}
