//! Each signal alone.

use std::net::IpAddr;

use super::*;
use crate::location::{Country, Position};

const HOUR: i64 = 3_600;
pub(super) const DAY: i64 = 86_400;
/// A Friday, at half past nine.
pub(super) const NOW: i64 = 1_800_005_400;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn zurich() -> Option<Position> {
    Position::of(47.37, 8.54, 50)
}

pub(super) fn usual() -> Circumstances {
    Circumstances {
        network: Some(Network::of(address("198.51.100.7"))),
        country: Country::new("CH"),
        position: zurich(),
        device: Some(Mark::of("ssh-key", "SHA256:a")),
    }
}

/// Somebody who has logged in once a day at this hour, for so many days up to yesterday.
fn history(days: i64) -> History {
    let mut habit = Habit::default();
    for day in (1..=days).rev() {
        habit.note(NOW - day * DAY, 1, true, zurich(), 0);
    }
    let known = usual();
    History {
        networks: known.network.into_iter().collect(),
        countries: known.country.into_iter().collect(),
        devices: known
            .device
            .map(|mark| KnownDevice { mark, proven: true })
            .into_iter()
            .collect(),
        habit,
        last_login: Some(NOW - DAY),
        last_mfa: Some(NOW - DAY),
    }
}

fn fired_at(history: &History, login: &Circumstances, now: i64) -> Vec<Signal> {
    let none = Failures::default();
    let assessed = assess(history, login, none, &Settings::default(), now);
    assessed.signals.iter().map(|fired| fired.signal).collect()
}

fn fired(history: &History, login: &Circumstances) -> Vec<Signal> {
    fired_at(history, login, NOW)
}

#[test]
fn a_usual_login_is_no_risk() {
    let assessed = assess(
        &history(30),
        &usual(),
        Failures::default(),
        &Settings::default(),
        NOW,
    );
    assert_eq!((assessed.level, assessed.score), (Level::None, 0));
}

#[test]
fn a_new_account_is_no_risk_until_there_is_something_to_compare_with() {
    let elsewhere = Circumstances {
        network: Some(Network::of(address("2001:db8::1"))),
        country: Country::new("AU"),
        position: Position::of(-33.9, 151.2, 50),
        device: Some(Mark::of("ssh-key", "SHA256:b")),
    };
    for logins in 0..10 {
        assert_eq!(fired(&history(logins), &elsewhere), [], "{logins}");
    }
    assert_eq!(fired(&History::default(), &elsewhere), []);
    assert_eq!(
        fired(&history(10), &elsewhere).len(),
        3,
        "a day is enough to get there"
    );
}

#[test]
fn a_key_is_new_until_a_second_factor_was_proven_with_it() {
    let mark = Mark::of("ssh-key", "SHA256:b");
    let login = Circumstances {
        device: Some(mark),
        ..usual()
    };
    let mut known = history(30);
    assert_eq!(fired(&known, &login), [Signal::NewDevice]);
    known.devices.push(KnownDevice {
        mark,
        proven: false,
    });
    assert_eq!(fired(&known, &login), [Signal::NewDevice], "only seen");
    known.devices.push(KnownDevice { mark, proven: true });
    assert_eq!(fired(&known, &login), []);
    let unknown = Circumstances {
        device: None,
        ..usual()
    };
    assert_eq!(fired(&history(30), &unknown), []);
}

#[test]
fn a_network_is_a_slash_24_or_a_slash_48() {
    let from = |text| Circumstances {
        network: Some(Network::of(address(text))),
        ..usual()
    };
    let mut known = history(30);
    known.networks.push(Network::of(address("2001:db8:7:1::1")));
    for (text, is_new) in [
        ("198.51.100.250", false),
        ("::ffff:198.51.100.1", false),
        ("198.51.101.7", true),
        ("2001:db8:7:ffff::2", false),
        ("2001:db8:8::2", true),
    ] {
        let expected: &[Signal] = if is_new { &[Signal::NewNetwork] } else { &[] };
        assert_eq!(fired(&known, &from(text)), expected, "{text}");
    }
}

#[test]
fn a_country_is_new_only_if_some_are_known() {
    let abroad = Circumstances {
        country: Country::new("LI"),
        ..usual()
    };
    let mut known = history(30);
    assert_eq!(fired(&known, &abroad), [Signal::NewCountry]);
    known.countries.clear();
    assert_eq!(
        fired(&known, &abroad),
        [],
        "there was no database until now"
    );
}

#[test]
fn a_journey_is_impossible_if_nobody_travels_so_fast() {
    let at = |latitude, longitude, reach| Circumstances {
        position: Position::of(latitude, longitude, reach),
        ..usual()
    };
    let mut known = history(30);
    // Zurich an hour ago; London lies 780 km away, New York 6,320.
    known.habit.note(NOW - HOUR, 1, true, zurich(), 0);
    let (london, new_york) = (at(51.5, -0.1, 50), at(40.7, -74.0, 50));
    assert_eq!(fired(&known, &london), [], "a flight");
    assert_eq!(fired(&known, &new_york), [Signal::ImpossibleTravel]);
    assert_eq!(
        fired_at(&known, &new_york, NOW + 5 * HOUR),
        [Signal::ImpossibleTravel, Signal::UnusualHour]
    );
    assert!(!fired_at(&known, &new_york, NOW + 6 * HOUR).contains(&Signal::ImpossibleTravel));
    // At the same moment, 500 km are forgiven.
    known.habit.note(NOW, 1, true, zurich(), 0);
    assert_eq!(fired(&known, &at(48.86, 2.35, 50)), [], "Paris");
    assert_eq!(fired(&known, &london), [Signal::ImpossibleTravel]);
    assert_eq!(fired(&known, &at(51.5, -0.1, 400)), [], "it may be nearer");
    // The clock was set back.
    known.habit.note(NOW + DAY, 1, true, zurich(), 0);
    assert_eq!(fired(&known, &london), [Signal::ImpossibleTravel]);
}

#[test]
fn an_hour_is_unusual_if_nobody_saw_them_around_it() {
    let known = history(30);
    for (hours, is_unusual) in [
        (0, false),
        (1, false),
        (-1, false),
        (2, true),
        (-2, true),
        (12, true),
    ] {
        let expected: &[Signal] = if is_unusual {
            &[Signal::UnusualHour]
        } else {
            &[]
        };
        assert_eq!(
            fired_at(&known, &usual(), NOW + hours * HOUR),
            expected,
            "{hours}"
        );
    }
    // Ten logins on one day tell nothing of hours.
    let mut one_day = history(0);
    for _ in 0..20 {
        one_day.habit.note(NOW - DAY, 1, true, zurich(), 0);
    }
    assert_eq!(fired_at(&one_day, &usual(), NOW + 12 * HOUR), []);
    // Midnight is next to eleven.
    let mut late = history(0);
    let midnight = NOW - NOW.rem_euclid(DAY);
    for day in (1..=20).rev() {
        late.habit.note(midnight - day * DAY, 1, true, zurich(), 0);
    }
    assert_eq!(fired_at(&late, &usual(), midnight - HOUR / 2), []);
    assert_eq!(
        fired_at(&late, &usual(), midnight - 2 * HOUR),
        [Signal::UnusualHour]
    );
}

#[test]
fn a_rate_is_unusual_far_above_habit_and_above_the_floor() {
    let with = |times| {
        let mut known = history(30);
        known.habit.note(NOW, times, false, None, 0);
        known
    };
    assert_eq!(fired(&with(9), &usual()), []);
    assert_eq!(fired(&with(10), &usual()), [Signal::UnusualRate]);
    assert_eq!(
        fired_at(&with(10), &usual(), NOW + HOUR),
        [],
        "the hour is over"
    );
    // Who automates is used to it.
    let mut busy = history(0);
    for day in (1..=20).rev() {
        busy.habit.note(NOW - day * DAY, 100, true, zurich(), 0);
    }
    busy.habit.note(NOW, 499, true, zurich(), 0);
    assert_eq!(fired(&busy, &usual()), []);
    busy.habit.note(NOW, 1, true, zurich(), 0);
    assert_eq!(fired(&busy, &usual()), [Signal::UnusualRate]);
}

#[test]
fn failures_and_a_dormant_account_need_nothing_learned() {
    let settings = Settings::default();
    let failed = |user, source, everywhere| Failures {
        user,
        source,
        everywhere,
    };
    let of = |history: &History, failures| {
        let assessed = assess(history, &usual(), failures, &settings, NOW);
        let signals: Vec<Signal> = assessed.signals.iter().map(|fired| fired.signal).collect();
        signals
    };
    let new = History::default();
    assert_eq!(of(&new, failed(4, 4, 49)), []);
    assert_eq!(of(&new, failed(5, 0, 0)), [Signal::RecentFailuresUser]);
    assert_eq!(of(&new, failed(0, 5, 0)), [Signal::RecentFailuresSource]);
    assert_eq!(
        of(&new, failed(0, 0, 50)),
        [Signal::RecentFailuresEverywhere]
    );
    for (days, expected) in [(89, &[][..]), (90, &[Signal::Dormant])] {
        let asleep = History {
            last_login: Some(NOW - days * DAY),
            ..History::default()
        };
        assert_eq!(of(&asleep, failed(0, 0, 0)), expected);
    }
}

#[test]
fn levels_are_as_the_documentation_tells() {
    let level = |signals: &[Signal]| {
        let settings = Settings::default();
        settings.level(
            signals
                .iter()
                .map(|signal| settings.weights.of(*signal))
                .sum(),
        )
    };
    assert_eq!(level(&[]), Level::None);
    assert_eq!(level(&[Signal::RecentFailuresEverywhere]), Level::None);
    assert_eq!(level(&[Signal::UnusualHour]), Level::Low);
    assert_eq!(level(&[Signal::NewDevice]), Level::Low);
    assert_eq!(level(&[Signal::NewNetwork]), Level::Low);
    assert_eq!(
        level(&[Signal::NewNetwork, Signal::NewCountry]),
        Level::Medium
    );
    assert_eq!(level(&[Signal::ImpossibleTravel]), Level::High);
    let abroad = [Signal::NewDevice, Signal::NewNetwork, Signal::NewCountry];
    assert_eq!(level(&abroad), Level::High);
}

#[test]
fn a_weight_of_nothing_switches_a_signal_off() {
    let settings = Settings {
        weights: Weights::default().with(Signal::RecentFailuresUser, 0),
        ..Settings::default()
    };
    let failures = Failures {
        user: 100,
        ..Failures::default()
    };
    let assessed = assess(&history(30), &usual(), failures, &settings, NOW);
    assert_eq!(assessed.signals, []);
}

#[test]
fn the_clock_may_run_ahead_and_be_set_back() {
    let mut habit = Habit::default();
    habit.note(NOW + 500 * DAY, 1, true, zurich(), 0);
    for day in 0..3 {
        habit.note(NOW + day * DAY, 1, true, zurich(), 0);
    }
    assert_eq!(habit.logins(0), 3, "what lay in the future is forgotten");
}
