//! Who is on the socket that anybody may use. It serves nobody, but asks one to leave where another comes in.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::oneshot;

use crate::fairness::{Place, taken};

/// All of them. Nobody is kept out by others: where it is full, the oldest of whichever uid has most is asked to leave.
#[derive(Debug)]
pub(super) struct Guests {
    present: Mutex<Present>,
    most: usize,
    share: usize,
}

#[derive(Debug, Default)]
struct Present {
    /// By number, in the order in which they came.
    guests: HashMap<u64, (u32, oneshot::Sender<Infallible>)>,
    next: u64,
}

impl Guests {
    /// At most `most` at once, and `share` of one uid.
    pub(super) fn of(most: usize, share: usize) -> Arc<Self> {
        Arc::new(Self {
            present: Mutex::default(),
            most,
            share,
        })
    }

    /// Lets one more in; `None` if its uid has its share.
    pub(super) fn enter(self: &Arc<Self>, uid: u32) -> Option<Guest> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let own = present.guests.values().filter(|(other, _)| *other == uid);
        if own.count() >= self.share {
            return None;
        }
        if present.guests.len() >= self.most {
            let places = present.guests.iter().map(|(number, (uid, _))| Place {
                holder: *uid,
                age: *number,
                key: *number,
            });
            // Dropping what it waits for is how it is told.
            taken(places).map(|number| present.guests.remove(&number));
        }
        let number = present.next;
        present.next += 1;
        let (told, asked) = oneshot::channel();
        present.guests.insert(number, (uid, told));
        Some(Guest {
            guests: Arc::clone(self),
            number,
            asked,
        })
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    guests: Arc<Guests>,
    number: u64,
    asked: oneshot::Receiver<Infallible>,
}

impl Guest {
    /// Returns once it is to leave.
    pub(super) async fn is_asked_to_leave(&mut self) {
        // Nothing is ever sent.
        let _ended = (&mut self.asked).await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut present = self
            .guests
            .present
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        present.guests.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Guest {
        fn stays(&mut self) -> bool {
            self.asked.try_recv() == Err(oneshot::error::TryRecvError::Empty)
        }
    }

    #[test]
    fn those_who_bring_many_make_room_for_those_who_come_alone() {
        let guests = Guests::of(8, 4);
        let mut alone = guests.enter(1).unwrap();
        let mut many: Vec<_> = (0..5).filter_map(|_| guests.enter(1000)).collect();
        assert_eq!(many.len(), 4, "its share");
        many.extend((0..3).map(|_| guests.enter(1001).unwrap()));
        let mut late = guests.enter(2).unwrap();
        assert!(!many[0].stays(), "the oldest of the one who has most");
        assert!(many[1..].iter_mut().all(Guest::stays));
        for uid in 1002..1005 {
            many.push(guests.enter(uid).unwrap());
        }
        assert!(alone.stays() && late.stays());
        assert_eq!(guests.present.lock().unwrap().guests.len(), 8);
        drop((alone, late, many));
        assert!(guests.present.lock().unwrap().guests.is_empty());
    }
}
