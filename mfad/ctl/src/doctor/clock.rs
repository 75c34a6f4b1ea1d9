//! Is this machine's clock fit for codes that change every 30 seconds? It reads the kernel's state and file times.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;

use super::Finding;
use crate::kernel;

/// How far a file may lie in the future before the clock is suspected, in seconds.
const TOLERANCE: i64 = 120;

/// Files that the system writes often; the newest of them is younger than now on a machine whose clock is right.
const WITNESSES: [&str; 4] = [
    "/var/lib/mfa",
    "/var/lib/systemd/timesync/clock",
    "/var/log/wtmp",
    "/etc/mfa",
];

/// Checks the clock as it is at `now`.
pub(super) fn examine(root: &Path, now: Timestamp) -> Finding {
    let newest = WITNESSES
        .iter()
        .filter_map(|path| fs::metadata(root.join(path.trim_start_matches('/'))).ok())
        .map(|facts| facts.mtime())
        .max();
    judge(now.as_second(), newest, kernel::clock_is_synchronised())
}

pub(super) fn judge(now: i64, newest_file: Option<i64>, synchronised: Option<bool>) -> Finding {
    if let Some(newest) = newest_file
        && newest > now + TOLERANCE
    {
        return Finding::fail(
            "clock",
            format!(
                "the clock is at least {} s behind: files on this machine are newer than now",
                newest - now
            ),
            "timedatectl; after the clock had run ahead: sudo mfactl user unlock USER --clock",
        );
    }
    match synchronised {
        Some(true) => Finding::ok("clock", "synchronised with a time source"),
        Some(false) => Finding::warn(
            "clock",
            "not synchronised: when it is off by more than a period, right codes are refused",
            "timedatectl set-ntp true, or see chronyc tracking",
        ),
        None => Finding::warn(
            "clock",
            "the kernel does not say whether it is synchronised",
            "Compare `date -u` with a clock that you trust",
        ),
    }
}
