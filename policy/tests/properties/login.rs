//! Random logins, of which facts can be hidden one by one.

use std::net::IpAddr;

use policy::{Country, Device, FirstFactor, Key, Known, Level, Request, Risk, Signal};
use proptest::prelude::*;

use crate::written::FINGERPRINTS;

/// 2027-01-15T12:00:30Z, a Friday.
pub(crate) const NOW: i64 = 1_800_014_430;

/// A login, owning what a [`Request`] borrows.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) user: String,
    pub(crate) uid: Option<u32>,
    pub(crate) groups: Known<Vec<String>>,
    pub(crate) service: String,
    pub(crate) target: Option<String>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) local: bool,
    pub(crate) tty: Option<String>,
    pub(crate) seat: Known<Option<String>>,
    pub(crate) country: Known<Option<Country>>,
    pub(crate) first: Known<First>,
    pub(crate) device: Known<Device>,
    pub(crate) risk: Known<Risk>,
    pub(crate) now: i64,
    pub(crate) last_mfa: Known<Option<i64>>,
    pub(crate) last_login: Known<Option<i64>>,
}

/// A first factor.
#[derive(Debug, Clone)]
pub(crate) struct First {
    pub(crate) password: bool,
    pub(crate) keys: Vec<Key<'static>>,
}

impl Attempt {
    /// Calls `look` with the request.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Request<'_>) -> T) -> T {
        let first = self.first.as_ref().map(|first| FirstFactor {
            password: first.password,
            keys: &first.keys,
        });
        look(&Request {
            user: &self.user,
            uid: self.uid,
            groups: self.groups.as_ref().map(Vec::as_slice),
            service: &self.service,
            target: self.target.as_deref(),
            address: self.address,
            local: self.local,
            tty: self.tty.as_deref(),
            seat: self.seat.as_ref().map(Option::as_deref),
            country: self.country,
            first,
            device: self.device,
            risk: self.risk,
            now: self.now,
            last_mfa: self.last_mfa,
            last_login: self.last_login,
        })
    }

    /// The same with the facts hidden that `mask` has a bit for.
    pub(crate) fn hidden(&self, mask: u16) -> Self {
        let mut login = self.clone();
        let hides = |bit: u16| mask & (1 << bit) != 0;
        if hides(0) {
            login.uid = None;
        }
        if hides(1) {
            login.groups = Known::Unknown;
        }
        if hides(2) {
            login.seat = Known::Unknown;
        }
        if hides(3) {
            login.country = Known::Unknown;
        }
        if hides(4) {
            login.first = Known::Unknown;
        }
        if hides(5) {
            login.device = Known::Unknown;
        }
        if hides(6) {
            login.risk = Known::Unknown;
        }
        if hides(7) {
            login.last_mfa = Known::Unknown;
        }
        if hides(8) {
            login.last_login = Known::Unknown;
        }
        login
    }
}

fn name(usual: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(usual).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn known<T: std::fmt::Debug + Clone>(
    fact: impl Strategy<Value = T>,
) -> impl Strategy<Value = Known<T>> {
    prop_oneof![1 => Just(None), 6 => fact.prop_map(Some)].prop_map(Known::from)
}

fn first() -> impl Strategy<Value = First> {
    let key = (
        prop::option::weighted(0.8, prop::sample::select(&FINGERPRINTS[..])),
        any::<bool>(),
        prop::option::of(prop::sample::select(&FINGERPRINTS[..])),
        any::<bool>(),
    );
    let key = key.prop_map(|(fingerprint, sk, ca, certificate)| Key {
        fingerprint,
        kind: "ssh-ed25519",
        sk,
        certificate: certificate || ca.is_some(),
        ca,
    });
    let keys = prop::collection::vec(key, 0..3);
    (any::<bool>(), keys).prop_map(|(password, keys)| First { password, keys })
}

fn risk() -> impl Strategy<Value = Risk> {
    let signals = prop::sample::subsequence(&Signal::ALL[..], 0..4);
    let level = prop::sample::select(&Level::ALL[..]);
    (level, signals).prop_map(|(level, signals)| Risk {
        level,
        signals: signals.into_iter().collect(),
    })
}

fn moment() -> impl Strategy<Value = Option<i64>> {
    const DAY: i64 = 86_400;
    const AGES: [i64; 6] = [0, DAY - 1, DAY, 7 * DAY, 30 * DAY, 31 * DAY];
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(NOW + 3)),
        6 => prop::sample::select(&AGES[..])
            .prop_map(|age| Some(NOW - age)),
    ]
}

pub(crate) fn login() -> impl Strategy<Value = Attempt> {
    let address = prop_oneof![
        4 => prop::sample::select(&["10.1.0.1", "::ffff:10.1.0.9", "2001:db8::1", "::1", "203.0.113.9"][..])
            .prop_map(|text| text.parse().unwrap()),
        1 => any::<IpAddr>(),
    ];
    let who = (
        name(&["alice", "bob", "root", ""]),
        prop::option::of(prop::sample::select(
            &[0_u32, 999, 1000, 60_000, u32::MAX][..],
        )),
        known(prop::collection::vec(
            name(&["wheel", "staff", "users"]),
            0..4,
        )),
        name(&["sshd", "su", "su-l", "sudo", "sudo-i", "login"]),
        prop::option::of(name(&["root", "bob"])),
    );
    let place = (
        prop::option::of(address),
        any::<bool>(),
        prop::option::of(name(&["tty1", "pts/1", "/dev/pts/1", "ssh"])),
        known(prop::option::of(name(&["seat0", "seat1"]))),
        known(prop::option::of(
            prop::sample::select(&["CH", "JP", "US"][..])
                .prop_map(|code| Country::new(code).unwrap()),
        )),
    );
    let device = known(prop::sample::select(&[Device::Known, Device::New][..]));
    // Two weeks, hour by hour, and times that no calendar has.
    let now = prop_oneof![12 => (0..336_i64).prop_map(|hour| NOW + hour * 3600), 1 => any::<i64>()];
    let history = (
        known(first()),
        device,
        known(risk()),
        now,
        known(moment()),
        known(moment()),
    );
    (who, place, history).prop_map(|(who, place, history)| {
        let (user, uid, groups, service, target) = who;
        let (address, local, tty, seat, country) = place;
        let (first, device, risk, now, last_mfa, last_login) = history;
        Attempt {
            user,
            uid,
            groups,
            service,
            target,
            address,
            local,
            tty,
            seat,
            country,
            first,
            device,
            risk,
            now,
            last_mfa,
            last_login,
        }
    })
}
