//! The phases after the answer: account and session. Nobody can be prompted here.

use mfad_protocol::{Message, State, Step, Style};

use super::{
    Caller,
    facts::Facts,
    grant::{Earned, Grant},
    logins::{reminder, request},
    verdict::{Gate, gate},
};
use crate::{
    audit::Event,
    clock::Now,
    engine::{Engine, REALM},
    store::{Login, StoreError},
};

impl Engine {
    /// The account phase: hosts come here only after the whole auth stack has succeeded, so what auth left pending is
    /// committed now. A guarded login without a grant is judged.
    pub(super) async fn account(&self, caller: &Caller, facts: Facts) -> Step {
        let now = self.now();
        let presented = facts.grant.as_deref().and_then(|reference| {
            let user = facts.user.as_deref()?;
            self.grants
                .present(reference, caller.uid, user, &facts.service, now)
                .map(|grant| (reference, grant))
        });
        match presented {
            Some((reference, grant)) => self.commit(&facts, reference, grant, now).await,
            None if facts.guarded => self.judge_at_gate(caller, facts, now).await,
            // A grant was presented and is unknown (the daemon was restarted in between): refused, try again.
            None => self.shut(&facts, "the login's grant is unknown or expired", now),
        }
    }

    async fn commit(&self, facts: &Facts, reference: &str, grant: Grant, now: Now) -> Step {
        let Earned::Proven {
            person,
            place,
            enrollment,
            ..
        } = grant.earned
        else {
            self.grants.commit(reference);
            return granted(reference);
        };
        if let Some((credential, step)) = enrollment {
            let mut record = facts.record(now.wall, Event::Enrollment, "added");
            record.factor = Some("totp".to_owned());
            let activated = self
                .recorded(record, |record| {
                    self.store.activate(person, credential, step, now, record)
                })
                .await;
            if let Err(error) = activated {
                let mut record = facts.record(now.wall, Event::Alarm, "unavailable");
                record.detail = Some(format!(
                    "an enrollment made in a login could not be kept: {error}"
                ));
                self.trail.send(&record);
                return Step::of(match error {
                    StoreError::NotFirst | StoreError::NotFound | StoreError::Busy => State::Denied,
                    _ => State::Unavailable,
                });
            }
        }
        self.grants.commit(reference);
        // Queued now, and written soon: losing it costs a trusted source and a date, never safety.
        drop(self.store.record_login(Login::proven(person, place, now)));
        granted(reference)
    }

    /// The session phase of a guarded service, the first place where sshd shows the key of a public-key login.
    pub(super) async fn open_session(&self, caller: &Caller, facts: Facts) -> Step {
        let now = self.now();
        let committed = facts.grant.as_deref().and_then(|reference| {
            let user = facts.user.as_deref()?;
            let grant = self
                .grants
                .present(reference, caller.uid, user, &facts.service, now)?;
            grant.committed.then(|| (reference.to_owned(), grant))
        });
        match committed {
            Some((reference, grant)) => {
                self.grants.retire(&reference);
                Step {
                    messages: self.greeting(&facts, &grant.earned).await,
                    ..Step::of(State::Granted)
                }
            }
            None if facts.guarded => self.judge_at_gate(caller, facts, now).await,
            None => Step::of(State::NotRequired),
        }
    }

    /// What matters to the person who has just come in.
    async fn greeting(&self, facts: &Facts, earned: &Earned) -> Vec<Message> {
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
        let failures = match earned {
            Earned::Proven { failures, .. } => *failures,
            Earned::NotRequired => 0,
        };
        match failures {
            0 => {}
            1 => lines.push(info(
                "1 failed second factor since your last login.".to_owned(),
            )),
            many => lines.push(info(format!(
                "{many} failed second factors since your last login."
            ))),
        }
        let left: usize = person
            .credentials
            .iter()
            .map(|credential| credential.codes.len())
            .sum();
        let has_set = person
            .credentials
            .iter()
            .any(|credential| credential.kind == crate::store::Kind::BackupCodes);
        if has_set && left <= 2 {
            lines.push(info(format!(
                "{left} backup codes left. Make new ones: mfactl codes"
            )));
        }
        lines
    }

    /// Judges a guarded login that brings no grant.
    async fn judge_at_gate(&self, caller: &Caller, mut facts: Facts, now: Now) -> Step {
        let subject = match self.subject(caller, &facts, now).await {
            Ok(subject) => subject,
            Err(state) => return Step::of(state),
        };
        facts.settle_place(subject.uid());
        let loaded = self.loaded();
        let decision = loaded.policy.decide(&request(&facts, &subject, now));
        match gate(&subject, &decision, loaded.policy.unenrolled(), now.wall) {
            Gate::Shut(why) => self.shut(&facts, why, now),
            Gate::Open(remind) => {
                let mut record = facts.record(now.wall, Event::Authentication, "not-required");
                record.rule = decision.rule;
                self.note(record);
                let grant = self.grant(caller, &facts, Earned::NotRequired, now);
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
