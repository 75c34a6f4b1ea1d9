//! How much one unprivileged user may cause in a minute: audit records, questions to an agent. It remembers nothing for long.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Most of one such user in a minute.
const A_MINUTE: u32 = 30;
/// Most users counted in a minute; of any beyond, nothing is admitted.
const USERS: usize = 1024;

/// Whether it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It may.
    Yes,
    /// It may, as the last one of its minute.
    Last,
    /// It is left out.
    Left,
}

/// Counts, by uid, in the current minute.
#[derive(Debug, Default)]
pub struct Chatter(Mutex<(i64, HashMap<u32, u32>)>);

impl Chatter {
    /// Admits what is caused by `uid` (root and the daemon itself without bound) at `time` in seconds.
    pub fn admit(&self, uid: Option<u32>, time: i64) -> Admitted {
        let Some(uid) = uid.filter(|uid| *uid != 0) else {
            return Admitted::Yes;
        };
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = time.div_euclid(60);
        if counted.0 != minute {
            *counted = (minute, HashMap::new());
        }
        if counted.1.len() >= USERS && !counted.1.contains_key(&uid) {
            return Admitted::Left;
        }
        let count = counted.1.entry(uid).or_default();
        *count = count.saturating_add(1);
        match *count {
            A_MINUTE => Admitted::Last,
            more if more > A_MINUTE => Admitted::Left,
            _ => Admitted::Yes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_thirty_records_a_minute_and_root_as_many_as_it_takes() {
        let chatter = Chatter::default();
        let admitted: Vec<_> = (0..40).map(|_| chatter.admit(Some(1000), 0)).collect();
        assert_eq!(
            admitted.iter().filter(|one| **one == Admitted::Yes).count(),
            29
        );
        assert_eq!(admitted[29], Admitted::Last);
        assert!(admitted[30..].iter().all(|one| *one == Admitted::Left));
        assert_eq!(chatter.admit(Some(1001), 0), Admitted::Yes, "somebody else");
        assert_eq!(
            chatter.admit(Some(1000), 60),
            Admitted::Yes,
            "the next minute"
        );
        assert!((0..1000).all(|_| chatter.admit(Some(0), 60) == Admitted::Yes));
        assert!((0..1000).all(|_| chatter.admit(None, 60) == Admitted::Yes));
    }

    #[test]
    fn more_users_than_are_counted_write_nothing() {
        let chatter = Chatter::default();
        let users = 2 * u32::try_from(USERS).unwrap();
        let admitted = (1..=users).filter(|uid| chatter.admit(Some(*uid), 0) == Admitted::Yes);
        assert_eq!(admitted.count(), USERS);
    }
}
