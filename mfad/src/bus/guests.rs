//! Who is on a login socket. It serves nobody, but asks one to leave where another comes in.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::oneshot;

use crate::{
    fairness::{Place, taken},
    session::Connection,
};

/// All of them. Nobody is kept out by others: where the socket that anybody may use is full, the oldest of whichever uid has
/// most is asked to leave; and on root's, who has had an answer and stays without being asked anything.
#[derive(Debug)]
pub(super) struct Guests {
    present: Mutex<Present>,
    most: usize,
    share: usize,
}

#[derive(Debug, Default)]
struct Present {
    /// By number, in the order in which they came.
    guests: HashMap<u64, Held>,
    next: u64,
}

#[derive(Debug)]
struct Held {
    uid: u32,
    connection: Connection,
    rests: Arc<AtomicBool>,
    /// Dropping it is how its guest is told to leave.
    _stays: oneshot::Sender<Infallible>,
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
    pub(super) fn enter(self: &Arc<Self>, uid: u32, connection: &Connection) -> Option<Guest> {
        let mut present = self.lock();
        let own = present.guests.values().filter(|held| held.uid == uid);
        if own.count() >= self.share {
            return None;
        }
        if present.guests.len() >= self.most {
            let places = present.guests.iter().map(|(number, held)| Place {
                holder: held.uid,
                age: *number,
                key: *number,
            });
            taken(places).map(|number| present.guests.remove(&number));
        }
        Some(self.add(&mut present, uid, connection))
    }

    /// Lets one more of root's programs in; `None` if it is full and nobody there rests: everybody waits for an answer, or
    /// `is_asked` something. Somebody's sudo, stopped, would otherwise hold its place against everybody's logins.
    pub(super) fn enter_for_one_at_rest(
        self: &Arc<Self>,
        connection: &Connection,
        is_asked: impl Fn(&Connection) -> bool,
    ) -> Option<Guest> {
        let mut present = self.lock();
        if present.guests.len() >= self.most {
            let resting = present.guests.iter().filter(|(_, held)| {
                held.rests.load(Ordering::Relaxed) && !is_asked(&held.connection)
            });
            let oldest = resting.map(|(number, _)| *number).min()?;
            present.guests.remove(&oldest);
        }
        Some(self.add(&mut present, 0, connection))
    }

    fn add(self: &Arc<Self>, present: &mut Present, uid: u32, connection: &Connection) -> Guest {
        let number = present.next;
        present.next += 1;
        let (stays, asked) = oneshot::channel();
        let rests = Arc::<AtomicBool>::default();
        let held = Held {
            uid,
            connection: connection.clone(),
            rests: Arc::clone(&rests),
            _stays: stays,
        };
        present.guests.insert(number, held);
        Guest {
            guests: Arc::clone(self),
            number,
            rests,
            asked,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    guests: Arc<Guests>,
    number: u64,
    rests: Arc<AtomicBool>,
    asked: oneshot::Receiver<Infallible>,
}

impl Guest {
    /// Where it is noted whether its last call has been answered and no other has come.
    pub(super) fn rests(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.rests)
    }

    /// Returns once it is to leave.
    pub(super) async fn is_asked_to_leave(&mut self) {
        // Nothing is ever sent.
        let _ended = (&mut self.asked).await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.guests.lock().guests.remove(&self.number);
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
        let mut alone = guests.enter(1, &Connection::Peer(0)).unwrap();
        let mut many: Vec<_> = (0..5)
            .filter_map(|_| guests.enter(1000, &Connection::Peer(0)))
            .collect();
        assert_eq!(many.len(), 4, "its share");
        many.extend((0..3).map(|_| guests.enter(1001, &Connection::Peer(0)).unwrap()));
        let mut late = guests.enter(2, &Connection::Peer(0)).unwrap();
        assert!(!many[0].stays(), "the oldest of the one who has most");
        assert!(many[1..].iter_mut().all(Guest::stays));
        for uid in 1002..1005 {
            many.push(guests.enter(uid, &Connection::Peer(0)).unwrap());
        }
        assert!(alone.stays() && late.stays());
        assert_eq!(guests.present.lock().unwrap().guests.len(), 8);
        drop((alone, late, many));
        assert!(guests.present.lock().unwrap().guests.is_empty());
    }

    #[test]
    fn on_a_full_socket_of_root_s_the_oldest_at_rest_leaves_and_nobody_else() {
        let guests = Guests::of(3, 3);
        let enter = |number| {
            let asked = |connection: &Connection| *connection == Connection::Peer(0);
            guests.enter_for_one_at_rest(&Connection::Peer(number), asked)
        };
        let mut all: Vec<_> = (0..3).map(|number| enter(number).unwrap()).collect();
        assert!(enter(3).is_none(), "all are being served");
        for resting in &all[..2] {
            resting.rests().store(true, Ordering::Relaxed);
        }
        let late = enter(3).unwrap();
        assert!(all[0].stays(), "it is asked something");
        assert!(!all[1].stays());
        assert!(all[2].stays());
        assert!(enter(4).is_none());
        drop((all, late));
        assert!(enter(4).is_some());
    }
}
