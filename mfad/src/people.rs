//! Looks people up in the system's databases (NSS), bounded in time, in number and in memory.
//!
//! NSS may ask LDAP, and may even come back to PAM and so to us: a look-up runs on a thread of its own, gives up after a
//! second, and its result is remembered for a few seconds.

use std::{
    collections::HashMap,
    ffi::CString,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::unistd::{Gid, Group, User, getgrouplist};
use tokio::sync::Semaphore;

/// How long a login waits for the name service.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an answer is remembered.
const MEMORY: Duration = Duration::from_secs(10);
/// How many answers are remembered.
const REMEMBERED: usize = 4096;
/// How many look-ups may be stuck at once.
const AT_ONCE: usize = 8;
/// How many of these look for callers who are not root: they have as many uids as they have been given (`subuid(5)`), which
/// a directory server may have to be asked for one by one.
const OF_STRANGERS: usize = 2;
/// Most groups of one person that a policy looks at.
const GROUPS: usize = 1024;

/// An account of this system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name, as the name service spells it.
    pub name: String,
    /// Numeric id.
    pub uid: u32,
    /// Names of all groups, primary first.
    pub groups: Arc<[String]>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// The name service did not answer in time, or failed.
    Silent,
    /// Too many others are asking; who asks so much may do so on purpose.
    Crowded,
}

/// What is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Wanted {
    Name(String),
    Uid(u32),
}

/// A remembered answer, which may be that there is nobody of that name.
struct Recalled(Option<Account>);

/// The system's people.
pub struct People {
    remembered: Mutex<HashMap<Wanted, (Instant, Option<Account>)>>,
    slots: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

impl Default for People {
    fn default() -> Self {
        Self {
            remembered: Mutex::default(),
            slots: Arc::new(Semaphore::new(AT_ONCE - OF_STRANGERS)),
            strangers: Arc::new(Semaphore::new(OF_STRANGERS)),
        }
    }
}

impl People {
    /// The account of that login name; `None` where there is none.
    pub async fn named(&self, name: &str) -> Result<Option<Account>, NoAnswer> {
        self.look_up(Wanted::Name(name.to_owned()), &self.slots)
            .await
    }

    /// The account of a uid; `None` where there is none.
    pub async fn with_uid(&self, uid: u32) -> Result<Option<Account>, NoAnswer> {
        self.look_up(Wanted::Uid(uid), &self.slots).await
    }

    /// The account of a caller. However many callers there are who are not root, and however slowly the name service
    /// answers for them, root's logins do not wait for it.
    pub async fn of_caller(&self, uid: u32) -> Result<Option<Account>, NoAnswer> {
        let slots = if uid == 0 {
            &self.slots
        } else {
            &self.strangers
        };
        self.look_up(Wanted::Uid(uid), slots).await
    }

    async fn look_up(
        &self,
        wanted: Wanted,
        slots: &Arc<Semaphore>,
    ) -> Result<Option<Account>, NoAnswer> {
        if let Some(Recalled(known)) = self.recall(&wanted) {
            return Ok(known);
        }
        let asked = wanted.clone();
        let ask = move || match asked {
            Wanted::Name(name) => account(User::from_name(&name)),
            Wanted::Uid(uid) => account(User::from_uid(uid.into())),
        };
        let found = Self::ask(slots, ask).await?;
        self.remember(wanted, found.clone());
        Ok(found)
    }

    async fn ask<F>(slots: &Arc<Semaphore>, look_up: F) -> Result<Option<Account>, NoAnswer>
    where
        F: FnOnce() -> Result<Option<Account>, NoAnswer> + Send + 'static,
    {
        let slot = tokio::time::timeout(PATIENCE, Arc::clone(slots).acquire_owned())
            .await
            .map_err(|_| NoAnswer::Crowded)?
            .map_err(|_| NoAnswer::Silent)?;
        // A stuck look-up keeps its slot until the name service lets go, so that a dead directory server costs
        // AT_ONCE threads and no more.
        let looked_up = tokio::task::spawn_blocking(move || {
            let found = look_up();
            drop(slot);
            found
        });
        tokio::time::timeout(PATIENCE, looked_up)
            .await
            .map_err(|_| NoAnswer::Silent)?
            .map_err(|_| NoAnswer::Silent)?
    }

    fn recall(&self, wanted: &Wanted) -> Option<Recalled> {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered
            .get(wanted)
            .filter(|(since, _)| since.elapsed() < MEMORY)
            .map(|(_, account)| Recalled(account.clone()))
    }

    fn remember(&self, wanted: Wanted, account: Option<Account>) {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            remembered.retain(|_, (since, _)| since.elapsed() < MEMORY);
        }
        if remembered.len() < REMEMBERED {
            remembered.insert(wanted, (Instant::now(), account));
        }
    }

    /// Forgets everything, so that an administrator's change counts at once (SIGHUP).
    pub fn forget(&self) {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

fn account(user: nix::Result<Option<User>>) -> Result<Option<Account>, NoAnswer> {
    let Some(user) = user.map_err(|_| NoAnswer::Silent)? else {
        return Ok(None);
    };
    let name = CString::new(user.name.as_bytes()).map_err(|_| NoAnswer::Silent)?;
    let gids = getgrouplist(&name, user.gid).map_err(|_| NoAnswer::Silent)?;
    let groups = gids
        .into_iter()
        .take(GROUPS)
        .filter_map(group_name)
        .collect();
    Ok(Some(Account {
        name: user.name,
        uid: user.uid.as_raw(),
        groups,
    }))
}

fn group_name(gid: Gid) -> Option<String> {
    Group::from_gid(gid).ok().flatten().map(|group| group.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn root_is_known_and_nonsense_is_not() {
        let people = People::default();
        let root = people.named("root").await.unwrap().unwrap();
        assert_eq!(
            (root.uid, root.groups.first().map(String::as_str)),
            (0, Some("root"))
        );
        assert_eq!(people.named("no-such-person-here").await, Ok(None));
        assert_eq!(
            people.named("no-such-person-here").await,
            Ok(None),
            "remembered"
        );
        assert_eq!(people.with_uid(0).await.unwrap().unwrap().name, "root");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn many_at_once_wait_for_their_turn() {
        let people = Arc::new(People::default());
        let slow = || {
            std::thread::sleep(Duration::from_millis(20));
            Ok(None)
        };
        let asked: Vec<_> = (0..64)
            .map(|_| {
                let people = Arc::clone(&people);
                tokio::spawn(async move { People::ask(&people.slots, slow).await })
            })
            .collect();
        for answer in asked {
            assert_eq!(answer.await.unwrap(), Ok(None));
        }
    }

    /// A look-up that ends only once what comes with it is dropped.
    fn hanging() -> (
        std::sync::mpsc::Sender<()>,
        impl FnOnce() -> Result<Option<Account>, NoAnswer> + Send,
    ) {
        let (let_go, stuck) = std::sync::mpsc::channel();
        let hang = move || {
            let _let_go = stuck.recv();
            Ok(None)
        };
        (let_go, hang)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_stuck_name_service_is_an_error_not_a_wait() {
        let people = People::default();
        let (_let_go, hang) = hanging();
        assert_eq!(
            People::ask(&people.slots, hang).await,
            Err(NoAnswer::Silent)
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn callers_whom_the_name_service_is_slow_to_find_take_no_turn_of_root_s() {
        let people = Arc::new(People::default());
        let mut stuck = Vec::new();
        for _ in 0..2 * AT_ONCE {
            let people = Arc::clone(&people);
            let (let_go, hang) = hanging();
            stuck.push(let_go);
            tokio::spawn(async move { People::ask(&people.strangers, hang).await });
        }
        let taken = async {
            while people.strangers.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), taken)
            .await
            .unwrap();
        // Nothing lets go of the strangers' turns: whoever waited for one would be told that it is crowded.
        assert!(people.of_caller(0).await.unwrap().is_some());
        assert!(people.named("root").await.unwrap().is_some());
        let late = people.of_caller(u32::MAX - 1).await;
        assert_eq!(late, Err(NoAnswer::Crowded));
    }
}
