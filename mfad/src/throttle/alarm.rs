//! Notices that many people, or many codes, are being tried. It only says so; it locks nobody out.

use std::collections::VecDeque;

/// More failures than this in [`MINUTE`] raise an alarm.
const FAILURES: usize = 60;
const MINUTE: i64 = 60;
/// Failures of more people than this in [`TEN_MINUTES`] raise an alarm.
const PEOPLE: usize = 10;
const TEN_MINUTES: i64 = 600;

/// What an operator should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// More than 60 failures in a minute.
    Failures,
    /// Failures of more than ten people in ten minutes.
    People,
}

impl Alarm {
    /// For the audit record.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Failures => "more than 60 wrong codes within a minute",
            Self::People => "wrong codes for more than 10 people within 10 minutes",
        }
    }
}

/// Counts failures over all people, in bounded memory.
#[derive(Debug, Default)]
pub struct Watch {
    /// Times of the last failures, oldest first; at most one more than raises an alarm.
    failures: VecDeque<i64>,
    /// Who failed last and when, one entry a person, oldest first; likewise bounded.
    people: VecDeque<(u64, i64)>,
    failures_raised: Option<i64>,
    people_raised: Option<i64>,
}

impl Watch {
    /// Notes a failure of `person` (any number that stands for them) on the steady clock, and says whether to raise
    /// an alarm: each at most once in its interval.
    pub fn failure(&mut self, person: u64, now: i64) -> Option<Alarm> {
        self.failures.push_back(now);
        if self.failures.len() > FAILURES + 1 {
            self.failures.pop_front();
        }
        self.people.retain(|(known, _)| *known != person);
        self.people.push_back((person, now));
        if self.people.len() > PEOPLE + 1 {
            self.people.pop_front();
        }
        let many = self.people.len() > PEOPLE
            && self
                .people
                .front()
                .is_some_and(|(_, since)| now - since < TEN_MINUTES);
        if many && due(&mut self.people_raised, now, TEN_MINUTES) {
            return Some(Alarm::People);
        }
        let fast = self.failures.len() > FAILURES
            && self
                .failures
                .front()
                .is_some_and(|since| now - since < MINUTE);
        (fast && due(&mut self.failures_raised, now, MINUTE)).then_some(Alarm::Failures)
    }
}

fn due(raised: &mut Option<i64>, now: i64, interval: i64) -> bool {
    let due = raised.is_none_or(|before| now < before || now - before >= interval);
    if due {
        *raised = Some(now);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_61st_failure_in_a_minute_raises_one_alarm_a_minute() {
        let mut watch = Watch::default();
        let raised: Vec<i64> = (0..600)
            .filter(|tick| watch.failure(1, tick / 5) == Some(Alarm::Failures))
            .map(|tick| tick / 5)
            .collect();
        assert_eq!(raised, [12, 72]);
    }

    #[test]
    fn sixty_a_minute_is_no_alarm() {
        let mut watch = Watch::default();
        assert!((0..600).all(|second| watch.failure(1, second).is_none()));
    }

    #[test]
    fn the_11th_person_in_ten_minutes_raises_one_alarm() {
        let mut watch = Watch::default();
        let raised: Vec<u64> = (0..40)
            .filter(|person| watch.failure(*person, 1000).is_some())
            .collect();
        assert_eq!(raised, [10]);
        assert_eq!(
            watch.failure(41, 1600),
            None,
            "the earlier ones are ten minutes old"
        );
    }

    #[test]
    fn ten_people_are_no_alarm_however_often_they_fail() {
        let mut watch = Watch::default();
        assert!((0..200_u64).all(|tick| {
            watch
                .failure(tick % 10, i64::try_from(tick).unwrap() * 2)
                .is_none()
        }));
    }
}
