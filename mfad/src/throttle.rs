//! How often guesses may be made: pure arithmetic over a [`Ledger`] that the store keeps.

/// Guesses of one class share a budget; another class is never blocked by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// TOTP and HOTP codes.
    Otp,
    /// Backup codes: 80 bits, delayed, never disabled.
    BackupCodes,
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
