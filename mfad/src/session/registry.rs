//! Dialogues in progress: who owns each, when it expires, and how many there may be.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::{Caller, Connection};

/// A running dialogue of type `D`, owned by the connection that began it.
#[derive(Debug)]
struct Entry<D> {
    owner: Connection,
    uid: u32,
    expires: Instant,
    dialogue: D,
}

/// All running dialogues.
#[derive(Debug)]
pub struct Registry<D> {
    running: Mutex<HashMap<String, Entry<D>>>,
    capacity: usize,
}

impl<D> Registry<D> {
    /// A registry of at most `capacity` dialogues; one uid other than root may hold an eighth of them.
    pub fn new(capacity: usize) -> Self {
        Self {
            running: Mutex::default(),
            capacity,
        }
    }

    /// Registers a dialogue until `expires`; `None` if there is no room.
    pub fn open(
        &self,
        caller: &Caller,
        dialogue: D,
        expires: Instant,
        now: Instant,
    ) -> Option<String> {
        let id = random_id()?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, entry| entry.expires > now);
        let share = if caller.is_root() {
            self.capacity
        } else {
            (self.capacity / 8).max(1)
        };
        let held = running
            .values()
            .filter(|entry| entry.uid == caller.uid)
            .count();
        if running.len() >= self.capacity || held >= share {
            return None;
        }
        running.insert(
            id.clone(),
            Entry {
                owner: caller.connection.clone(),
                uid: caller.uid,
                expires,
                dialogue,
            },
        );
        Some(id)
    }

    /// Takes a dialogue out, if it is this caller's and still runs: while it is out nobody can answer it a second
    /// time.
    pub fn take(&self, id: &str, caller: &Caller, now: Instant) -> Option<(D, Instant)> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = running.get(id)?;
        if entry.owner != caller.connection || entry.uid != caller.uid || entry.expires <= now {
            return None;
        }
        running
            .remove(id)
            .map(|entry| (entry.dialogue, entry.expires))
    }

    /// Puts a dialogue back that goes on.
    pub fn put_back(&self, id: &str, caller: &Caller, dialogue: D, expires: Instant) {
        let entry = Entry {
            owner: caller.connection.clone(),
            uid: caller.uid,
            expires,
            dialogue,
        };
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_owned(), entry);
    }

    /// Ends every dialogue of a connection that is gone.
    pub fn disconnected(&self, connection: &Connection) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, entry| entry.owner != *connection);
    }

    /// How many run.
    pub fn len(&self, now: Instant) -> usize {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, entry| entry.expires > now);
        running.len()
    }
}

/// 128 random bits in hexadecimal; `None` if the kernel gives none.
pub fn random_id() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(crate::hex::encode(&bytes))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn caller(uid: u32, connection: u64) -> Caller {
        Caller {
            uid,
            connection: Connection::Peer(connection),
        }
    }

    #[test]
    fn a_dialogue_answers_to_its_own_connection_only_and_once_at_a_time() {
        let (registry, now) = (Registry::new(8), Instant::now());
        let later = now + Duration::from_secs(45);
        let id = registry.open(&caller(0, 1), "d", later, now).unwrap();
        assert!(
            registry.take(&id, &caller(0, 2), now).is_none(),
            "another connection of the same uid"
        );
        assert!(registry.take(&id, &caller(1000, 1), now).is_none());
        assert!(
            registry.take(&id, &caller(0, 1), later).is_none(),
            "expired"
        );
        let (dialogue, expires) = registry.take(&id, &caller(0, 1), now).unwrap();
        assert!(
            registry.take(&id, &caller(0, 1), now).is_none(),
            "it is out"
        );
        registry.put_back(&id, &caller(0, 1), dialogue, expires);
        registry.disconnected(&Connection::Peer(1));
        assert!(
            registry.take(&id, &caller(0, 1), now).is_none(),
            "it died with its connection"
        );
    }

    #[test]
    fn one_user_cannot_fill_the_registry() {
        let (registry, now) = (Registry::new(16), Instant::now());
        let later = now + Duration::from_secs(45);
        let opened = (0..16)
            .filter(|n| registry.open(&caller(1000, *n), (), later, now).is_some())
            .count();
        assert_eq!(opened, 2);
        let roots = (0..16)
            .filter(|n| registry.open(&caller(0, *n), (), later, now).is_some())
            .count();
        assert_eq!(roots, 14);
        assert_eq!(registry.len(later), 0, "expired ones make room");
    }
}
