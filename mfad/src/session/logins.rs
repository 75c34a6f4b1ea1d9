//! Runs logins: from a context to the first step. What follows from an answer is in `answering`.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use mfad_protocol::{Context, Hook, Message, PendingReference, State, Step, Style};

use super::{
    Caller,
    dialogue::Dialogue,
    facts::{Facts, Unservable},
    grant::{Claim, Earned, Grant, Proof},
    keying::MOST_ASKED,
    keys::{Keys, Turn},
    login_key,
    running::{Running, Stage},
    verdict::{Course, Play, Reminder, Subject, course},
    weighing::Weighed,
};
use crate::{
    audit::{Event, Record},
    clock::Now,
    engine::Engine,
    factor::otp::{Generator, identity},
    store::{Kind, Standing},
    throttle::Class,
};

/// A step, with the id of the dialogue if it goes on.
pub type Begun = (String, Step);

impl Engine {
    /// Begins whatever a module's entry point asks for.
    /// `process` is the host program's pidfd.
    pub async fn begin(
        &self,
        caller: &Caller,
        context: Context,
        process: Option<OwnedFd>,
    ) -> Begun {
        let facts = match Facts::derive(context, caller) {
            Ok(facts) => facts,
            Err(unservable) => return self.refuse_unservable(caller, unservable),
        };
        match facts.hook {
            Hook::Auth | Hook::Password => self.begin_dialogue(caller, facts, process).await,
            Hook::Account => (String::new(), self.account(caller, facts, process).await),
            Hook::Session => (
                String::new(),
                self.open_session(caller, facts, process).await,
            ),
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
            let _lived = self.registry.close(session);
        }
    }

    async fn begin_dialogue(
        &self,
        caller: &Caller,
        mut facts: Facts,
        process: Option<OwnedFd>,
    ) -> Begun {
        let now = self.now();
        if facts.hook == Hook::Password
            && let Some(proof) = self.proven_in_this_transaction(caller, &facts, now)
        {
            self.note_password_change(&facts, Some(proof.login.person), &self.loaded(), now)
                .await;
            let mut record = facts.record(now.wall, Event::Authentication, "granted");
            record.detail = Some("proven earlier in this login".to_owned());
            self.note(record);
            return (String::new(), Step::of(State::Granted));
        }
        let loaded = self.loaded();
        let weighed = self.weigh(caller, &mut facts, process, loaded, now).await;
        let weighed = match weighed {
            Ok(weighed) => weighed,
            Err(state) => return (String::new(), Step::of(state)),
        };
        let unenrolled = weighed.loaded.policy.unenrolled();
        match course(
            &facts,
            &weighed.subject,
            &weighed.settled.verdict,
            unenrolled,
            now.wall,
        ) {
            Course::Pass { remind } => {
                let person = weighed.subject.person().map(|person| person.id);
                self.note_password_change(&facts, person, &weighed.loaded, now)
                    .await;
                self.pass(caller, &facts, &weighed, remind, now)
            }
            Course::Enroll => self.begin_enrollment(caller, facts, weighed, now).await,
            Course::Ask {
                play,
                allowed,
                count,
            } => {
                let tries = weighed.loaded.settings.prompt.tries;
                let dialogue = Dialogue::new(play, allowed, count, tries);
                self.ask_for_a_code(caller, facts, weighed, dialogue, now)
                    .await
            }
        }
    }

    async fn ask_for_a_code(
        &self,
        caller: &Caller,
        facts: Facts,
        weighed: Weighed,
        dialogue: Dialogue,
        now: Now,
    ) -> Begun {
        let hint = self.replay_hint(&facts, &weighed.subject, now);
        let preferred = preference(&facts, &weighed.subject, &dialogue);
        let mut keys = match dialogue.play {
            Play::Earnest => Keys::of(&facts, &weighed.subject, &self.keyring, &self.helper),
            Play::Decoy(_) | Play::Formality => Keys::default(),
        };
        if keys.turn(&dialogue.allowed) == Some(Turn::Plugged) {
            keys.warm = self.helper.warm().await;
        }
        let login_key = match dialogue.play {
            Play::Earnest => login_key::of(&facts, &weighed.subject, &self.keyring),
            Play::Decoy(_) | Play::Formality => None,
        };
        let until = Instant::now() + weighed.loaded.settings.session.dialogue;
        let (person, failures_before) = match (weighed.subject, &dialogue.play) {
            (Subject::Enrolled(_, person), Play::Earnest) => {
                (Some((person.id, person.key)), person.failures_since)
            }
            _ => (None, 0),
        };
        let mut running = Running {
            facts,
            person,
            failures_before,
            scene: weighed.scene,
            offer: weighed.settled.offer,
            keys,
            asks_left: MOST_ASKED,
            until,
            stage: Stage::Code(dialogue),
            loaded: weighed.loaded,
            rule: weighed.decision.rule,
        };
        if let Some(credential) = login_key
            && let Some(step) = self
                .count_login_key(caller, &mut running, credential, now)
                .await
        {
            return if step.state.is_final() {
                (String::new(), step)
            } else {
                self.open(caller, running, step.messages)
            };
        }
        let prompt = match &running.stage {
            Stage::Code(dialogue) => running.prompt(dialogue),
            Stage::Key(_) | Stage::Enroll(_) | Stage::Remember(_) => String::new(),
        };
        let prompt = format!("{hint}{preferred}{prompt}");
        self.open(caller, running, vec![visible(prompt)])
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
        weighed: &Weighed,
        remind: Option<Reminder>,
        now: Now,
    ) -> Begun {
        let mut record = facts.record(now.wall, Event::Authentication, "not-required");
        record.rule.clone_from(&weighed.decision.rule);
        record.detail = match (&remind, &weighed.settled.relied) {
            (Some(_), _) => Some("not enrolled".to_owned()),
            (None, Some(relied)) => Some(relied.describe()),
            (None, None) => None,
        };
        self.note(record);
        let earned = Earned::NotRequired(weighed.login(caller, facts, now).map(Box::new));
        let grant = self.grant(caller, facts, earned, now);
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
        let target = facts.target.clone();
        let grant = Grant {
            caller_uid: caller.uid,
            user: facts.user.clone()?,
            switch: target.map(|target| (target, facts.real_uid)),
            service: facts.service.clone(),
            earned,
            committed: false,
        };
        self.grants.issue(grant, now)
    }

    /// The second factor that the auth phase of this very transaction has proven (an expired password is changed right
    /// after it).
    fn proven_in_this_transaction(
        &self,
        caller: &Caller,
        facts: &Facts,
        now: Now,
    ) -> Option<Box<Proof>> {
        let claim = Claim::of(facts, caller)?;
        match self.grants.present(&claim, now)?.earned {
            Earned::Proven(proof) => Some(proof),
            Earned::NotRequired(_) | Earned::Deferred(_) => None,
        }
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

/// Names the kind of code that the person wants to be asked for first, where there is a choice; whether a key or a code comes
/// first, the prompt's order says. Only to who has proven a key, or
/// in the owner's own session: it tells that somebody is enrolled, and with what.
fn preference(facts: &Facts, subject: &Subject, dialogue: &Dialogue) -> String {
    let Subject::Enrolled(account, person) = subject else {
        return String::new();
    };
    let usable = |kind: Kind| {
        kind.class() != Class::Key
            && dialogue.allowed.contains(kind)
            && person.credentials.iter().any(|credential| {
                credential.kind == kind && credential.standing == Standing::Active
            })
    };
    let preferred = person.preferred.as_deref().and_then(Kind::from_word);
    match preferred {
        Some(kind)
            if dialogue.play == Play::Earnest && usable(kind) && facts.may_hint(account.uid) =>
        {
            format!("Your {} first. ", kind.word())
        }
        _ => String::new(),
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
