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
/// Most descriptors that calls of everybody hold. What the daemon may have open in all is for the logins on the sockets
/// first; a login by way of the bus brings one, and so does the enrollment of a key.
const DESCRIPTORS_OF_ALL: usize = 64;
/// When a call is taken for answered, whatever became of it: longer than polkit's minute, and than any look-up.
const FORGOTTEN: Duration = Duration::from_mins(2);

/// The calls that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Admission {
    senders: HashMap<String, HashMap<u32, Call>>,
    count: usize,
    large: usize,
    descriptors: usize,
}

/// How much a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// In bytes.
    pub length: usize,
    /// How many descriptors it brings.
    pub descriptors: usize,
}

#[derive(Debug)]
struct Call {
    size: Size,
    since: Instant,
}

impl Call {
    const fn is_large(&self) -> bool {
        self.size.length > LARGE
    }
}

impl Admission {
    /// Whether a call may be served; it is then remembered until it is answered.
    pub(super) fn admit(&mut self, sender: &str, serial: u32, size: Size, now: Instant) -> bool {
        let call = Call { size, since: now };
        if self.is_full_for(sender, &call) {
            self.forget(now);
            if self.is_full_for(sender, &call) {
                return false;
            }
        }
        let calls = self.senders.entry(sender.to_owned()).or_default();
        // A serial that waits already: no bus library numbers so, and its answer could not be told from the other's.
        if calls.contains_key(&serial) {
            return false;
        }
        self.count += 1;
        self.large += usize::from(call.is_large());
        self.descriptors += size.descriptors;
        calls.insert(serial, call);
        true
    }

    fn is_full_for(&self, sender: &str, call: &Call) -> bool {
        let own = self.senders.get(sender).map_or(0, HashMap::len);
        own >= OF_ONE
            || self.count >= OF_ALL
            || (call.is_large() && self.large >= LARGE_OF_ALL)
            || (call.size.descriptors > 0
                && self.descriptors + call.size.descriptors > DESCRIPTORS_OF_ALL)
    }

    /// An answer has been written.
    pub(super) fn answered(&mut self, sender: &str, serial: u32) {
        let Some(calls) = self.senders.get_mut(sender) else {
            return;
        };
        if let Some(call) = calls.remove(&serial) {
            self.count -= 1;
            self.large -= usize::from(call.is_large());
            self.descriptors -= call.size.descriptors;
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
        (self.count, self.large) = (
            calls().count(),
            calls().filter(|call| call.is_large()).count(),
        );
        self.descriptors = calls().map(|call| call.size.descriptors).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Size = Size {
        length: 200,
        descriptors: 0,
    };

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
        let size = Size {
            length: LARGE + 1,
            ..SMALL
        };
        let large = |admission: &mut Admission| {
            let all = senders.iter();
            all.filter(|sender| admission.admit(sender, 1, size, now))
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
    fn descriptors_are_bounded_and_calls_without_any_are_served_all_the_same() {
        let mut admission = Admission::default();
        let now = Instant::now();
        let some = Size {
            descriptors: 4,
            ..SMALL
        };
        let senders: Vec<String> = (0..OF_ALL).map(|n| format!(":1.{n}")).collect();
        let admitted = senders
            .iter()
            .filter(|sender| admission.admit(sender, 1, some, now));
        assert_eq!(admitted.count(), DESCRIPTORS_OF_ALL / 4);
        assert!(admission.admit(":2.1", 1, SMALL, now));
        assert!(!admission.admit(":2.1", 2, some, now));
        admission.answered(&senders[0], 1);
        assert!(admission.admit(":2.1", 2, some, now));
        assert!(!admission.admit(":2.1", 3, some, now));
        assert!(
            admission.admit(":2.1", 3, some, now + FORGOTTEN),
            "after so long"
        );
        assert_eq!(admission.descriptors, 4);
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
