//! Notices that many people, or many codes, are being tried. It only says so; it locks nobody out.

use std::collections::VecDeque;

const MINUTE: i64 = 60;
const TEN_MINUTES: i64 = 600;

/// What an operator should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// Too many failures in a minute.
    Failures,
    /// Failures of too many people in ten minutes.
    People,
}

impl Alarm {
    /// For the audit record.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Failures => "too many wrong codes within a minute",
            Self::People => "wrong codes for too many people within ten minutes",
        }
    }
}

/// Counts failures over all people, in bounded memory.
#[derive(Debug)]
pub struct Watch {
    /// More failures than this in a minute raise an alarm.
    most_failures: usize,
    /// Failures of more people than this in ten minutes raise an alarm.
    most_people: usize,
    /// Times of the last failures, oldest first; at most one more than raises an alarm.
    failures: VecDeque<i64>,
    /// Who failed last and when, one entry a person, oldest first; likewise bounded.
    people: VecDeque<(u64, i64)>,
    failures_raised: Option<i64>,
    people_raised: Option<i64>,
}

impl Watch {
    /// Watches for more than so many failures in a minute, and for failures of more than so many people in ten.
    pub fn new(failures_per_minute: u32, people_per_10_minutes: u32) -> Self {
        Self {
            most_failures: failures_per_minute as usize,
            most_people: people_per_10_minutes as usize,
            failures: VecDeque::new(),
            people: VecDeque::new(),
            failures_raised: None,
            people_raised: None,
        }
    }

    /// Notes a failure of `person` (any number that stands for them) on the steady clock, and says whether to raise
    /// an alarm: each at most once in its interval.
    pub fn failure(&mut self, person: u64, now: i64) -> Option<Alarm> {
        self.failures.push_back(now);
        if self.failures.len() > self.most_failures + 1 {
            self.failures.pop_front();
        }
        self.people.retain(|(known, _)| *known != person);
        self.people.push_back((person, now));
        if self.people.len() > self.most_people + 1 {
            self.people.pop_front();
        }
        let many = self.people.len() > self.most_people
            && self
                .people
                .front()
                .is_some_and(|(_, since)| now - since < TEN_MINUTES);
        if many && due(&mut self.people_raised, now, TEN_MINUTES) {
            return Some(Alarm::People);
        }
        let fast = self.failures.len() > self.most_failures
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
        let mut watch = Watch::new(60, 10);
        let raised: Vec<i64> = (0..600)
            .filter(|tick| watch.failure(1, tick / 5) == Some(Alarm::Failures))
            .map(|tick| tick / 5)
            .collect();
        assert_eq!(raised, [12, 72]);
    }

    #[test]
    fn sixty_a_minute_is_no_alarm() {
        let mut watch = Watch::new(60, 10);
        assert!((0..600).all(|second| watch.failure(1, second).is_none()));
    }

    #[test]
    fn the_11th_person_in_ten_minutes_raises_one_alarm() {
        let mut watch = Watch::new(60, 10);
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
        let mut watch = Watch::new(60, 10);
        assert!((0..200_u64).all(|tick| {
            watch
                .failure(tick % 10, i64::try_from(tick).unwrap() * 2)
                .is_none()
        }));
    }
}
