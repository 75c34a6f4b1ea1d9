//! Which calls from the system bus are served: a bound on what each sender, and all together, have unanswered. It reads
//! no message and no clock.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Most calls of one sender that wait for an answer. `mfactl` and the module have one.
const OF_ONE: usize = 4;
/// Most calls of everybody. A uid has at most 256 connections to the bus (`max_connections_per_user`), so that it takes
/// several to fill this.
const OF_ALL: usize = 2048;
/// A call longer than this, in bytes, is a large one. Neither `mfactl` nor a login with an ordinary key makes one.
const LARGE: usize = 4096;
/// Most large calls of everybody.
const LARGE_OF_ALL: usize = 32;
/// When a call is taken for answered, whatever became of it: longer than polkit's minute, and than any look-up.
const FORGOTTEN: Duration = Duration::from_mins(2);

/// The calls that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Admission {
    senders: HashMap<String, HashMap<u32, Call>>,
    count: usize,
    large: usize,
}

#[derive(Debug)]
struct Call {
    large: bool,
    since: Instant,
}

impl Admission {
    /// Whether a call may be served; it is then remembered until it is answered.
    pub(super) fn admit(&mut self, sender: &str, serial: u32, length: usize, now: Instant) -> bool {
        let large = length > LARGE;
        let full = |this: &Self| {
            this.count >= OF_ALL
                || (large && this.large >= LARGE_OF_ALL)
                || this
                    .senders
                    .get(sender)
                    .is_some_and(|calls| calls.len() >= OF_ONE)
        };
        if full(self) {
            self.forget(now);
            if full(self) {
                return false;
            }
        }
        let calls = self.senders.entry(sender.to_owned()).or_default();
        // A serial that waits already: no bus library numbers so, and its answer could not be told from the other's.
        if calls.contains_key(&serial) {
            return false;
        }
        calls.insert(serial, Call { large, since: now });
        self.count += 1;
        self.large += usize::from(large);
        true
    }

    /// An answer has been written.
    pub(super) fn answered(&mut self, sender: &str, serial: u32) {
        let Some(calls) = self.senders.get_mut(sender) else {
            return;
        };
        if let Some(call) = calls.remove(&serial) {
            self.count -= 1;
            self.large -= usize::from(call.large);
        }
        if calls.is_empty() {
            self.senders.remove(sender);
        }
    }

    fn forget(&mut self, now: Instant) {
        self.senders.retain(|_, calls| {
            calls.retain(|_, call| now.saturating_duration_since(call.since) < FORGOTTEN);
            !calls.is_empty()
        });
        let calls = || self.senders.values().flat_map(HashMap::values);
        (self.count, self.large) = (calls().count(), calls().filter(|call| call.large).count());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: usize = 200;

    #[test]
    fn a_sender_has_its_share_until_it_is_answered() {
        let mut admission = Admission::default();
        let now = Instant::now();
        let admitted = (1..10).filter(|serial| admission.admit(":1.1", *serial, SMALL, now));
        assert_eq!(admitted.count(), OF_ONE);
        assert!(admission.admit(":1.2", 1, SMALL, now), "others are served");
        admission.answered(":1.1", 2);
        assert!(admission.admit(":1.1", 20, SMALL, now));
        assert!(!admission.admit(":1.2", 1, SMALL, now), "the same serial");
    }

    #[test]
    fn all_together_are_bounded_and_large_ones_sooner() {
        let mut admission = Admission::default();
        let now = Instant::now();
        let senders: Vec<String> = (0..OF_ALL + 10).map(|n| format!(":1.{n}")).collect();
        let large = |admission: &mut Admission| {
            let all = senders.iter();
            all.filter(|sender| admission.admit(sender, 1, LARGE + 1, now))
                .count()
        };
        assert_eq!(large(&mut admission), LARGE_OF_ALL);
        let small = senders.iter();
        let small = small.filter(|sender| admission.admit(sender, 2, SMALL, now));
        assert_eq!(small.count(), OF_ALL - LARGE_OF_ALL);
        for sender in &senders {
            admission.answered(sender, 1);
            admission.answered(sender, 2);
        }
        assert!(admission.senders.is_empty());
        assert_eq!((admission.count, admission.large), (0, 0));
        assert_eq!(large(&mut admission), LARGE_OF_ALL);
    }

    #[test]
    fn a_call_that_is_never_answered_does_not_count_for_ever() {
        let mut admission = Admission::default();
        let now = Instant::now();
        for serial in 0..4 {
            assert!(admission.admit(":1.1", serial, SMALL, now));
        }
        assert!(!admission.admit(":1.1", 9, SMALL, now + FORGOTTEN / 2));
        assert!(admission.admit(":1.1", 9, SMALL, now + FORGOTTEN));
    }
}
