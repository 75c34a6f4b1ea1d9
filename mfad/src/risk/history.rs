//! What is remembered of a person's earlier logins. Bounded and pure: the store keeps it, and says how long.

use std::net::IpAddr;

use sha2::{Digest as _, Sha256};

use crate::location::{Country, Position};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// Most days of a habit; older ones are forgotten first.
const MOST_DAYS: usize = 64;
/// Version of a habit's bytes.
const VERSION: u8 = 1;

/// A far end's neighbourhood: the /24 of an IPv4 address, the /48 of an IPv6 one; mapped IPv4 is IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    bytes: [u8; 6],
    length: usize,
}

impl Network {
    /// The network that `address` is in.
    pub fn of(address: IpAddr) -> Self {
        let mut bytes = [0; 6];
        let length = match address.to_canonical() {
            IpAddr::V4(address) => {
                bytes[..3].copy_from_slice(&address.octets()[..3]);
                3
            }
            IpAddr::V6(address) => {
                bytes.copy_from_slice(&address.octets()[..6]);
                6
            }
        };
        Self { bytes, length }
    }

    /// Reads what [`Network::as_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut network = Self {
            bytes: [0; 6],
            length: bytes.len(),
        };
        if !matches!(bytes.len(), 3 | 6) {
            return None;
        }
        network.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(network)
    }

    /// Its bytes: 3 or 6.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// What a device is known by, as a digest: nothing of it can be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(pub [u8; 32]);

impl Mark {
    /// The mark of a device of that kind (`ssh-key`, `seat`) and name (a fingerprint, `seat0`).
    pub fn of(kind: &str, name: &str) -> Self {
        let mut digest = Sha256::new();
        for part in [kind, name] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

/// What is known of one login besides its time. `None` is not known, and never counts as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Circumstances {
    /// Where on the network.
    pub network: Option<Network>,
    /// In which country.
    pub country: Option<Country>,
    /// Where on the globe.
    pub position: Option<Position>,
    /// From which device: a key that the host has verified, or a seat of this machine.
    pub device: Option<Mark>,
}

/// A device of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownDevice {
    /// Which.
    pub mark: Mark,
    /// Whether a second factor was ever proven in a login from it.
    pub proven: bool,
}

/// A person's earlier logins, without what has expired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Networks that they came from.
    pub networks: Vec<Network>,
    /// Countries that they came from.
    pub countries: Vec<Country>,
    /// Devices that they came from.
    pub devices: Vec<KnownDevice>,
    /// When they come, and where they were last.
    pub habit: Habit,
    /// When a login was last completed, seconds since the epoch.
    pub last_login: Option<i64>,
    /// When a login with a second factor was last completed, seconds since the epoch.
    pub last_mfa: Option<i64>,
}

impl History {
    /// Whether a second factor was proven from this device before. A seat or key that was only seen is not known.
    pub fn knows(&self, device: Mark) -> bool {
        self.devices
            .iter()
            .any(|known| known.proven && known.mark == device)
    }
}

/// One day's logins, by UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day {
    /// Days since the epoch.
    number: u16,
    /// Bit n: a login between n and n+1 o'clock.
    hours: u32,
    /// Logins of the day.
    logins: u16,
    /// Logins of its busiest hour.
    peak: u16,
}

/// When a person comes, and where they were last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Habit {
    /// Oldest first, at most [`MOST_DAYS`].
    days: Vec<Day>,
    /// Hours since the epoch of the last login.
    hour: i64,
    /// Completed logins in that hour, this one included.
    in_hour: u32,
    /// The last place that a login came from, and when.
    seen: Option<(Position, i64)>,
}

impl Habit {
    /// Notes `times` logins completed at `at` (seconds since the epoch). Only what `teaches` becomes habit; how many
    /// there were in this hour is counted of all. Days before `since` go.
    pub fn note(
        &mut self,
        at: i64,
        times: u32,
        teaches: bool,
        position: Option<Position>,
        since: i64,
    ) {
        let hour = at.div_euclid(HOUR);
        self.in_hour = if hour == self.hour { self.in_hour } else { 0 }.saturating_add(times);
        self.hour = hour;
        let Some(number) = day_of(at).filter(|_| teaches) else {
            return;
        };
        // Days from the future are of a clock that had run ahead.
        self.days
            .retain(|day| day.number <= number && ends(*day) > since);
        if self.days.last().is_none_or(|day| day.number < number) {
            self.days.push(Day {
                number,
                hours: 0,
                logins: 0,
                peak: 0,
            });
        }
        if let Some(today) = self.days.last_mut() {
            today.hours |= 1 << hour_of_day(at);
            today.logins = today
                .logins
                .saturating_add(u16::try_from(times).unwrap_or(u16::MAX));
            today.peak = today
                .peak
                .max(u16::try_from(self.in_hour).unwrap_or(u16::MAX));
        }
        if self.days.len() > MOST_DAYS {
            self.days.drain(..self.days.len() - MOST_DAYS);
        }
        if let Some(position) = position {
            self.seen = Some((position, at));
        }
    }

    /// The last place that a login came from, and when.
    pub const fn seen(&self) -> Option<(Position, i64)> {
        self.seen
    }

    /// How many logins have been learned from since `since`.
    pub fn logins(&self, since: i64) -> u32 {
        self.since(since)
            .fold(0, |sum, day| sum.saturating_add(day.logins.into()))
    }

    /// Of the days with logins since `since`, how many there are, and on how many of them one fell within an hour of
    /// `at`'s time of day. Not counting the day of `at` itself.
    pub fn days_like(&self, at: i64, since: i64) -> (u32, u32) {
        let hour = hour_of_day(at);
        let near = [hour + 23, hour, hour + 1]
            .iter()
            .fold(0_u32, |mask, hour| mask | 1 << (hour % 24));
        let earlier = self
            .since(since)
            .filter(|day| Some(day.number) != day_of(at));
        earlier.fold((0, 0), |(days, like), day| {
            (days + 1, like + u32::from(day.hours & near != 0))
        })
    }

    /// Completed logins in the clock hour of `at`.
    pub const fn in_hour(&self, at: i64) -> u32 {
        if at.div_euclid(HOUR) == self.hour {
            self.in_hour
        } else {
            0
        }
    }

    /// The mean of the busiest hours of the days since `since`, times 100; `None` without a day before that of `at`.
    pub fn mean_peak_percent(&self, at: i64, since: i64) -> Option<u64> {
        let earlier = self
            .since(since)
            .filter(|day| Some(day.number) != day_of(at));
        let (sum, days) = earlier.fold((0_u64, 0_u64), |(sum, days), day| {
            (sum + u64::from(day.peak), days + 1)
        });
        (sum * 100).checked_div(days)
    }

    fn since(&self, since: i64) -> impl Iterator<Item = &Day> {
        self.days.iter().filter(move |day| ends(**day) > since)
    }

    /// Its bytes, at most 608.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + 9 * self.days.len());
        bytes.push(VERSION);
        bytes.extend(self.hour.to_be_bytes());
        bytes.extend(self.in_hour.to_be_bytes());
        bytes.push(u8::from(self.seen.is_some()));
        if let Some((position, at)) = self.seen {
            let (latitude, longitude) = position.millionths();
            bytes.extend(latitude.to_be_bytes());
            bytes.extend(longitude.to_be_bytes());
            bytes.extend(position.reach().to_be_bytes());
            bytes.extend(at.to_be_bytes());
        }
        for day in &self.days {
            bytes.extend(day.number.to_be_bytes());
            bytes.extend(&day.hours.to_be_bytes()[1..]);
            bytes.extend(day.logins.to_be_bytes());
            bytes.extend(day.peak.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`Habit::encode`] wrote; `None` if it is something else.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let [version] = take(&mut bytes)?;
        if version != VERSION {
            return None;
        }
        let mut habit = Self {
            hour: i64::from_be_bytes(take(&mut bytes)?),
            in_hour: u32::from_be_bytes(take(&mut bytes)?),
            ..Self::default()
        };
        let [seen] = take(&mut bytes)?;
        if seen == 1 {
            let latitude = i32::from_be_bytes(take(&mut bytes)?);
            let longitude = i32::from_be_bytes(take(&mut bytes)?);
            let reach = u16::from_be_bytes(take(&mut bytes)?);
            let position = Position::from_millionths(latitude, longitude, reach)?;
            habit.seen = Some((position, i64::from_be_bytes(take(&mut bytes)?)));
        } else if seen != 0 {
            return None;
        }
        while !bytes.is_empty() {
            let number = u16::from_be_bytes(take(&mut bytes)?);
            let [high, middle, low] = take(&mut bytes)?;
            let day = Day {
                number,
                hours: u32::from_be_bytes([0, high, middle, low]),
                logins: u16::from_be_bytes(take(&mut bytes)?),
                peak: u16::from_be_bytes(take(&mut bytes)?),
            };
            let in_order = habit.days.last().is_none_or(|last| last.number < number);
            if !in_order || habit.days.len() == MOST_DAYS {
                return None;
            }
            habit.days.push(day);
        }
        Some(habit)
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

/// Days since the epoch; `None` before it and after 2149.
fn day_of(at: i64) -> Option<u16> {
    at.div_euclid(DAY).try_into().ok()
}

/// 0 to 23.
fn hour_of_day(at: i64) -> u32 {
    // Below 24 by arithmetic.
    u32::try_from(at.rem_euclid(DAY) / HOUR).unwrap_or(0)
}

/// The first second after it.
fn ends(day: Day) -> i64 {
    (i64::from(day.number) + 1) * DAY
}
