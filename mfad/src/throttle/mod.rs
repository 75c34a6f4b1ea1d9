//! How often guesses may be made: pure arithmetic over a [`Ledger`] that the store keeps. It reads no clock, and keeps
//! nothing itself.
//!
//! For each person and class there are a budget for 30 days, which nothing resets but time and an administrator, and a
//! delay clock for each lane. For each source that a person has not logged in from there is a limit over all people.
//! The numbers are in [`Limits`]; what they are worth is reckoned in docs/threat-model.md.

mod alarm;
mod ledger;
mod source;

pub use alarm::{Alarm, Watch};
pub use ledger::Ledger;
pub use source::{SourceKey, SourceLimit};

/// Guesses of one class share a budget; another class is never blocked by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// TOTP and HOTP codes.
    Otp,
    /// Backup codes: 80 bits, delayed, never disabled.
    BackupCodes,
    /// Keys that sign: there is nothing to guess. Failures are counted, since they are a sign, and keep nobody out.
    Key,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Otp, Self::BackupCodes, Self::Key];

    /// The word for it in the database and on the bus.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::BackupCodes => "backup-codes",
            Self::Key => "key",
        }
    }
}

/// Where an attempt comes from, as the kernel and the host program tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// A seat of this machine, or a host program with no far end.
    Local,
    /// A far end: IPv4 address, or the /64 of an IPv6 address; mapped IPv4 made IPv4. `None`: remote, address unknown.
    Remote(Option<std::net::IpAddr>),
    /// The user's own processes (`mfactl test`, screen lockers).
    SelfService,
}

/// Delay clocks and reserves are kept apart by lane, so that nobody's failures delay somebody elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// A source from which this person completed a login in the last 30 days.
    Trusted,
    /// Any other source.
    Other,
    /// [`Place::Local`].
    Local,
    /// [`Place::SelfService`].
    SelfService,
}

impl Lane {
    /// Every lane, in the order of its number in a stored ledger.
    pub const ALL: [Self; 4] = [Self::Trusted, Self::Other, Self::Local, Self::SelfService];
}

/// The throttle's numbers, from `mfad.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Failures of a lane that bring no delay.
    pub free: u32,
    /// Delay after the next one, in seconds; it doubles with every further failure.
    pub first_delay: i64,
    /// Longest delay, in seconds.
    pub max_delay: i64,
    /// Units that a person's budget of one class holds (NIST SP 800-63B-4 §3.2.2: at most 100).
    pub limit: u32,
    /// How long a failure counts, in seconds.
    pub window: i64,
    /// Units of `limit` that only [`Lane::Trusted`] can spend.
    pub reserve_trusted: u32,
    /// Units of `limit` that only [`Lane::Local`] can spend.
    pub reserve_local: u32,
    /// Failures that one source may make in any hour, over all people.
    pub source_per_hour: u32,
    /// Most sources that are remembered. With more, nobody from an untrusted source is let in until some are forgotten.
    pub source_entries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            free: 2,
            first_delay: 30,
            max_delay: 3600,
            limit: 100,
            window: 30 * 86_400,
            reserve_trusted: 10,
            reserve_local: 10,
            source_per_hour: 20,
            source_entries: 65_536,
        }
    }
}

impl Limits {
    /// Seconds of delay after the `failures`th failure in a row of one lane.
    pub fn delay_after(&self, failures: u32) -> i64 {
        let Some(doublings) = failures.checked_sub(self.free.saturating_add(1)) else {
            return 0;
        };
        let factor = 1_i64.checked_shl(doublings.min(62)).unwrap_or(i64::MAX);
        self.first_delay.saturating_mul(factor).min(self.max_delay)
    }

    /// Units that every lane can spend.
    pub fn shared(&self) -> u32 {
        self.limit
            .saturating_sub(self.reserve_trusted)
            .saturating_sub(self.reserve_local)
    }

    /// Units that only `lane` can spend.
    pub fn reserve(&self, lane: Lane) -> u32 {
        let room = self.limit.saturating_sub(self.shared());
        match lane {
            Lane::Trusted => self.reserve_trusted.min(room),
            Lane::Local => self
                .reserve_local
                .min(room.saturating_sub(self.reserve(Lane::Trusted))),
            Lane::Other | Lane::SelfService => 0,
        }
    }
}

/// Why an attempt was not evaluated. For the audit log; the person hears what they hear after a wrong code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The lane is delayed until then (seconds on the steady clock).
    Delayed(i64),
    /// The person's budget of this class is spent.
    Exhausted,
    /// The source has failed too often.
    Source,
}
