//! Dialogues in progress: who owns each, when it expires, and how many there may be.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Caller, Connection};
use crate::fairness::{Place, taken};

/// Whom a dialogue is counted against: the kernel's word about a caller, and root's about whom it runs for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// A host program of the system's own (sshd, login): it has no share, only the capacity.
    System,
    /// A host program that runs as root for somebody (sudo, su): so nobody can fill root's part with open prompts.
    RootFor(u32),
    /// An unprivileged caller.
    User(u32),
}

impl Holder {
    fn of(caller: &Caller, real_uid: Option<u32>) -> Self {
        match (caller.uid, real_uid) {
            (0, None | Some(0)) => Self::System,
            (0, Some(uid)) => Self::RootFor(uid),
            (uid, _) => Self::User(uid),
        }
    }

    const fn is_user(self) -> bool {
        matches!(self, Self::User(_))
    }
}

/// Most dialogues of one unprivileged caller.
const OF_A_USER: usize = 4;
/// How long after its end a dialogue keeps its place at most, while its last answer, which came in time, is weighed.
const WEIGHING: Duration = Duration::from_mins(1);
/// How often somebody who waits with a dialogue looks whether it is still wanted.
const LOOKED_AFTER: Duration = Duration::from_millis(250);

/// What a registry must know of a dialogue.
pub trait HasPerson {
    /// Whose credentials may answer it, if anybody's.
    fn person(&self) -> Option<&str>;
}

/// A dialogue of type `D`, owned by the connection that began it.
#[derive(Debug)]
struct Entry<D> {
    owner: Connection,
    uid: u32,
    holder: Holder,
    expires: Instant,
    state: State<D>,
}

#[derive(Debug)]
enum State<D> {
    /// It waits for an answer.
    Waiting(D),
    /// It is being answered.
    Out {
        /// Whose credentials may be the answer.
        person: Option<String>,
        /// It was ended meanwhile: nothing may come of it.
        ended: bool,
    },
}

/// All running dialogues.
#[derive(Debug)]
pub struct Registry<D> {
    running: Mutex<HashMap<String, Entry<D>>>,
    capacity: usize,
}

impl<D: HasPerson> Registry<D> {
    /// A registry of at most `capacity` dialogues of hosts that run as root, an eighth of them for any one person, and
    /// as many of unprivileged callers beside them: however many of those there are, root's part is root's, and of theirs
    /// the oldest of whoever has most makes room for a newcomer.
    pub fn new(capacity: usize) -> Self {
        Self {
            running: Mutex::default(),
            capacity,
        }
    }

    /// Registers a dialogue until `expires`; `None` if there is no room. `real_uid` is whom the caller runs for.
    pub fn open(
        &self,
        caller: &Caller,
        real_uid: Option<u32>,
        dialogue: D,
        expires: Instant,
        now: Instant,
    ) -> Option<String> {
        let id = random_id()?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, entry| entry.lives(now));
        let holder = Holder::of(caller, real_uid);
        let (capacity, share) = match holder {
            Holder::System => (self.capacity, self.capacity),
            Holder::RootFor(_) => (self.capacity, (self.capacity / 8).max(1)),
            Holder::User(_) => (self.capacity, OF_A_USER),
        };
        let beside = |entry: &&Entry<D>| entry.holder.is_user() == holder.is_user();
        let held = running
            .values()
            .filter(|entry| entry.holder == holder)
            .count();
        if held >= share {
            return None;
        }
        if running.values().filter(beside).count() >= capacity {
            if !holder.is_user() {
                return None;
            }
            end_one_of_users(&mut running);
        }
        let entry = Entry {
            owner: caller.connection.clone(),
            uid: caller.uid,
            holder,
            expires,
            state: State::Waiting(dialogue),
        };
        running.insert(id.clone(), entry);
        Some(id)
    }

    /// Whether that connection has a dialogue.
    pub fn holds(&self, owner: &Connection) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().any(|entry| entry.owner == *owner)
    }

    /// Takes a dialogue out, if it is this caller's and still runs: while it is out nobody can answer it a second
    /// time. It keeps its place until it is put back or closed.
    pub fn take(&self, id: &str, caller: &Caller, now: Instant) -> Option<D> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = running.get_mut(id)?;
        if entry.owner != caller.connection || entry.uid != caller.uid || entry.expires <= now {
            return None;
        }
        let State::Waiting(dialogue) = &entry.state else {
            return None;
        };
        let out = State::Out {
            person: dialogue.person().map(str::to_owned),
            ended: false,
        };
        match std::mem::replace(&mut entry.state, out) {
            State::Waiting(dialogue) => Some(dialogue),
            State::Out { .. } => None,
        }
    }

    /// Puts a dialogue back that goes on. `false` if it was ended meanwhile, or its connection has gone: then it is
    /// forgotten.
    #[must_use]
    pub fn put_back(&self, id: &str, dialogue: D) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = running.get_mut(id).filter(|entry| !entry.has_ended());
        if let Some(entry) = goes_on {
            entry.state = State::Waiting(dialogue);
            true
        } else {
            running.remove(id);
            false
        }
    }

    /// Gives up the place of a dialogue that was taken out and is over. `false` if it was ended meanwhile, or its
    /// connection has gone: then nothing may come of it.
    #[must_use]
    pub fn close(&self, id: &str) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.get(id).map(|entry| &entry.state) {
            None => false,
            Some(State::Waiting(_)) => true,
            Some(State::Out { ended, .. }) => {
                let lived = !ended;
                running.remove(id);
                lived
            }
        }
    }

    /// Ends those dialogues of a person that wait for an answer and of which `which` says so; and all of theirs that are
    /// being answered, since what these will have come to by then is not known.
    pub fn end(&self, of: &str, which: impl Fn(&D) -> bool) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, entry| match &mut entry.state {
            State::Waiting(dialogue) => dialogue.person() != Some(of) || !which(dialogue),
            State::Out { person, ended } => {
                *ended |= person.as_deref() == Some(of);
                true
            }
        });
    }

    /// Returns once a dialogue that was taken out has ended or its connection has gone, a quarter of a second later at most.
    pub async fn ended(&self, id: &str) {
        loop {
            tokio::time::sleep(LOOKED_AFTER).await;
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if running.get(id).is_none_or(Entry::has_ended) {
                return;
            }
        }
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
        running.retain(|_, entry| entry.lives(now));
        running.len()
    }
}

impl<D> Entry<D> {
    /// Whether it still has its place.
    fn lives(&self, now: Instant) -> bool {
        let until = match self.state {
            State::Waiting(_) => self.expires,
            State::Out { .. } => self.expires + WEIGHING,
        };
        until > now
    }

    const fn has_ended(&self) -> bool {
        matches!(self.state, State::Out { ended: true, .. })
    }
}

/// Ends the oldest dialogue of whichever unprivileged caller has most, be it one that is being answered.
fn end_one_of_users<D>(running: &mut HashMap<String, Entry<D>>) {
    let places = running.iter().filter(|(_, entry)| entry.holder.is_user());
    let places = places.map(|(id, entry)| Place {
        holder: entry.uid,
        age: entry.expires,
        key: id,
    });
    if let Some(id) = taken(places).cloned() {
        running.remove(&id);
    }
}

/// 128 random bits in hexadecimal; `None` if the kernel gives none.
pub fn random_id() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(mfad_protocol::hex::encode(&bytes))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    impl HasPerson for &str {
        fn person(&self) -> Option<&str> {
            Some(self)
        }
    }

    impl HasPerson for () {
        fn person(&self) -> Option<&str> {
            None
        }
    }

    fn caller(uid: u32, connection: u64) -> Caller {
        Caller {
            uid,
            connection: Connection::Peer(connection),
        }
    }

    fn fill(registry: &Registry<()>, uid: u32, real_uid: Option<u32>, times: u64) -> usize {
        let now = Instant::now();
        let later = now + Duration::from_secs(45);
        (0..times)
            .filter(|n| {
                registry
                    .open(&caller(uid, *n), real_uid, (), later, now)
                    .is_some()
            })
            .count()
    }

    #[test]
    fn a_dialogue_answers_to_its_own_connection_only_and_once_at_a_time() {
        let (registry, now) = (Registry::new(8), Instant::now());
        let later = now + Duration::from_secs(45);
        let id = registry.open(&caller(0, 1), None, "d", later, now).unwrap();
        assert!(
            registry.take(&id, &caller(0, 2), now).is_none(),
            "another connection of the same uid"
        );
        assert!(registry.take(&id, &caller(1000, 1), now).is_none());
        assert!(
            registry.take(&id, &caller(0, 1), later).is_none(),
            "expired"
        );
        let dialogue = registry.take(&id, &caller(0, 1), now).unwrap();
        assert!(
            registry.take(&id, &caller(0, 1), now).is_none(),
            "it is out"
        );
        assert_eq!(registry.len(now), 1, "and keeps its place");
        assert!(registry.put_back(&id, dialogue));
        let dialogue = registry.take(&id, &caller(0, 1), now).unwrap();
        registry.disconnected(&Connection::Peer(1));
        assert!(!registry.put_back(&id, dialogue));
        assert!(
            registry.take(&id, &caller(0, 1), now).is_none(),
            "it died with its connection, though it was out"
        );
    }

    #[test]
    fn a_closed_dialogue_gives_its_place_up_and_an_open_one_does_not() {
        let (registry, now) = (Registry::new(8), Instant::now());
        let later = now + Duration::from_secs(45);
        let id = registry.open(&caller(0, 1), None, "d", later, now).unwrap();
        assert!(registry.close(&id));
        assert_eq!(registry.len(now), 1);
        registry.take(&id, &caller(0, 1), now).unwrap();
        assert!(registry.close(&id));
        assert_eq!(registry.len(now), 0);
    }

    #[test]
    fn an_answer_that_came_in_time_is_weighed_to_its_end() {
        let (registry, now) = (Registry::new(8), Instant::now());
        let end = now + Duration::from_secs(45);
        let open = |at| registry.open(&caller(0, 1), None, "d", at + end.duration_since(now), at);
        let id = open(now).unwrap();
        registry.take(&id, &caller(0, 1), now).unwrap();
        open(end).unwrap();
        assert!(registry.close(&id), "another's beginning has ended it");
        let id = open(now).unwrap();
        registry.take(&id, &caller(0, 1), now).unwrap();
        assert_eq!(
            registry.len(end + WEIGHING),
            0,
            "nothing is weighed so long"
        );
        assert!(!registry.close(&id));
    }

    #[test]
    fn a_dialogue_that_is_ended_while_it_is_answered_comes_to_nothing() {
        let (registry, now) = (Registry::new(8), Instant::now());
        let later = now + Duration::from_secs(45);
        let begin = |of, connection| {
            let caller = caller(0, connection);
            let id = registry.open(&caller, None, of, later, now).unwrap();
            (id, caller)
        };
        let (waiting, spared) = (begin("alice", 1), begin("alice", 2));
        let (going_on, over, others) = (begin("alice", 3), begin("alice", 4), begin("bob", 5));
        for (id, caller) in [&going_on, &over, &others] {
            registry.take(id, caller, now).unwrap();
        }
        registry.end("alice", |_| false);
        assert!(registry.take(&spared.0, &spared.1, now).is_some());
        registry.end("alice", |_| true);
        assert!(registry.take(&waiting.0, &waiting.1, now).is_none());
        assert!(!registry.put_back(&going_on.0, "alice"));
        assert!(registry.take(&going_on.0, &going_on.1, now).is_none());
        assert!(!registry.close(&over.0));
        assert!(registry.close(&others.0));
    }

    #[test]
    fn no_number_of_users_takes_root_s_part() {
        let registry = Registry::new(64);
        let filled = |registry: &Registry<()>, uid| fill(registry, uid, None, 10);
        assert_eq!(filled(&registry, 1000), OF_A_USER);
        for uid in 1001..2000 {
            filled(&registry, uid);
        }
        assert_eq!(registry.len(Instant::now()), 64);
        assert_eq!(
            fill(&registry, 0, Some(1000), 64),
            8,
            "one person's sudo prompts"
        );
        assert_eq!(fill(&registry, 0, None, 64), 56, "sshd has the rest");
    }

    #[test]
    fn users_who_ask_for_many_take_the_place_of_none_who_has_one() {
        let (registry, now) = (Registry::new(64), Instant::now());
        let later = now + Duration::from_secs(45);
        let ongoing = registry.open(&caller(1, 1), None, (), later, now).unwrap();
        for uid in 1000..1060 {
            fill(&registry, uid, None, 10);
        }
        let new = registry.open(&caller(2, 2), None, (), later, now);
        fill(&registry, 1000, None, 10);
        assert!(registry.take(&ongoing, &caller(1, 1), now).is_some());
        assert!(registry.take(&new.unwrap(), &caller(2, 2), now).is_some());
    }
}
