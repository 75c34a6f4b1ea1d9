//! What is known about one login: plain values that others have found out. It asks nobody.

use std::{fmt, net::IpAddr};

/// A fact that somebody had to look up, and may not have got.
///
/// "Known to have none" is a value of `T`, as in `Known::Is(None)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Known<T> {
    /// It could not be found out, or nobody tried.
    #[default]
    Unknown,
    /// It is this.
    Is(T),
}

impl<T> Known<T> {
    /// The fact, if it is known.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Unknown => None,
            Self::Is(fact) => Some(fact),
        }
    }

    /// The same of what `change` makes of the fact.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Unknown => Known::Unknown,
            Self::Is(fact) => Known::Is(change(fact)),
        }
    }

    /// The same, of a reference.
    pub const fn as_ref(&self) -> Known<&T> {
        match self {
            Self::Unknown => Known::Unknown,
            Self::Is(fact) => Known::Is(fact),
        }
    }
}

/// `None` is what could not be found out.
impl<T> From<Option<T>> for Known<T> {
    fn from(fact: Option<T>) -> Self {
        fact.map_or(Self::Unknown, Self::Is)
    }
}

/// What is known about a login. Start from [`Request::new`].
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The account that is logged in to.
    pub user: &'a str,
    /// Its uid; `None` if it is not known.
    pub uid: Option<u32>,
    /// Its groups.
    pub groups: Known<&'a [String]>,
    /// The PAM service.
    pub service: &'a str,
    /// The account that is switched to, where `user` is the one that switches (su with the caller as its subject).
    pub target: Option<&'a str>,
    /// The far end's address, if there is a far end and its address is known.
    pub address: Option<IpAddr>,
    /// It is certain that there is no far end.
    pub local: bool,
    /// The terminal as the application names it, without `/dev/`.
    pub tty: Option<&'a str>,
    /// The seat that the session is on, as logind names it: `seat0`. `Is(None)`: a session without a seat.
    pub seat: Known<Option<&'a str>>,
    /// The country of the address. `Is(None)`: the database knows the address to be in none.
    pub country: Known<Option<Country>>,
    /// What was proven before.
    pub first: Known<FirstFactor<'a>>,
    /// Whether this account has come with this device before.
    pub device: Known<Device>,
    /// How risky the login looks.
    pub risk: Known<Risk>,
    /// Wall clock, in seconds since the epoch.
    pub now: i64,
    /// When this account last proved a second factor, in seconds since the epoch. `Is(None)`: never.
    pub last_mfa: Known<Option<i64>>,
    /// When this account last logged in, in seconds since the epoch. `Is(None)`: never. Must be remembered for longer
    /// than any policy's `dormant`.
    pub last_login: Known<Option<i64>>,
}

impl<'a> Request<'a> {
    /// A login of which nothing else is known, from an unknown far end.
    pub const fn new(user: &'a str, service: &'a str, now: i64) -> Self {
        Self {
            user,
            uid: None,
            groups: Known::Unknown,
            service,
            target: None,
            address: None,
            local: false,
            tty: None,
            seat: Known::Unknown,
            country: Known::Unknown,
            first: Known::Unknown,
            device: Known::Unknown,
            risk: Known::Unknown,
            now,
            last_mfa: Known::Unknown,
            last_login: Known::Unknown,
        }
    }
}

/// A country's two letters, as in ISO 3166-1: `CH`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// Two ASCII letters, upper or lower case; databases know a few that ISO 3166-1 does not (`XK`, `EU`).
    pub fn new(letters: &str) -> Option<Self> {
        let letters: [u8; 2] = letters.as_bytes().try_into().ok()?;
        let upper = letters.map(|letter| letter.to_ascii_uppercase());
        upper
            .iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self(upper))
    }

    /// The letters, in upper case.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was proven before the second factor is asked for. Neither a password nor a key: nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FirstFactor<'a> {
    /// A password.
    pub password: bool,
    /// Public keys, certified or not.
    pub keys: &'a [Key<'a>],
}

/// A public key that sshd verified a signature of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// Of the key itself, without its certificate: `SHA256:` and 43 characters of base64. `None` if it is not known, which
    /// happens to logins that somebody only thinks of.
    pub fingerprint: Option<&'a str>,
    /// The key's type: `ssh-ed25519`.
    pub kind: &'a str,
    /// It is kept by a FIDO authenticator (`sk-ssh-ed25519@openssh.com`, …).
    pub sk: bool,
    /// It came with a certificate.
    pub certificate: bool,
    /// Of the key that signed the certificate, in the same form. `None` with a certificate: it is not known.
    pub ca: Option<&'a str>,
}

/// Whether an account has come with this device before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// It has.
    Known,
    /// It has not.
    New,
}

/// How risky a login looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// No signal, or none that weighs anything.
    #[default]
    None,
    /// A little.
    Low,
    /// Somewhat.
    Medium,
    /// Very.
    High,
}

impl Level {
    /// From the least to the greatest.
    pub const ALL: [Self; 4] = [Self::None, Self::Low, Self::Medium, Self::High];

    /// The word for it in a policy.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Something about a login that is unlike the account's others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// A device or key that the account has not come with before.
    NewDevice,
    /// A network that it has not come from before.
    NewNetwork,
    /// A country that it has not come from before.
    NewCountry,
    /// Too far from the last login to have travelled.
    ImpossibleTravel,
    /// An hour at which it does not log in.
    UnusualHour,
    /// Far more logins than usual.
    UnusualRate,
    /// Failures of this account lately.
    RecentFailuresUser,
    /// Failures from this source lately.
    RecentFailuresSource,
    /// Failures of everybody lately.
    RecentFailuresEverywhere,
    /// No login for long.
    Dormant,
}

impl Signal {
    /// Every signal there is.
    pub const ALL: [Self; 10] = [
        Self::NewDevice,
        Self::NewNetwork,
        Self::NewCountry,
        Self::ImpossibleTravel,
        Self::UnusualHour,
        Self::UnusualRate,
        Self::RecentFailuresUser,
        Self::RecentFailuresSource,
        Self::RecentFailuresEverywhere,
        Self::Dormant,
    ];

    /// The word for it in a policy and in the audit log.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NewDevice => "new-device",
            Self::NewNetwork => "new-network",
            Self::NewCountry => "new-country",
            Self::ImpossibleTravel => "impossible-travel",
            Self::UnusualHour => "unusual-hour",
            Self::UnusualRate => "unusual-rate",
            Self::RecentFailuresUser => "recent-failures-user",
            Self::RecentFailuresSource => "recent-failures-source",
            Self::RecentFailuresEverywhere => "recent-failures-everywhere",
            Self::Dormant => "dormant",
        }
    }
}

/// A set of signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Signals(u16);

impl Signals {
    /// Whether `signal` is in it.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & (1 << signal as u16) != 0
    }

    /// The signals in it.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        Signal::ALL
            .into_iter()
            .filter(move |signal| self.contains(*signal))
    }
}

impl FromIterator<Signal> for Signals {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        let bits = signals.into_iter().map(|signal| 1 << signal as u16);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

/// A login's risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Risk {
    /// How much it is, all signals together.
    pub level: Level,
    /// What it is made of.
    pub signals: Signals,
}
