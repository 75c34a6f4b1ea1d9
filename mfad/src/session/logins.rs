//! Runs logins: from a context to the first step, and from each answer to the next one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mfad_protocol::{Context, Hook, Message, PendingReference, State, Step, Style};
use policy::Known;

use super::{
    Caller,
    dialogue::Dialogue,
    enrolling::Enrolling,
    facts::{Facts, Unservable},
    grant::{Earned, Grant},
    verdict::{Course, Play, Reminder, Subject, course},
};
use crate::{
    audit::{Event, Record},
    clock::Now,
    config::Loaded,
    engine::{Engine, REALM},
    factor::otp::{Generator, identity},
    people::NoAnswer,
    store::{Kind, PersonId, PersonKey, Standing},
};

/// A login waiting for an answer.
#[derive(Debug)]
pub struct Running {
    pub(super) facts: Facts,
    /// Whose credentials may answer; `None` for a decoy or a formality.
    pub(super) person: Option<(PersonId, PersonKey)>,
    /// Failed attempts since that person's last completed login.
    pub(super) failures_before: u32,
    pub(super) stage: Stage,
    /// The policy it began with.
    pub(super) loaded: Arc<Loaded>,
    /// The rule that decided.
    pub(super) rule: Option<String>,
}

/// What the answer is for.
#[derive(Debug)]
pub(super) enum Stage {
    /// A code.
    Code(Dialogue),
    /// The first code of a factor being enrolled.
    Enroll(Enrolling),
}

/// A step, with the id of the dialogue if it goes on.
pub type Begun = (String, Step);

impl Engine {
    /// Begins whatever a module's entry point asks for.
    pub async fn begin(&self, caller: &Caller, context: Context) -> Begun {
        let facts = match Facts::derive(context, caller) {
            Ok(facts) => facts,
            Err(unservable) => return self.refuse_unservable(caller, unservable),
        };
        match facts.hook {
            Hook::Auth | Hook::Password => self.begin_dialogue(caller, facts).await,
            Hook::Account => (String::new(), self.account(caller, facts).await),
            Hook::Session => (String::new(), self.open_session(caller, facts).await),
        }
    }

    /// Denies a login for which its socket has no room. Not "unavailable": whoever can fill the socket must not reach
    /// what `unreachable=ignore` lets through.
    pub fn turn_away(&self, caller: &Caller, context: Context) -> Begun {
        if let Ok(facts) = Facts::derive(context, caller) {
            let now = self.now();
            self.note(facts.record(now.wall, Event::Alarm, "too-many-connections"));
        }
        (String::new(), Step::of(State::Denied))
    }

    /// Ends a dialogue that its host gave up.
    pub fn cancel(&self, caller: &Caller, session: &str) {
        if self
            .registry
            .take(session, caller, Instant::now())
            .is_some()
        {
            self.registry.close(session);
        }
    }

    async fn begin_dialogue(&self, caller: &Caller, mut facts: Facts) -> Begun {
        let now = self.now();
        if facts.hook == Hook::Password && self.proven_in_this_transaction(caller, &facts, now) {
            let mut record = facts.record(now.wall, Event::Authentication, "granted");
            record.detail = Some("proven earlier in this login".to_owned());
            self.note(record);
            return (String::new(), Step::of(State::Granted));
        }
        let subject = match self.subject(caller, &facts, now).await {
            Ok(subject) => subject,
            Err(state) => return (String::new(), Step::of(state)),
        };
        facts.settle_place(subject.uid());
        let loaded = self.loaded();
        let decision = loaded.policy.decide(&request(&facts, &subject, now));
        match course(
            &facts,
            &subject,
            &decision,
            loaded.policy.unenrolled(),
            now.wall,
        ) {
            Course::Pass { remind } => self.pass(caller, &facts, remind, decision.rule, now),
            Course::Enroll => {
                self.begin_enrollment(caller, facts, subject, loaded, decision.rule, now)
                    .await
            }
            Course::Ask {
                play,
                allowed,
                count,
            } => {
                let hint = self.replay_hint(&facts, &subject, now);
                let (person, failures_before) = match (subject, &play) {
                    (Subject::Enrolled(_, person), Play::Earnest) => {
                        (Some((person.id, person.key)), person.failures_since)
                    }
                    _ => (None, 0),
                };
                let dialogue = Dialogue::new(play, allowed, count, loaded.settings.prompt.tries);
                let prompt = format!("{hint}{}", loaded.settings.prompt.text);
                let running = Running {
                    facts,
                    person,
                    failures_before,
                    stage: Stage::Code(dialogue),
                    loaded,
                    rule: decision.rule,
                };
                self.open(caller, running, vec![visible(prompt)])
            }
        }
    }

    /// Registers a dialogue and makes its first step.
    pub(super) fn open(&self, caller: &Caller, running: Running, messages: Vec<Message>) -> Begun {
        let now = Instant::now();
        let patience = running.loaded.settings.session.dialogue + Duration::from_secs(2);
        let record = running
            .facts
            .record(self.now().wall, Event::Alarm, "too-many-dialogues");
        let real_uid = running.facts.real_uid;
        let opened = self
            .registry
            .open(caller, real_uid, running, now + patience, now);
        let Some(id) = opened else {
            self.trail.send(&record);
            // Not "unavailable": whoever can fill the registry must not reach what `unreachable=ignore` lets through.
            return (String::new(), Step::of(State::Denied));
        };
        (
            id,
            Step {
                messages,
                ..Step::of(State::Continue)
            },
        )
    }

    fn pass(
        &self,
        caller: &Caller,
        facts: &Facts,
        remind: Option<Reminder>,
        rule: Option<String>,
        now: Now,
    ) -> Begun {
        let mut record = facts.record(now.wall, Event::Authentication, "not-required");
        record.rule = rule;
        record.detail = remind.is_some().then(|| "not enrolled".to_owned());
        self.note(record);
        let grant = self.grant(caller, facts, Earned::NotRequired, now);
        let messages = remind.map(reminder).into_iter().collect();
        (
            String::new(),
            Step {
                messages,
                grant,
                ..Step::of(State::NotRequired)
            },
        )
    }

    /// Files what this login has earned.
    pub(super) fn grant(
        &self,
        caller: &Caller,
        facts: &Facts,
        earned: Earned,
        now: Now,
    ) -> Option<PendingReference> {
        let grant = Grant {
            caller_uid: caller.uid,
            user: facts.user.clone()?,
            service: facts.service.clone(),
            earned,
            committed: false,
        };
        self.grants.issue(grant, now)
    }

    /// Who wants in; or how the login ends where nobody can say (which is recorded).
    ///
    /// A caller other than root may only ask for its own account; for any other it meets nobody, and nothing is looked
    /// up on its behalf but its own uid.
    pub(super) async fn subject(
        &self,
        caller: &Caller,
        facts: &Facts,
        now: Now,
    ) -> Result<Subject, State> {
        let Some(user) = &facts.user else {
            return Ok(Subject::Nobody);
        };
        let account = if caller.is_root() {
            self.people.named(user).await
        } else {
            let own = self.people.with_uid(caller.uid).await;
            own.map(|account| account.filter(|account| account.name == *user))
        };
        let person = self.store.find_person(REALM, user).await;
        let (why, state) = match (account, person) {
            (Ok(Some(account)), Ok(_)) if account.name != *user => {
                return Ok(Subject::Alias(account));
            }
            (Ok(Some(account)), Ok(person)) => return Ok(Subject::of(account, person)),
            (Ok(None), Ok(_)) => return Ok(Subject::Nobody),
            (Err(NoAnswer::Silent), _) => (
                "the name service does not answer".to_owned(),
                State::Unavailable,
            ),
            // Anybody can ask for many names.
            (Err(NoAnswer::Crowded), _) => (
                "too many names are being looked up".to_owned(),
                State::Denied,
            ),
            (_, Err(error)) => (error.to_string(), State::Unavailable),
        };
        let outcome = if state == State::Denied {
            "denied"
        } else {
            "unavailable"
        };
        let mut record = facts.record(now.wall, Event::Authentication, outcome);
        record.detail = Some(why);
        self.note(record);
        Err(state)
    }

    /// Whether the auth phase of this very transaction has proven a second factor (an expired password is changed
    /// right after it).
    fn proven_in_this_transaction(&self, caller: &Caller, facts: &Facts, now: Now) -> bool {
        let (Some(reference), Some(user)) = (&facts.grant, &facts.user) else {
            return false;
        };
        self.grants
            .present(reference, caller.uid, user, &facts.service, now)
            .is_some_and(|grant| matches!(grant.earned, Earned::Proven { .. }))
    }

    /// Says when the next code comes, if the current one has been used (ssh, then sudo at once) and the person may
    /// know it.
    fn replay_hint(&self, facts: &Facts, subject: &Subject, now: Now) -> String {
        let Subject::Enrolled(account, person) = subject else {
            return String::new();
        };
        if !facts.may_hint(account.uid) {
            return String::new();
        }
        let totp: Vec<_> = person
            .credentials
            .iter()
            .filter(|credential| {
                credential.kind == Kind::Totp && credential.standing == Standing::Active
            })
            .collect();
        let [credential] = totp.as_slice() else {
            return String::new();
        };
        let bound = identity(&person.key, credential.kind, credential.id);
        let Ok(generator) = Generator::open(&self.keyring, &bound, &credential.sealed) else {
            return String::new();
        };
        if credential.moving != generator.step_at(now.wall) {
            return String::new();
        }
        format!(
            "This code has been used; the next one comes in {} s. ",
            generator.until_next_step(now.wall)
        )
    }

    fn refuse_unservable(&self, caller: &Caller, unservable: Unservable) -> Begun {
        // A module of another version is nobody's doing at the door. A context that breaks the bounds may be, so it is
        // refused where "unavailable" could be let through by `unreachable=ignore`.
        let (state, outcome, detail) = match unservable {
            Unservable::Protocol(theirs) => (
                State::Unavailable,
                "unavailable",
                format!(
                    "a module speaks protocol {theirs}, this mfad {}; install the same version of both and restart the \
                     host programs",
                    mfad_protocol::PROTOCOL
                ),
            ),
            Unservable::Malformed => (
                State::Denied,
                "denied",
                "a module sent a context without a hook or a service, or over its bounds"
                    .to_owned(),
            ),
        };
        self.note(Record {
            by: Some(caller.uid),
            detail: Some(detail),
            // Only root's word is worth an operator's attention.
            ..Record::new(
                self.now().wall,
                if caller.is_root() {
                    Event::Alarm
                } else {
                    Event::Authentication
                },
                outcome,
            )
        });
        (String::new(), Step::of(state))
    }
}

/// The policy's view of a login.
pub(super) fn request<'a>(facts: &'a Facts, subject: &'a Subject, now: Now) -> policy::Request<'a> {
    let user = facts.user.as_deref().unwrap_or_default();
    policy::Request {
        uid: subject.uid(),
        groups: Known::Is(subject.groups()),
        address: facts.address,
        local: facts.local,
        ..policy::Request::new(user, &facts.service, now.wall)
    }
}

/// A visible prompt. Codes are good once, so nothing is lost by echoing them; and sshd's password method, which
/// answers every hidden prompt with the login password, fails cleanly on a visible one.
pub(super) fn visible(text: String) -> Message {
    Message {
        style: Style::Visible,
        text,
    }
}

/// What somebody without a factor is told.
pub(super) fn reminder(remind: Reminder) -> Message {
    let deadline = remind
        .until
        .and_then(|until| jiff::Timestamp::from_second(until).ok())
        .map(|until| {
            format!(
                " From {} on you will need one to log in.",
                until.strftime("%Y-%m-%d %H:%M UTC")
            )
        })
        .unwrap_or_default();
    Message {
        style: Style::Info,
        text: format!("You have no second factor yet.{deadline} Set one up: mfactl enroll totp"),
    }
}
