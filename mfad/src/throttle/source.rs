//! How often one source may fail, over all people: one number for each source (the generic cell rate algorithm).
//!
//! It bounds spraying, one guess at each of many people. Sources from which a person has logged in are exempt for that
//! person, and so are the seats of this machine and the user's own processes: strangers must not shut them out.

use std::net::{IpAddr, Ipv6Addr};

use super::{Limits, Place};

/// A source as the store keeps it: an IPv4 address, the first 64 bits of an IPv6 one, or empty for "not known" (all
/// such attempts share one limit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceKey {
    bytes: [u8; 8],
    length: usize,
}

impl SourceKey {
    /// The source of a remote place; `None` for places that are no source.
    pub fn of(place: Place) -> Option<Self> {
        let Place::Remote(address) = place else {
            return None;
        };
        let mut key = Self {
            bytes: [0; 8],
            length: 0,
        };
        match address.map(canonical) {
            None => {}
            Some(IpAddr::V4(address)) => {
                key.length = 4;
                key.bytes[..4].copy_from_slice(&address.octets());
            }
            Some(IpAddr::V6(address)) => {
                key.length = 8;
                key.bytes.copy_from_slice(&address.octets()[..8]);
            }
        }
        Some(key)
    }

    /// Its bytes: 0, 4 or 8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Whether it says anything: nobody becomes trusted for coming from nowhere.
    pub const fn is_known(&self) -> bool {
        self.length > 0
    }
}

fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => Ipv6Addr::to_canonical(&address),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The rate at which a source may fail. Its state is one time: when it will be as if it had never failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLimit {
    /// Seconds that one failure costs.
    interval: i64,
    /// Seconds of credit.
    burst: i64,
}

impl SourceLimit {
    /// Half the hour's failures at once and the rest spread over it, so that no hour, wherever it begins, holds more
    /// than `limits.source_per_hour`.
    pub fn of(limits: &Limits) -> Self {
        let hourly = i64::from(limits.source_per_hour.clamp(1, 3600));
        let spread = (hourly / 2).max(1);
        // Rounded up: a shorter interval would let one more into the hour.
        let interval = (3600 + spread - 1) / spread;
        Self {
            interval,
            burst: (hourly - spread) * interval,
        }
    }

    /// Whether a source in this state may try now.
    pub fn admits(self, clear_at: i64, now: i64) -> bool {
        self.settled(clear_at, now) - now <= self.burst
    }

    /// Its state after a failure now.
    pub fn charged(self, clear_at: i64, now: i64) -> i64 {
        self.settled(clear_at, now).saturating_add(self.interval)
    }

    /// Failures that have not run off yet.
    pub fn owed(self, clear_at: i64, now: i64) -> u32 {
        let seconds = self.settled(clear_at, now) - now;
        u32::try_from((seconds + self.interval - 1) / self.interval).unwrap_or(u32::MAX)
    }

    /// The state without what is past, and, where the clock was set back, without more than can be owed.
    pub fn settled(self, clear_at: i64, now: i64) -> i64 {
        clear_at.clamp(now, now.saturating_add(self.burst + self.interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> SourceKey {
        SourceKey::of(Place::Remote(Some(address.parse().unwrap()))).unwrap()
    }

    #[test]
    fn any_hour_holds_at_most_the_limit_at_full_pace() {
        for source_per_hour in [1, 2, 3, 7, 20, 100, 3600] {
            let limit = SourceLimit::of(&Limits {
                source_per_hour,
                ..Limits::default()
            });
            let (mut state, mut times) = (0, Vec::new());
            for now in 0..8 * 3600 {
                while limit.admits(state, now) {
                    state = limit.charged(state, now);
                    times.push(now);
                }
            }
            let most = (0..times.len())
                .map(|from| {
                    times[from..]
                        .iter()
                        .take_while(|time| **time - times[from] < 3600)
                        .count()
                })
                .max();
            assert_eq!(most, Some(source_per_hour as usize), "{source_per_hour}");
        }
    }

    #[test]
    fn a_clock_set_back_delays_no_longer_than_a_full_debt() {
        let limit = SourceLimit::of(&Limits::default());
        let far_ahead = 1_000_000_000;
        assert!(!limit.admits(far_ahead, 0));
        assert!(limit.charged(far_ahead, 0) < 3 * 3600);
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_source_and_mapped_ipv4_is_ipv4() {
        assert_eq!(key("2001:db8:1:2::3"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::3"), key("2001:db8:1:3::3"));
        assert_eq!(key("::ffff:203.0.113.9"), key("203.0.113.9"));
        assert_ne!(key("203.0.113.9"), key("203.0.113.8"));
        assert_eq!(SourceKey::of(Place::Local), None);
        assert_eq!(SourceKey::of(Place::SelfService), None);
        assert!(!SourceKey::of(Place::Remote(None)).unwrap().is_known());
    }
}
