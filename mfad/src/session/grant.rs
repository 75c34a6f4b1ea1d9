//! What a login has earned in its auth phase and presents in the phases after it.
//!
//! A grant lives in memory: when the daemon dies between the phases, the account phase finds nothing and refuses, and
//! the person tries again. Whatever must outlive that (a pending enrollment) is in the store already.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use mfad_protocol::{PendingReference, limits};

use crate::{
    clock::Now,
    store::{CredentialId, PersonId},
    throttle::Place,
};

/// Most grants at once; older ones go first when there are more.
const CAPACITY: usize = 4096;

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The uid that obtained it, and alone may present it.
    pub caller_uid: u32,
    /// For whom.
    pub user: String,
    /// For which service.
    pub service: String,
    /// What was earned.
    pub earned: Earned,
    /// Whether the account phase has accepted it.
    pub committed: bool,
}

/// What stands behind a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earned {
    /// The policy asked for nothing.
    NotRequired,
    /// A second factor was proven.
    Proven {
        /// Whose.
        person: PersonId,
        /// From where.
        place: Place,
        /// Failed attempts between the last completed login and this one.
        failures: u32,
        /// An enrollment made in this login, to be activated when all of it has succeeded: credential and TOTP step.
        enrollment: Option<(CredentialId, i64)>,
    },
}

/// The grants of logins in progress.
#[derive(Debug, Default)]
pub struct Grants {
    live: Mutex<HashMap<PendingReference, (i64, Grant)>>,
}

impl Grants {
    /// Files a grant under a new reference. `None` if the kernel gives no randomness.
    pub fn issue(&self, grant: Grant, now: Now) -> Option<PendingReference> {
        let reference = super::registry::random_id()?;
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        prune(&mut live, now);
        if live.len() >= CAPACITY {
            let oldest = live
                .iter()
                .min_by_key(|(_, (expires, _))| *expires)
                .map(|(key, _)| key.clone());
            oldest.map(|key| live.remove(&key));
        }
        live.insert(reference.clone(), (now.steady + lifetime(), grant));
        Some(reference)
    }

    /// The grant of that reference, if this caller may present it for this user and service.
    pub fn present(
        &self,
        reference: &str,
        caller_uid: u32,
        user: &str,
        service: &str,
        now: Now,
    ) -> Option<Grant> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let (expires, grant) = live.get(reference)?;
        let fits = *expires > now.steady
            && grant.caller_uid == caller_uid
            && grant.user == user
            && grant.service == service;
        fits.then(|| grant.clone())
    }

    /// Marks a grant as accepted by the account phase, and keeps it for the session phase.
    pub fn commit(&self, reference: &str) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, grant)) = live.get_mut(reference) {
            grant.committed = true;
        }
    }

    /// Takes a grant away: it has served its last phase.
    pub fn retire(&self, reference: &str) {
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(reference);
    }

    /// How many are waiting for their account phase; the daemon does not exit under them.
    pub fn waiting(&self, now: Now) -> usize {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        prune(&mut live, now);
        live.values().filter(|(_, grant)| !grant.committed).count()
    }
}

fn lifetime() -> i64 {
    i64::try_from(limits::GRANT.as_secs()).unwrap_or(i64::MAX)
}

fn prune(live: &mut HashMap<PendingReference, (i64, Grant)>, now: Now) {
    live.retain(|_, (expires, _)| *expires > now.steady);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now {
        wall: 1000,
        steady: 1000,
    };

    fn alices() -> Grant {
        Grant {
            caller_uid: 0,
            user: "alice".into(),
            service: "sshd".into(),
            earned: Earned::NotRequired,
            committed: false,
        }
    }

    #[test]
    fn a_grant_serves_its_own_caller_user_and_service_only() {
        let grants = Grants::default();
        let reference = grants.issue(alices(), NOW).unwrap();
        assert!(
            grants
                .present(&reference, 0, "alice", "sshd", NOW)
                .is_some()
        );
        assert!(
            grants
                .present(&reference, 1000, "alice", "sshd", NOW)
                .is_none()
        );
        assert!(grants.present(&reference, 0, "bob", "sshd", NOW).is_none());
        assert!(
            grants
                .present(&reference, 0, "alice", "sudo", NOW)
                .is_none()
        );
        assert!(grants.present("0123", 0, "alice", "sshd", NOW).is_none());
    }

    #[test]
    fn a_grant_expires_and_a_retired_one_is_gone() {
        let grants = Grants::default();
        let reference = grants.issue(alices(), NOW).unwrap();
        let later = Now {
            steady: NOW.steady + lifetime(),
            ..NOW
        };
        assert!(
            grants
                .present(&reference, 0, "alice", "sshd", later)
                .is_none()
        );
        assert_eq!((grants.waiting(NOW), grants.waiting(later)), (1, 0));
        let reference = grants.issue(alices(), NOW).unwrap();
        grants.retire(&reference);
        assert!(
            grants
                .present(&reference, 0, "alice", "sshd", NOW)
                .is_none()
        );
    }

    #[test]
    fn grants_are_bounded() {
        let grants = Grants::default();
        for _ in 0..CAPACITY + 10 {
            grants.issue(alices(), NOW).unwrap();
        }
        assert_eq!(grants.waiting(NOW), CAPACITY);
    }
}
