//! The phases after the answer: account and session. Nobody can be prompted here.

use std::{os::fd::OwnedFd, sync::Arc};

use mfad_protocol::{Message, State, Step, Style};
use policy::Fact;

use super::{
    Caller,
    facts::Facts,
    grant::{Claim, Earned, Grant, Proof},
    login_key,
    logins::reminder,
    reliance::Relied,
    scene::Scene,
    verdict::{Gate, gate},
    weighing::Weighed,
};
use crate::{
    audit::Event,
    clock::Now,
    config::Loaded,
    engine::{Engine, REALM},
    store::{CredentialId, Login, PersonId, StoreError},
};

impl Engine {
    /// The account phase: hosts come here only after the whole auth stack has succeeded, so what auth left pending is
    /// committed now. A guarded login without a grant is judged.
    pub(super) async fn account(
        &self,
        caller: &Caller,
        mut facts: Facts,
        process: Option<OwnedFd>,
    ) -> Step {
        let now = self.now();
        let presented =
            Claim::of(&facts, caller).and_then(|claim| self.grants.present(&claim, now));
        match (presented, facts.grant.clone()) {
            (Some(grant), Some(reference)) => {
                facts.take_up(&grant);
                self.commit(caller, facts, process, &reference, grant, now)
                    .await
            }
            _ if facts.guarded => {
                let loaded = self.loaded();
                self.judge_at_gate(caller, facts, process, loaded, now)
                    .await
            }
            // A grant was presented and is unknown (the daemon was restarted in between): refused, try again.
            _ => self.shut(&facts, "the login's grant is unknown or expired", now),
        }
    }

    async fn commit(
        &self,
        caller: &Caller,
        mut facts: Facts,
        process: Option<OwnedFd>,
        reference: &str,
        grant: Grant,
        now: Now,
    ) -> Step {
        match grant.earned {
            Earned::Proven(proof) => {
                if let Some((credential, step)) = proof.enrollment {
                    let kept = self
                        .keep_enrollment(&facts, proof.login.person, credential, step, now)
                        .await;
                    if let Err(state) = kept {
                        return Step::of(state);
                    }
                }
                self.grants.commit(reference);
                // sudo and su run in the session that they act for; sshd's begins later.
                if facts.sits_in_a_session() {
                    self.note_proof(caller, &mut facts, process, &proof, now)
                        .await;
                }
                self.remember_device(&facts, &proof, now).await;
                self.leave_behind(proof.login, now);
            }
            Earned::NotRequired(login) => {
                self.grants.commit(reference);
                if let Some(login) = login {
                    self.leave_behind(*login, now);
                }
            }
            // Only a guarded account phase makes one, for the session phase.
            Earned::Deferred(_) => {
                return self.shut(&facts, "a decision left to the session phase", now);
            }
        }
        granted(reference)
    }

    /// What a completed login leaves in the store. Queued now, and written soon: losing it costs a trusted source and a
    /// line of history, never safety.
    pub(super) fn leave_behind(&self, login: Login, now: Now) {
        drop(self.store.record_login(Login { now, ..login }));
    }

    async fn keep_enrollment(
        &self,
        facts: &Facts,
        person: PersonId,
        credential: CredentialId,
        step: i64,
        now: Now,
    ) -> Result<(), State> {
        let mut record = facts.record(now.wall, Event::Enrollment, "added");
        record.factor = Some("totp".to_owned());
        let activated = self
            .recorded(record, |record| {
                self.store.activate(person, credential, step, now, record)
            })
            .await;
        activated.map_err(|error| {
            let mut record = facts.record(now.wall, Event::Alarm, "unavailable");
            record.detail = Some(format!(
                "an enrollment made in a login could not be kept: {error}"
            ));
            self.trail.send(&record);
            match error {
                StoreError::NotFirst | StoreError::NotFound | StoreError::Busy => State::Denied,
                _ => State::Unavailable,
            }
        })
    }

    /// Notes a proof for the login session that the host program is in, if it is its person's own. Nothing is noted for
    /// an unknown one: whoever proved it is asked again.
    pub(super) async fn note_proof(
        &self,
        caller: &Caller,
        facts: &mut Facts,
        process: Option<OwnedFd>,
        proof: &Proof,
        now: Now,
    ) {
        // The shadow's too: proofs that nobody kept would look to it like none.
        let needs = self.loaded().needs();
        if !needs.contains(Fact::Proofs) || proof.evidence.is_empty() {
            return;
        }
        self.find_whereabouts(caller, facts, process, needs).await;
        if let Some(session) = facts.whereabouts.proofs_of(proof.uid) {
            let kinds = proof.evidence.iter().map(|evidence| evidence.word());
            let noted = self
                .store
                .record_proof(proof.login.person, session, kinds.collect(), now)
                .await;
            if let Err(error) = noted {
                let mut record = facts.record(now.wall, Event::Alarm, "not-kept");
                record.detail = Some(format!("a proof for this session: {error}"));
                self.trail.send(&record);
            }
        }
    }

    /// Keeps a device that its person wants to be remembered. Should that fail, they are asked again the next time.
    async fn remember_device(&self, facts: &Facts, proof: &Proof, now: Now) {
        let Some(device) = &proof.remember else {
            return;
        };
        let mut record = facts.record(now.wall, Event::Enrollment, "remembered");
        record.detail = Some(device.binding.label());
        let remembered = self.recorded(record, |record| {
            self.store
                .remember_device(proof.login.person, device.clone(), now, record)
        });
        if let Err(error) = remembered.await {
            let mut record = facts.record(now.wall, Event::Alarm, "not-kept");
            record.detail = Some(format!("a device to be remembered: {error}"));
            self.trail.send(&record);
        }
    }

    /// The session phase of a guarded service, the first place where sshd shows the key of a public-key login.
    pub(super) async fn open_session(
        &self,
        caller: &Caller,
        mut facts: Facts,
        process: Option<OwnedFd>,
    ) -> Step {
        let now = self.now();
        let committed = Claim::of(&facts, caller)
            .and_then(|claim| self.grants.present(&claim, now))
            .filter(|grant| grant.committed);
        let Some(grant) = committed else {
            return if facts.guarded {
                let loaded = self.loaded();
                self.judge_at_gate(caller, facts, process, loaded, now)
                    .await
            } else {
                Step::of(State::NotRequired)
            };
        };
        if let Some(reference) = &facts.grant {
            self.grants.retire(reference);
        }
        facts.take_up(&grant);
        match grant.earned {
            Earned::Deferred(loaded) => {
                self.judge_at_gate(caller, facts, process, loaded, now)
                    .await
            }
            Earned::Proven(proof) => {
                if !facts.sits_in_a_session() {
                    self.note_proof(caller, &mut facts, process, &proof, now)
                        .await;
                }
                self.greet(&facts, proof.failures, proof.new_device).await
            }
            Earned::NotRequired(_) => self.greet(&facts, 0, false).await,
        }
    }

    pub(super) async fn greet(&self, facts: &Facts, failures: u32, new_device: bool) -> Step {
        Step {
            messages: self.greeting(facts, failures, new_device).await,
            ..Step::of(State::Granted)
        }
    }

    /// What matters to the person who has just come in.
    async fn greeting(&self, facts: &Facts, failures: u32, new_device: bool) -> Vec<Message> {
        let Some(user) = &facts.user else {
            return Vec::new();
        };
        let Ok(Some(person)) = self.store.find_person(REALM, user).await else {
            return Vec::new();
        };
        let info = |text| Message {
            style: Style::Info,
            text,
        };
        let mut lines = Vec::new();
        if new_device {
            lines.push(info(
                "This is your first login from this device.".to_owned(),
            ));
        }
        match failures {
            0 => {}
            1 => lines.push(info(
                "1 failed second factor since your last login.".to_owned(),
            )),
            many => lines.push(info(format!(
                "{many} failed second factors since your last login."
            ))),
        }
        if let Some(left @ 0..=2) = person.codes_left() {
            let codes = if left == 1 { "code" } else { "codes" };
            lines.push(info(format!(
                "{left} backup {codes} left. Make new ones: mfactl codes"
            )));
        }
        lines
    }

    /// Judges a guarded login in which nothing was proven.
    async fn judge_at_gate(
        &self,
        caller: &Caller,
        mut facts: Facts,
        process: Option<OwnedFd>,
        loaded: Arc<Loaded>,
        now: Now,
    ) -> Step {
        let again = process
            .as_ref()
            .and_then(|process| process.try_clone().ok());
        let weighed = match self.weigh(caller, &mut facts, process, loaded, now).await {
            Ok(weighed) => weighed,
            Err(state) => return Step::of(state),
        };
        if let Some(step) = self
            .open_by_key(caller, &mut facts, again, &weighed, now)
            .await
        {
            return step;
        }
        let unenrolled = weighed.loaded.policy.unenrolled();
        let verdict = &weighed.settled.verdict;
        match gate(&weighed.subject, verdict, unenrolled, now.wall) {
            Gate::Shut(_)
                if facts.awaits_its_key()
                    && (Scene::waits_for_the_key(&facts, &weighed.decision)
                        || login_key::may_come(&weighed.subject, verdict)) =>
            {
                self.defer(caller, &facts, weighed, now)
            }
            Gate::Shut(why) => self.shut(&facts, why, now),
            Gate::Open(remind) => {
                let mut record = facts.record(now.wall, Event::Authentication, "not-required");
                record.rule.clone_from(&weighed.decision.rule);
                record.detail = weighed.settled.relied.as_ref().map(Relied::describe);
                self.note(record);
                let login = weighed.login(caller, &facts, now);
                if let Some(login) = login.clone() {
                    self.leave_behind(login, now);
                }
                let grant = self.grant(
                    caller,
                    &facts,
                    Earned::NotRequired(login.map(Box::new)),
                    now,
                );
                if let Some(reference) = &grant {
                    self.grants.commit(reference);
                }
                let messages = remind.map(reminder).into_iter().collect();
                Step {
                    messages,
                    grant,
                    ..Step::of(State::NotRequired)
                }
            }
        }
    }

    /// Leaves the decision to the session phase, where the key is visible, if the stack says that there is one.
    fn defer(&self, caller: &Caller, facts: &Facts, weighed: Weighed, now: Now) -> Step {
        if !facts.defer {
            let why = "the key decides, and the account line does not say defer=session";
            return self.shut(facts, why, now);
        }
        let grant = self.grant(caller, facts, Earned::Deferred(weighed.loaded), now);
        let Some(reference) = grant else {
            return self.shut(facts, "no room for one login more", now);
        };
        self.grants.commit(&reference);
        Step {
            grant: Some(reference),
            ..Step::of(State::NotRequired)
        }
    }

    fn shut(&self, facts: &Facts, why: &str, now: Now) -> Step {
        let mut record = facts.record(now.wall, Event::Authentication, "denied");
        record.detail = Some(why.to_owned());
        self.note(record);
        Step::of(State::Denied)
    }
}

fn granted(reference: &str) -> Step {
    Step {
        grant: Some(reference.to_owned()),
        ..Step::of(State::Granted)
    }
}
