//! The key that opened an ssh login, as a factor: if an authenticator keeps it and its person has enrolled it. That sshd has
//! verified it is sshd's word; whose it is, is ours: a user's own `authorized_keys` proves nothing.

use std::{os::fd::OwnedFd, time::Instant};

use mfad_protocol::{Hook, State, Step};
use policy::Verdict;

use super::{
    Caller,
    dialogue::{Heard, Next},
    facts::Facts,
    grant::{Earned, Proof},
    running::{Running, Stage},
    verdict::Subject,
    weighing::Weighed,
};
use crate::{
    audit::Event,
    clock::Now,
    engine::Engine,
    factor::{
        Allowed,
        otp::identity,
        ssh_key::{self, LOGIN_KEY, SignatureGuess},
    },
    store::{Attempt, CredentialId, Kind, Login, Person, Standing, seal::Keyring},
    throttle::Class,
};

/// The credential that the login's key is.
pub(super) fn of(facts: &Facts, subject: &Subject, keyring: &Keyring) -> Option<CredentialId> {
    let Subject::Enrolled(_, person) = subject else {
        return None;
    };
    let shown = &facts.proven.as_ref()?.keys;
    let enrolled = enrolled(person).find(|credential| {
        let bound = identity(&person.key, credential.kind, credential.id);
        let key = ssh_key::open(keyring, &bound, &credential.sealed);
        key.is_ok_and(|key| {
            let fingerprint = key.fingerprint();
            let is_it = |shown: &super::ssh_keys::Key| {
                shown.sk && shown.fingerprint.as_deref() == Some(fingerprint.as_str())
            };
            shown.iter().any(is_it)
        })
    });
    enrolled.map(|credential| credential.id)
}

fn enrolled(person: &Person) -> impl Iterator<Item = &crate::store::Credential> {
    person.credentials.iter().filter(|credential| {
        credential.kind == Kind::SshSk && credential.standing == Standing::Active
    })
}

/// Whether the key of a login would be all that this one needs.
pub(super) fn suffices(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Require(requirement) => {
            requirement.count <= 1 && Allowed::by_policy(requirement).accepts(LOGIN_KEY)
        }
        Verdict::Deny | Verdict::NotRequired => false,
    }
}

/// Whether a key that sshd has yet to show could open this login.
pub(super) fn may_come(subject: &Subject, verdict: &Verdict) -> bool {
    let Subject::Enrolled(_, person) = subject else {
        return false;
    };
    enrolled(person).next().is_some() && suffices(verdict)
}

impl Engine {
    /// Counts the login's key in a dialogue that has not begun. The step is what is left of it, if anything is: `None` asks.
    pub(super) async fn count_login_key(
        &self,
        caller: &Caller,
        running: &mut Running,
        credential: CredentialId,
        now: Now,
    ) -> Option<Step> {
        let Stage::Code(dialogue) = &running.stage else {
            return None;
        };
        if !dialogue.allowed.accepts(LOGIN_KEY) {
            return None;
        }
        let attempt = running.attempt(dialogue, Class::Key, now);
        let guess = Box::new(SignatureGuess::vouched(credential));
        let heard = match self.submit(attempt, guess, Some(LOGIN_KEY)).await {
            Ok(heard @ Heard::Right(_)) => heard,
            Ok(Heard::NotRight) => return None,
            Err(failure) => return Some(self.fail(running, failure, now, Instant::now()).await),
        };
        let Stage::Code(dialogue) = &mut running.stage else {
            return None;
        };
        match dialogue.hear(heard) {
            Next::Granted => Some(self.granted(caller, running, now).await),
            Next::Again | Next::Another | Next::Denied | Next::NotRequired => None,
        }
    }

    /// Opens a guarded login in which nothing was asked, if its key is the factor that it needs; `None` if not.
    pub(super) async fn open_by_key(
        &self,
        caller: &Caller,
        facts: &mut Facts,
        process: Option<OwnedFd>,
        weighed: &Weighed,
        now: Now,
    ) -> Option<Step> {
        let Subject::Enrolled(_, person) = &weighed.subject else {
            return None;
        };
        let credential = of(facts, &weighed.subject, &self.keyring)
            .filter(|_| suffices(&weighed.settled.verdict))?;
        let mut record = facts.record(now.wall, Event::Authentication, "");
        record.rule.clone_from(&weighed.decision.rule);
        let attempt = Attempt {
            person: Some(person.id),
            class: Class::Key,
            place: facts.place,
            now,
            completes: true,
            record,
        };
        let guess = Box::new(SignatureGuess::vouched(credential));
        match self.submit(attempt, guess, Some(LOGIN_KEY)).await {
            Ok(Heard::Right(_)) => {}
            Ok(Heard::NotRight) => return None,
            Err(failure) => {
                let mut record = facts.record(now.wall, Event::Alarm, "unavailable");
                record.detail = Some(failure.to_string());
                self.trail.send(&record);
                return Some(Step::of(failure.state()));
            }
        }
        let proof = Proof {
            login: Login {
                circumstances: weighed.scene.circumstances,
                ..Login::proven(person.id, facts.place, now)
            },
            uid: Some(person.key.uid),
            failures: person.failures_since,
            enrollment: None,
            evidence: vec![LOGIN_KEY],
            remember: None,
            new_device: weighed.scene.is_first_of_its_device(),
        };
        self.leave_behind(proof.login.clone(), now);
        if facts.hook == Hook::Session {
            self.note_proof(caller, facts, process, &proof, now).await;
            return Some(self.greet(facts, proof.failures, proof.new_device).await);
        }
        let grant = self.grant(caller, facts, Earned::Proven(Box::new(proof)), now);
        if let Some(reference) = &grant {
            self.grants.commit(reference);
        }
        Some(Step {
            grant,
            ..Step::of(State::Granted)
        })
    }
}
