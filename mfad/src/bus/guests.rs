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

/// All of them. Nobody is kept out by others: where a socket is full, the oldest that is idle is asked to leave, and where
/// none is, on the socket that anybody may use, the oldest of whichever uid has most. Idle is who has yet to call, or has had
/// an answer and stays without being asked anything. A module that is asked to leave before it has called comes back.
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
    idle: Arc<AtomicBool>,
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

    /// Lets one more in; `None` if its uid has its share. Whoever has many uids (`/etc/subuid`) has no account with them, and
    /// is asked nothing under them.
    pub(super) fn enter(
        self: &Arc<Self>,
        uid: u32,
        connection: &Connection,
        is_asked: impl Fn(&Connection) -> bool,
    ) -> Option<Guest> {
        let mut present = self.lock();
        let own = present.guests.values().filter(|held| held.uid == uid);
        if own.count() >= self.share {
            return None;
        }
        if present.guests.len() >= self.most && !present.sends_away_an_idle_one(is_asked) {
            let places = present.guests.iter().map(|(number, held)| Place {
                holder: held.uid,
                age: *number,
                key: *number,
            });
            taken(places).map(|number| present.guests.remove(&number));
        }
        Some(self.add(&mut present, uid, connection))
    }

    /// Lets one more of root's programs in; `None` if it is full and nobody there is idle: everybody waits for an answer, or
    /// `is_asked` something. Somebody's sudo, stopped, would otherwise hold its place against everybody's logins.
    pub(super) fn enter_for_an_idle_one(
        self: &Arc<Self>,
        connection: &Connection,
        is_asked: impl Fn(&Connection) -> bool,
    ) -> Option<Guest> {
        let mut present = self.lock();
        if present.guests.len() >= self.most && !present.sends_away_an_idle_one(is_asked) {
            return None;
        }
        Some(self.add(&mut present, 0, connection))
    }

    fn add(self: &Arc<Self>, present: &mut Present, uid: u32, connection: &Connection) -> Guest {
        let number = present.next;
        present.next += 1;
        let (stays, asked) = oneshot::channel();
        let idle = Arc::new(AtomicBool::new(true));
        let held = Held {
            uid,
            connection: connection.clone(),
            idle: Arc::clone(&idle),
            _stays: stays,
        };
        present.guests.insert(number, held);
        Guest {
            guests: Arc::clone(self),
            number,
            idle,
            asked,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    /// Asks the oldest that is idle to leave; `false` if none is.
    fn sends_away_an_idle_one(&mut self, is_asked: impl Fn(&Connection) -> bool) -> bool {
        let idle = self
            .guests
            .iter()
            .filter(|(_, held)| held.idle.load(Ordering::Relaxed) && !is_asked(&held.connection));
        let oldest = idle.map(|(number, _)| *number).min();
        oldest.is_some_and(|number| self.guests.remove(&number).is_some())
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    guests: Arc<Guests>,
    number: u64,
    idle: Arc<AtomicBool>,
    asked: oneshot::Receiver<Infallible>,
}

impl Guest {
    /// Where it is noted whether no call of its waits for an answer.
    pub(super) fn idle(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.idle)
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

    /// Of these connections, those with an even number are asked something.
    fn is_asked(connection: &Connection) -> bool {
        matches!(connection, Connection::Peer(number) if number % 2 == 0)
    }

    /// Comes in on a socket for anybody, on a connection that is asked something.
    fn asked(guests: &Arc<Guests>, uid: u32) -> Option<Guest> {
        guests.enter(uid, &Connection::Peer(0), is_asked)
    }

    #[test]
    fn those_who_bring_many_make_room_for_those_who_come_alone() {
        let guests = Guests::of(8, 4);
        let mut alone = asked(&guests, 1).unwrap();
        let mut many: Vec<_> = (0..5).filter_map(|_| asked(&guests, 1000)).collect();
        assert_eq!(many.len(), 4, "its share");
        many.extend((0..3).map(|_| asked(&guests, 1001).unwrap()));
        let mut late = asked(&guests, 2).unwrap();
        assert!(!many[0].stays(), "the oldest of the one who has most");
        assert!(many[1..].iter_mut().all(Guest::stays));
        for uid in 1002..1005 {
            many.push(asked(&guests, uid).unwrap());
        }
        assert!(alone.stays() && late.stays());
        assert_eq!(guests.present.lock().unwrap().guests.len(), 8);
        drop((alone, late, many));
        assert!(guests.present.lock().unwrap().guests.is_empty());
    }

    #[test]
    fn many_uids_that_are_asked_nothing_send_nobody_away_who_is() {
        let guests = Guests::of(8, 4);
        let mut locker = asked(&guests, 1000).unwrap();
        let mut many: Vec<_> = (100_000..100_100)
            .map(|uid| guests.enter(uid, &Connection::Peer(1), is_asked).unwrap())
            .collect();
        assert!(locker.stays());
        let mut others: Vec<_> = (1001..1008)
            .map(|uid| asked(&guests, uid).unwrap())
            .collect();
        assert!(others.iter_mut().all(Guest::stays));
        assert!(!many.iter_mut().any(Guest::stays));
    }

    #[test]
    fn on_a_full_socket_of_root_s_the_oldest_that_is_idle_leaves_and_nobody_else() {
        let guests = Guests::of(3, 3);
        let enter = |number| guests.enter_for_an_idle_one(&Connection::Peer(number), is_asked);
        let mut all: Vec<_> = (0..3).map(|number| enter(number).unwrap()).collect();
        for guest in &all {
            guest.idle().store(false, Ordering::Relaxed);
        }
        assert!(enter(3).is_none(), "all are being served");
        for idle in &all[..2] {
            idle.idle().store(true, Ordering::Relaxed);
        }
        let mut late = enter(3).unwrap();
        assert!(all[0].stays(), "it is asked something");
        assert!(!all[1].stays());
        assert!(all[2].stays());
        let later = enter(4).unwrap();
        assert!(!late.stays(), "it has not called");
        drop((all, late, later));
        assert!(enter(6).is_some());
    }
}
