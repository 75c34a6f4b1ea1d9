//! The one place that asks the system for the time. Everything else takes a [`Now`].

use std::time::Duration;

/// A moment, read once for each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, seconds since the epoch. What TOTP and records use.
    pub wall: i64,
    /// The throttle's clock, in seconds on the same scale: the wall clock at start plus the time since then by
    /// `CLOCK_BOOTTIME`, so that setting the clock while the daemon runs neither shortens nor lengthens a delay.
    pub steady: i64,
    /// Seconds since the machine booted, its sleep included (`CLOCK_BOOTTIME`). Nobody sets it, and it goes on while the
    /// daemon does not run: for what lives no longer than the boot.
    pub boot: i64,
}

/// Source of time.
pub trait Clock: Send + Sync {
    /// The current moment.
    fn now(&self) -> Now;
}

/// The kernel's clocks.
#[derive(Debug)]
pub struct SystemClock {
    wall_at_start: i64,
    boot_at_start: Duration,
}

impl SystemClock {
    /// Starts the steady clock at the wall clock's time.
    pub fn start() -> Self {
        Self {
            wall_at_start: wall(),
            boot_at_start: boottime(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let boot = boottime();
        let elapsed = boot.saturating_sub(self.boot_at_start).as_secs();
        Now {
            wall: wall(),
            steady: self.wall_at_start.saturating_add_unsigned(elapsed),
            boot: seconds(boot),
        }
    }
}

fn wall() -> i64 {
    seconds(clock(nix::time::ClockId::CLOCK_REALTIME))
}

fn seconds(time: Duration) -> i64 {
    time.as_secs().try_into().unwrap_or(i64::MAX)
}

fn boottime() -> Duration {
    clock(nix::time::ClockId::CLOCK_BOOTTIME)
}

/// Reads a kernel clock. These clocks cannot fail on Linux (`clock_gettime(2)`); should one, time stands still at
/// zero, where no TOTP step is new and no delay ends: closed.
fn clock(id: nix::time::ClockId) -> Duration {
    id.now().map(Duration::from).unwrap_or_default()
}
