//! What the budget and the delays are worth against somebody who guesses as fast as they allow.

use proptest::prelude::*;

use super::*;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const LIMITS: fn() -> Limits = Limits::default;

/// Fails in `lane` at every second at which that is allowed, from `from` until `until`; returns the times.
fn guess_at_full_pace(ledger: &mut Ledger, lane: Lane, from: i64, until: i64) -> Vec<i64> {
    let mut times = Vec::new();
    let mut now = from;
    while now < until {
        match ledger.admit(lane, 1, now, &LIMITS()) {
            Ok(()) => {
                ledger.charge(lane, 1, now, &LIMITS());
                times.push(now);
            }
            Err(Refusal::Delayed(end)) => now = end,
            Err(_) => now += HOUR,
        }
    }
    times
}

#[test]
fn at_full_pace_9_guesses_fit_in_the_first_hour_and_32_in_the_first_day() {
    for lane in Lane::ALL {
        let times = guess_at_full_pace(&mut Ledger::new(Class::Otp), lane, 0, DAY);
        assert_eq!(
            times.iter().filter(|time| **time < HOUR).count(),
            9,
            "{lane:?}"
        );
        assert_eq!(times.len(), 32, "{lane:?}");
    }
}

#[test]
fn at_full_pace_no_lane_gets_more_than_its_share_of_100_in_any_30_days() {
    for (lane, share) in [
        (Lane::Other, 80),
        (Lane::SelfService, 80),
        (Lane::Trusted, 90),
        (Lane::Local, 90),
    ] {
        let times = guess_at_full_pace(&mut Ledger::new(Class::Otp), lane, 0, 120 * DAY);
        for (index, start) in times.iter().enumerate() {
            let within = times[index..]
                .iter()
                .take_while(|time| **time - start < 30 * DAY)
                .count();
            assert!(
                within <= share,
                "{lane:?}: {within} in 30 days from {start}"
            );
        }
        assert!(
            times.len() > 2 * share,
            "{lane:?}: {} in 120 days: the window must slide",
            times.len()
        );
    }
}

#[test]
fn delays_double_from_30_seconds_to_an_hour() {
    let delays: Vec<i64> = (0..13)
        .map(|failures| LIMITS().delay_after(failures))
        .collect();
    assert_eq!(
        delays,
        [0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    );
    assert_eq!(LIMITS().delay_after(u32::MAX), 3600);
}

#[test]
fn a_success_clears_its_own_lanes_delay_and_no_budget() {
    let mut ledger = Ledger::new(Class::Otp);
    for lane in [Lane::Trusted, Lane::Other] {
        for _ in 0..5 {
            ledger.charge(lane, 1, 1000, &LIMITS());
        }
    }
    assert!(ledger.clear_delay(Lane::Trusted, 1001));
    assert_eq!(ledger.admit(Lane::Trusted, 1, 1001, &LIMITS()), Ok(()));
    assert_eq!(
        ledger.admit(Lane::Other, 1, 1001, &LIMITS()),
        Err(Refusal::Delayed(1000 + 120))
    );
    assert_eq!(ledger.spent(1001, &LIMITS()), 10);
    assert!(
        !ledger.clear_delay(Lane::Trusted, 1002),
        "nothing is left to clear"
    );
}

#[test]
fn a_failure_in_the_second_of_a_success_counts() {
    let mut ledger = Ledger::new(Class::Otp);
    ledger.charge(Lane::Other, 1, 5, &LIMITS());
    ledger.clear_delay(Lane::Other, 5);
    for _ in 0..3 {
        ledger.charge(Lane::Other, 1, 5, &LIMITS());
    }
    assert_eq!(
        ledger.admit(Lane::Other, 1, 5, &LIMITS()),
        Err(Refusal::Delayed(35))
    );
}

#[test]
fn backup_codes_are_delayed_but_never_disabled() {
    let mut ledger = Ledger::new(Class::BackupCodes);
    let times = guess_at_full_pace(&mut ledger, Lane::Other, 0, 60 * DAY);
    assert!(times.len() > 1000, "{}", times.len());
    assert!(
        times
            .windows(2)
            .skip(40)
            .all(|pair| pair[1] - pair[0] == HOUR)
    );
    assert!(ledger.failures.len() <= MOST_UNBOUNDED);
    assert!(!ledger.is_exhausted(60 * DAY, &LIMITS()));
}

#[test]
fn failures_from_the_future_count_as_now_and_then_age() {
    let mut ledger = Ledger::new(Class::Otp);
    for _ in 0..4 {
        ledger.charge(Lane::Other, 1, 10 * DAY, &LIMITS());
    }
    // The clock was set back by ten days.
    assert_eq!(
        ledger.admit(Lane::Other, 1, 0, &LIMITS()),
        Err(Refusal::Delayed(60))
    );
    assert_eq!(ledger.spent(0, &LIMITS()), 4);
    assert!(ledger.settle(0));
    assert!(!ledger.settle(0));
    assert_eq!(ledger.admit(Lane::Other, 1, 60, &LIMITS()), Ok(()));
    assert_eq!(ledger.spent(30 * DAY, &LIMITS()), 0);
}

#[test]
fn an_answer_is_refused_that_could_cost_more_than_is_left() {
    let mut ledger = Ledger::new(Class::Otp);
    ledger.charge(Lane::Other, 75, 0, &LIMITS());
    assert_eq!(
        ledger.admit(Lane::Other, 6, DAY, &LIMITS()),
        Err(Refusal::Exhausted)
    );
    assert_eq!(ledger.admit(Lane::Other, 5, DAY, &LIMITS()), Ok(()));
    assert_eq!(ledger.admit(Lane::Trusted, 15, DAY, &LIMITS()), Ok(()));
}

#[test]
fn what_is_no_ledger_is_not_read_as_one() {
    let mut ledger = Ledger::new(Class::Otp);
    ledger.charge(Lane::Other, 1, 1_800_000_000, &LIMITS());
    let bytes = ledger.encode();
    for end in 0..bytes.len() {
        let cut = Ledger::decode(Class::Otp, &bytes[..end]);
        assert!(cut.is_none_or(|cut| cut.is_empty()), "cut at {end}");
    }
    assert_eq!(Ledger::decode(Class::Otp, &[]), None);
    assert_eq!(Ledger::decode(Class::Otp, &[2]), None);
    assert_eq!(Ledger::decode(Class::Otp, &[1, 0xFF, 0, 0, 0]), None);
    assert_eq!(
        Ledger::decode(
            Class::Otp,
            &[
                1, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1
            ]
        ),
        None
    );
}

fn lane() -> impl Strategy<Value = Lane> {
    prop::sample::select(&Lane::ALL[..])
}

/// One move of somebody who may try from anywhere, wait, and sometimes be the owner who gets in.
#[derive(Debug, Clone)]
enum Move {
    Guess(Lane, u32),
    Succeed(Lane),
    Wait(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        6 => (lane(), 1_u32..8).prop_map(|(lane, units)| Move::Guess(lane, units)),
        1 => lane().prop_map(Move::Succeed),
        2 => prop::sample::select(vec![1_i64, 30, 600, 3600, 7200, 86_400, 5 * 86_400]).prop_map(Move::Wait),
    ];
    prop::collection::vec(one, 1..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the interleaving: the bounds hold, reserves stay reserved, lanes do not delay one another, and the
    /// bytes say it all.
    #[test]
    fn no_interleaving_of_lanes_breaks_the_bounds(moves in moves()) {
        let limits = LIMITS();
        let mut ledger = Ledger::new(Class::Otp);
        let mut charged: Vec<(i64, Lane, u32)> = Vec::new();
        let mut now = 1_800_000_000;
        for step in moves {
            match step {
                Move::Wait(seconds) => now += seconds,
                Move::Succeed(lane) => { ledger.clear_delay(lane, now); }
                Move::Guess(lane, units) => {
                    let delays = ledger.delays(now, &limits);
                    if ledger.admit(lane, units, now, &limits).is_ok() {
                        ledger.charge(lane, units, now, &limits);
                        charged.push((now, lane, units));
                        let others = |delays: Vec<(Lane, i64)>| -> Vec<(Lane, i64)> {
                            delays.into_iter().filter(|(delayed, _)| *delayed != lane).collect()
                        };
                        prop_assert_eq!(others(delays), others(ledger.delays(now, &limits)));
                    }
                }
            }
            let spent = |of: &[Lane]| -> u32 {
                charged.iter().filter(|(time, lane, _)| now - time < limits.window && of.contains(lane)).map(|(.., units)| units).sum()
            };
            prop_assert!(spent(&Lane::ALL) <= limits.limit);
            prop_assert!(spent(&[Lane::Other, Lane::SelfService]) <= limits.shared());
            prop_assert_eq!(ledger.spent(now, &limits), spent(&Lane::ALL));
            let trusted_room = ledger.room(Lane::Trusted, now, &limits);
            prop_assert!(trusted_room + spent(&[Lane::Trusted]) >= limits.reserve_trusted);
            let local_room = ledger.room(Lane::Local, now, &limits);
            prop_assert!(local_room + spent(&[Lane::Local]) >= limits.reserve_local);
            prop_assert_eq!(Ledger::decode(Class::Otp, &ledger.encode()), Some(ledger.clone()));
        }
    }

    #[test]
    fn any_bytes_decode_or_do_not_but_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(ledger) = Ledger::decode(Class::Otp, &bytes) {
            let _room = ledger.room(Lane::Other, 0, &LIMITS());
            let _bytes = ledger.encode();
        }
    }
}
