//! What a login has earned in its auth phase and presents in the phases after it.
//!
//! A grant lives in memory: when the daemon dies between the phases, the account phase finds nothing and refuses, and
//! the person tries again. Whatever must outlive that (a pending enrollment) is in the store already.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mfad_protocol::{PendingReference, limits};

use super::{Caller, facts::Facts};
use crate::{
    clock::Now,
    config::Loaded,
    factor::Evidence,
    fairness::{Place, taken},
    store::{CredentialId, Login, NewDevice},
};

/// Most grants at once of callers that are root, and of any one that is not; older ones of the same go first.
const CAPACITY: usize = 4096;
const OF_A_USER: usize = 8;
/// Most grants of all callers that are not root; of these, the oldest of whoever has most goes first.
const OF_USERS: usize = 1024;

/// A grant.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The uid that obtained it, and alone may present it.
    pub caller_uid: u32,
    /// For whom.
    pub user: String,
    /// su, where the user is who switches: to which account, and the real uid of the one who did.
    pub switch: Option<(String, Option<u32>)>,
    /// For which service.
    pub service: String,
    /// What was earned.
    pub earned: Earned,
    /// Whether the account phase has accepted it.
    pub committed: bool,
}

/// What stands behind a grant.
#[derive(Debug, Clone)]
pub enum Earned {
    /// Nothing had to be proven, or what had to was before. Whoever is known leaves a login behind.
    NotRequired(Option<Box<Login>>),
    /// A second factor was proven.
    Proven(Box<Proof>),
    /// The key decides, which sshd shows in the session phase. The policy that the login began with goes along.
    Deferred(Arc<Loaded>),
}

/// A second factor, proven.
#[derive(Debug, Clone)]
pub struct Proof {
    /// What the login leaves behind.
    pub login: Login,
    /// The uid of whose factor it was.
    pub uid: Option<u32>,
    /// Failed attempts between the last completed login and this one.
    pub failures: u32,
    /// An enrollment made in this login, to be activated when all of it has succeeded: credential and TOTP step.
    pub enrollment: Option<(CredentialId, i64)>,
    /// What it was proven with.
    pub evidence: Vec<Evidence>,
    /// A device that its person wants to be remembered.
    pub remember: Option<NewDevice>,
    /// The person never came with this device before.
    pub new_device: bool,
}

/// Who presents a grant, and for what.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The reference.
    pub reference: &'a str,
    /// By the kernel's word.
    pub caller_uid: u32,
    /// Whom the host names.
    pub user: &'a str,
    /// At which service.
    pub service: &'a str,
    /// Real uid of the host process.
    pub real_uid: Option<u32>,
}

impl<'a> Claim<'a> {
    /// What these facts present, if anything.
    pub fn of(facts: &'a Facts, caller: &Caller) -> Option<Self> {
        Some(Self {
            reference: facts.grant.as_deref()?,
            caller_uid: caller.uid,
            user: facts.user.as_deref()?,
            service: &facts.service,
            real_uid: facts.real_uid,
        })
    }
}

impl Grant {
    /// Whether it may be presented so. The host names the same user in every phase: su the target, whoever was asked.
    fn fits(&self, claim: &Claim<'_>) -> bool {
        let same_people = match &self.switch {
            None => self.user == claim.user,
            Some((target, real_uid)) => target == claim.user && *real_uid == claim.real_uid,
        };
        same_people && self.caller_uid == claim.caller_uid && self.service == claim.service
    }
}

/// The grants of logins in progress.
#[derive(Debug, Default)]
pub struct Grants {
    live: Mutex<Live>,
}

/// Root's grants and everybody else's, apart: nobody's number of grants pushes another's login out between its phases.
#[derive(Debug, Default)]
struct Live {
    of_root: Filed,
    of_users: Filed,
}

/// Grants of some callers.
#[derive(Debug, Default)]
struct Filed {
    /// By reference, each with the end of its life on the steady clock.
    ///
    /// Boxed, and the reference shared: the table has up to twice as many places as grants, and keeps them in a rush.
    grants: HashMap<Arc<str>, (i64, Box<Grant>)>,
    /// References in the order of their issue, which is that of their expiry. Some may be gone already.
    order: VecDeque<Arc<str>>,
}

impl Live {
    fn of(&mut self, uid: u32) -> &mut Filed {
        if uid == 0 {
            &mut self.of_root
        } else {
            &mut self.of_users
        }
    }

    fn find(&mut self, reference: &str) -> Option<&mut (i64, Box<Grant>)> {
        match self.of_root.grants.get_mut(reference) {
            None => self.of_users.grants.get_mut(reference),
            found => found,
        }
    }

    fn both(&mut self) -> [&mut Filed; 2] {
        [&mut self.of_root, &mut self.of_users]
    }
}

impl Filed {
    /// Forgets what has expired, and which references are gone, from the oldest on: a login must not pay for a look at
    /// all others.
    fn prune(&mut self, now: Now) {
        while let Some(oldest) = self.order.front() {
            if let Some((expires, _)) = self.grants.get(oldest) {
                if *expires > now.steady {
                    break;
                }
                self.grants.remove(oldest);
            }
            self.order.pop_front();
        }
        if self.order.len() > 2 * CAPACITY {
            let grants = &self.grants;
            self.order
                .retain(|reference| grants.contains_key(reference));
        }
    }

    /// Makes room for one more grant of that caller, at the cost of its own oldest or of whichever user has most. `false` if there is none.
    fn make_room(&mut self, uid: u32) -> bool {
        if uid == 0 {
            // They are all root's: beginning with the oldest, until one was still there.
            while self.grants.len() >= CAPACITY {
                let Some(oldest) = self.order.pop_front() else {
                    return false;
                };
                self.grants.remove(&oldest);
            }
            return true;
        }
        let is_own = |reference: &&Arc<str>| {
            self.grants
                .get(*reference)
                .is_some_and(|(_, grant)| grant.caller_uid == uid)
        };
        if self.order.iter().filter(is_own).count() >= OF_A_USER {
            let oldest = self.order.iter().find(is_own).cloned();
            oldest.map(|reference| self.grants.remove(&reference));
        }
        if self.grants.len() >= OF_USERS {
            let held = self.order.iter().enumerate();
            let places = held.filter_map(|(age, key)| {
                let (_, grant) = self.grants.get(key)?;
                let holder = grant.caller_uid;
                Some(Place { holder, age, key })
            });
            let given_up = taken(places).cloned();
            given_up.map(|reference| self.grants.remove(&reference));
        }
        self.grants.len() < OF_USERS
    }
}

impl Grants {
    /// Files a grant under a new reference. `None` if there is no room, or the kernel gives no randomness.
    pub fn issue(&self, grant: Grant, now: Now) -> Option<PendingReference> {
        let reference: Arc<str> = super::registry::random_id()?.into();
        let mut live = self.live();
        let uid = grant.caller_uid;
        let filed = live.of(uid);
        filed.prune(now);
        if !filed.make_room(uid) {
            return None;
        }
        filed.order.push_back(Arc::clone(&reference));
        let held = (now.steady + lifetime(), Box::new(grant));
        filed.grants.insert(Arc::clone(&reference), held);
        Some(reference.as_ref().to_owned())
    }

    /// The grant that is claimed, if it may be.
    pub fn present(&self, claim: &Claim<'_>, now: Now) -> Option<Grant> {
        let mut live = self.live();
        let (expires, grant) = live.find(claim.reference)?;
        (*expires > now.steady && grant.fits(claim)).then(|| Grant::clone(grant))
    }

    /// Marks a grant as accepted by the account phase, and keeps it for the session phase.
    pub fn commit(&self, reference: &str) {
        if let Some((_, grant)) = self.live().find(reference) {
            grant.committed = true;
        }
    }

    /// Takes a grant away: it has served its last phase.
    pub fn retire(&self, reference: &str) {
        for filed in self.live().both() {
            filed.grants.remove(reference);
        }
    }

    /// Takes every grant for that user away: what they were earned with is gone.
    pub fn forget(&self, user: &str) {
        for filed in self.live().both() {
            filed.grants.retain(|_, (_, grant)| grant.user != user);
        }
    }

    /// How many are waiting for their account phase; the daemon does not exit under them.
    pub fn waiting(&self, now: Now) -> usize {
        let mut live = self.live();
        let waiting = live.both().map(|filed| {
            filed.prune(now);
            let grants = filed.grants.values();
            grants
                .filter(|(expires, grant)| *expires > now.steady && !grant.committed)
                .count()
        });
        waiting.iter().sum()
    }

    /// Forgets what has expired, and gives back the room that a rush has taken.
    pub fn tidy(&self, now: Now) {
        for filed in self.live().both() {
            filed.prune(now);
            filed.grants.shrink_to_fit();
            filed.order.shrink_to_fit();
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lifetime() -> i64 {
    i64::try_from(limits::GRANT.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
