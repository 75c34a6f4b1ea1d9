//! What holds of every assessment, whatever is remembered.

use proptest::prelude::*;

use super::{
    tests::{DAY, NOW, usual},
    *,
};
use crate::location::{Country, Position};

prop_compose! {
    fn any_position()(latitude in -90.0..=90.0_f64, longitude in -180.0..=180.0_f64, reach: u16) -> Option<Position> {
        Position::of(latitude, longitude, reach)
    }
}

prop_compose! {
    /// Few values, so that some are known and some are not.
    fn any_login()(
        network in proptest::option::of(0..4_u8),
        country in proptest::option::of(0..4_usize),
        device in proptest::option::of(0..4_u8),
        position in proptest::option::of(any_position()),
    ) -> Circumstances {
        Circumstances {
            network: network.map(|third| Network::of([198, 51, third, 1].into())),
            country: country.and_then(|index| Country::new(["CH", "DE", "AU", "US"][index])),
            device: device.map(|number| Mark([number; 32])),
            position: position.flatten(),
        }
    }
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![NOW - 100 * DAY..NOW + 10 * DAY, any::<i64>()]
}

prop_compose! {
    fn any_history()(
        logins in proptest::collection::vec((any_time(), 0..50_u32, any::<bool>(), any_login(), any::<bool>()), 0..40),
        last_login in proptest::option::of(any_time()),
    ) -> History {
        let mut history = History { last_login, ..History::default() };
        for (at, times, teaches, login, proven) in logins {
            learn(&mut history, &login, at, times, teaches, proven);
        }
        history
    }
}

fn learn(
    history: &mut History,
    login: &Circumstances,
    at: i64,
    times: u32,
    teaches: bool,
    proven: bool,
) {
    history.habit.note(
        at,
        times,
        teaches,
        login.position,
        at.saturating_sub(90 * DAY),
    );
    if teaches {
        history.networks.extend(login.network);
        history.countries.extend(login.country);
        let known = login.device.map(|mark| KnownDevice { mark, proven });
        history.devices.extend(known);
    }
}

fn any_failures() -> impl Strategy<Value = Failures> {
    let count = || prop_oneof![0..100_u32, any::<u32>()];
    (count(), count(), count()).prop_map(|(user, source, everywhere)| Failures {
        user,
        source,
        everywhere,
    })
}

prop_compose! {
    fn any_settings()(
        weights in proptest::collection::vec(0..=HEAVIEST, Signal::ALL.len()),
        (low, medium, high) in (1..=300_u32, 1..=300_u32, 1..=300_u32),
        (learn, hour_days, hour_percent) in (1..=20_u32, 1..=20_u32, 1..=50_u32),
        (speed, distance) in (100..=10_000_u32, 50..=20_000_u32),
        (user, source, everywhere) in (1..=50_u32, 1..=50_u32, 1..=50_u32),
    ) -> Settings {
        let weights = Signal::ALL.iter().zip(weights).fold(Weights::default(), |all, (signal, weight)| all.with(*signal, weight));
        Settings {
            weights,
            low,
            medium: low + medium,
            high: low + medium + high,
            learn,
            hour_days,
            hour_percent,
            speed,
            distance,
            failures_user: user,
            failures_source: source,
            failures_everywhere: everywhere,
            ..Settings::default()
        }
    }
}

proptest! {
    #[test]
    fn it_is_total_and_bounded(history in any_history(), login in any_login(), failures in any_failures(), settings in any_settings(), now in any_time()) {
        let assessed = assess(&history, &login, failures, &settings, now);
        prop_assert!(assessed.score <= 1_000);
        prop_assert_eq!(assessed.score, assessed.signals.iter().map(|fired| fired.weight).sum::<u32>());
        prop_assert!(assessed.signals.windows(2).all(|pair| pair[0].signal < pair[1].signal));
        for fired in &assessed.signals {
            prop_assert!(fired.why.len() <= 120 && fired.why.is_ascii(), "{}", fired.why);
        }
    }

    #[test]
    fn more_failures_never_lower_the_level(history in any_history(), login in any_login(), fewer in any_failures(), more in any_failures(), settings in any_settings(), now in any_time()) {
        let more = Failures {
            user: fewer.user.saturating_add(more.user),
            source: fewer.source.saturating_add(more.source),
            everywhere: fewer.everywhere.saturating_add(more.everywhere),
        };
        let (before, after) = (assess(&history, &login, fewer, &settings, now), assess(&history, &login, more, &settings, now));
        prop_assert!(after.level >= before.level);
        prop_assert!(before.signals.iter().all(|fired| after.has(fired.signal)));
    }

    #[test]
    fn a_heavier_weight_never_lowers_the_level(history in any_history(), login in any_login(), failures in any_failures(), settings in any_settings(), index in 0..Signal::ALL.len(), more in 0..=HEAVIEST) {
        let signal = Signal::ALL[index];
        let heavier = Settings { weights: settings.weights.with(signal, settings.weights.of(signal) + more), ..settings.clone() };
        let (before, after) = (assess(&history, &login, failures, &settings, NOW), assess(&history, &login, failures, &heavier, NOW));
        prop_assert!(after.level >= before.level);
    }

    #[test]
    fn what_is_not_known_fires_nothing(history in any_history(), login in any_login(), failures in any_failures(), settings in any_settings(), hide in 0..4) {
        let mut less = login;
        match hide {
            0 => less.network = None,
            1 => less.country = None,
            2 => less.position = None,
            _ => less.device = None,
        }
        let (all, some) = (assess(&history, &login, failures, &settings, NOW), assess(&history, &less, failures, &settings, NOW));
        prop_assert!(some.signals.iter().all(|fired| all.has(fired.signal)));
    }

    /// Without enough logins nothing that is learned fires, whatever else is remembered.
    #[test]
    fn too_few_logins_are_nothing_to_compare_with(history in any_history(), login in any_login(), settings in any_settings()) {
        let unlearned = Settings { learn: u32::MAX, ..settings };
        let assessed = assess(&history, &login, Failures::default(), &unlearned, NOW);
        prop_assert!(assessed.signals.iter().all(|fired| !signals::is_learned(fired.signal)));
    }

    /// After a login with a second factor, the very same one is new in nothing.
    #[test]
    fn what_was_proven_is_not_new_any_more(history in any_history(), login in any_login(), settings in any_settings()) {
        let mut taught = history;
        learn(&mut taught, &login, NOW, 1, true, true);
        let assessed = assess(&taught, &login, Failures::default(), &settings, NOW);
        for signal in [Signal::NewDevice, Signal::NewNetwork, Signal::NewCountry, Signal::ImpossibleTravel] {
            prop_assert!(!assessed.has(signal), "{signal:?}");
        }
    }

    /// With enough logins, forgetting a device, a network or all but one country never lowers the level.
    #[test]
    fn forgetting_where_they_came_from_never_lowers_the_level(history in any_history(), login in any_login(), failures in any_failures(), settings in any_settings(), keep in 0..4_usize) {
        let mut less = history.clone();
        less.networks.truncate(keep);
        less.devices.truncate(keep);
        less.countries.truncate(keep.max(1));
        let (before, after) = (assess(&history, &login, failures, &settings, NOW), assess(&less, &login, failures, &settings, NOW));
        prop_assert!(after.level >= before.level);
    }

    /// Whoever waits longer has more time to travel.
    #[test]
    fn time_makes_no_journey_impossible(history in any_history(), login in any_login(), settings in any_settings(), later in 0..30 * DAY) {
        // As many logins as it takes, now and then.
        let settings = Settings { learn: 0, keep: 400 * DAY, ..settings };
        let at = |now| assess(&history, &login, Failures::default(), &settings, now).has(Signal::ImpossibleTravel);
        prop_assert!(at(NOW) || !at(NOW + later));
    }

    #[test]
    fn a_habit_survives_its_bytes(history in any_history()) {
        let bytes = history.habit.encode();
        prop_assert!(bytes.len() <= 608);
        prop_assert_eq!(Habit::decode(&bytes), Some(history.habit));
    }

    #[test]
    fn no_bytes_are_too_strange_for_a_habit(mut bytes in proptest::collection::vec(any::<u8>(), 0..700), sound: bool) {
        if let (true, Some(version)) = (sound, bytes.first_mut()) {
            *version = 1;
        }
        if let Some(habit) = Habit::decode(&bytes) {
            let history = History { habit, ..History::default() };
            let settings = Settings { learn: 0, ..Settings::default() };
            let _total = assess(&history, &usual(), Failures::default(), &settings, NOW);
        }
    }
}
