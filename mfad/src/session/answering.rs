//! An answer's way: sorted by form, judged (in `judging`), and turned into the next step. It must not look into the store's
//! verdict, which is `judging`'s.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use mfad_protocol::{Message, State, Step, Style};
use zeroize::Zeroizing;

use super::{
    Caller,
    dialogue::{Heard, Next},
    grant::Earned,
    judging::Failure,
    logins::visible,
    remembering,
    running::{Running, Stage},
    verdict::Play,
};
use crate::{audit::Event, clock::Now, engine::Engine, factor::answer::Answer, store::Kind};

/// Every refusal takes at least so long from the answer on, whatever it was refused for: it covers what the work
/// behind different refusals takes (the longest is a backup code's hash).
const REFUSAL: Duration = Duration::from_millis(100);

impl Engine {
    /// Answers a dialogue's prompt. A dialogue that is not this caller's, or not there, is refused like a wrong code; and so
    /// is one that was ended while it was answered, whatever the answer was worth.
    pub async fn respond(&self, caller: &Caller, session: &str, answers: Vec<Vec<u8>>) -> Step {
        self.respond_with(caller, session, Zeroizing::new(answers), None)
            .await
    }

    /// The same, with the descriptor that the step before asked for.
    pub async fn respond_with(
        &self,
        caller: &Caller,
        session: &str,
        answers: Zeroizing<Vec<Vec<u8>>>,
        descriptor: Option<OwnedFd>,
    ) -> Step {
        let heard_at = Instant::now();
        let Some(mut running) = self.registry.take(session, caller, heard_at) else {
            return Self::refuse(heard_at).await;
        };
        let step = if matches!(running.stage, Stage::Key(_)) {
            self.keep_keying(
                caller,
                session,
                &mut running,
                &answers,
                descriptor,
                heard_at,
            )
            .await
        } else {
            self.hear(caller, &mut running, &answers, heard_at).await
        };
        if !step.state.is_final() {
            let goes_on = self.registry.put_back(session, running);
            return if goes_on {
                step
            } else {
                Self::refuse(heard_at).await
            };
        }
        if self.registry.close(session) {
            return step;
        }
        if let Some(grant) = &step.grant {
            self.grants.retire(grant);
            let why = "what it was proven with is gone, or its connection";
            self.note_unasked(&running, "denied", why, self.now());
        }
        Self::refuse(heard_at).await
    }

    async fn hear(
        &self,
        caller: &Caller,
        running: &mut Running,
        answers: &[Vec<u8>],
        heard_at: Instant,
    ) -> Step {
        let [typed] = answers else {
            self.note_unasked(
                running,
                "denied",
                "not one answer to one prompt",
                self.now(),
            );
            return Self::refuse(heard_at).await;
        };
        if running.asks_for_key(typed) {
            return self.begin_keying(running, heard_at);
        }
        let answer = Answer::sort(typed);
        match running.stage {
            Stage::Code(_) => self.answer_code(caller, running, answer, heard_at).await,
            Stage::Enroll(_) => {
                self.answer_enrollment(caller, running, &answer, heard_at)
                    .await
            }
            Stage::Remember(_) => self.answer_remembering(caller, running, typed).await,
            Stage::Key(_) => Self::refuse(heard_at).await,
        }
    }

    async fn answer_code(
        &self,
        caller: &Caller,
        running: &mut Running,
        answer: Answer,
        heard_at: Instant,
    ) -> Step {
        let now = self.now();
        let Stage::Code(dialogue) = &running.stage else {
            return Self::refuse(heard_at).await;
        };
        let judged = match dialogue.play {
            Play::Decoy(why) if running.facts.decoy => {
                self.note_unasked(running, "denied", why, now);
                Ok(Heard::NotRight)
            }
            Play::Formality => {
                self.note_unasked(running, "not-required", "not enrolled", now);
                Ok(Heard::NotRight)
            }
            Play::Decoy(_) | Play::Earnest => self.judge(running, dialogue, answer, now).await,
        };
        self.proceed(caller, running, judged, now, heard_at).await
    }

    /// The step that follows from what was judged.
    pub(super) async fn proceed(
        &self,
        caller: &Caller,
        running: &mut Running,
        judged: Result<Heard, Failure>,
        now: Now,
        heard_at: Instant,
    ) -> Step {
        let heard = match judged {
            Ok(heard) => heard,
            Err(failure) => return self.fail(running, failure, now, heard_at).await,
        };
        let Stage::Code(dialogue) = &mut running.stage else {
            return Self::refuse(heard_at).await;
        };
        let next = dialogue.hear(heard);
        let prompt = running
            .keys
            .prompt(&dialogue.allowed, &running.loaded.settings.prompt.text);
        match next {
            Next::Granted => self.granted(caller, running, now).await,
            Next::Another => ask(format!("One more, of another kind. {prompt}")),
            Next::Denied => Self::refuse(heard_at).await,
            Next::Again => {
                Self::pad(heard_at).await;
                ask(prompt)
            }
            Next::NotRequired => {
                Self::pad(heard_at).await;
                let grant = self.grant(caller, &running.facts, Earned::NotRequired(None), now);
                Step {
                    grant,
                    ..Step::of(State::NotRequired)
                }
            }
        }
    }

    /// Records a decision that no answer could change.
    pub(super) fn note_unasked(&self, running: &Running, outcome: &str, why: &str, now: Now) {
        let mut record = running
            .facts
            .record(now.wall, Event::Authentication, outcome);
        record.rule.clone_from(&running.rule);
        record.detail = Some(why.to_owned());
        self.note(record);
    }

    /// All is proven. What is left to ask, if the rule allows it, is whether this device shall be remembered.
    pub(super) async fn granted(&self, caller: &Caller, running: &mut Running, now: Now) -> Step {
        let Stage::Code(dialogue) = &running.stage else {
            return Step::of(State::Denied);
        };
        let Some(proof) = running.proof(dialogue.allowed.evidence().to_vec(), now) else {
            return Step::of(State::Denied);
        };
        let person = Some(proof.login.person);
        self.note_password_change(&running.facts, person, &running.loaded, now)
            .await;
        if let Some(offer) = &running.offer {
            let question = remembering::question(offer);
            running.stage = Stage::Remember(Box::new(proof));
            return ask(question);
        }
        let Some(grant) = self.grant(caller, &running.facts, Earned::Proven(Box::new(proof)), now)
        else {
            return Step::of(State::Unavailable);
        };
        Step {
            messages: self.codes_left(running).await,
            grant: Some(grant),
            ..Step::of(State::Granted)
        }
    }

    /// After a backup code: how many are left.
    pub(super) async fn codes_left(&self, running: &Running) -> Vec<Message> {
        let used = match &running.stage {
            Stage::Code(dialogue) => dialogue.allowed.evidence(),
            Stage::Remember(proof) => &proof.evidence,
            Stage::Enroll(_) | Stage::Key(_) => &[],
        };
        if !used.contains(&Kind::BackupCodes.into()) {
            return Vec::new();
        }
        let Ok(Some(person)) = self.person(running).await else {
            return Vec::new();
        };
        let text = match person.codes_left().unwrap_or_default() {
            0 => "That was your last backup code. Make new ones: mfactl codes".to_owned(),
            1 => "1 backup code left. Make new ones: mfactl codes".to_owned(),
            left => format!("{left} backup codes left."),
        };
        vec![Message {
            style: Style::Info,
            text,
        }]
    }

    /// An answer that could not be judged.
    pub(super) async fn fail(
        &self,
        running: &Running,
        failure: Failure,
        now: Now,
        heard_at: Instant,
    ) -> Step {
        let mut record = running.facts.record(now.wall, Event::Alarm, "unavailable");
        record.detail = Some(failure.to_string());
        self.trail.send(&record);
        match failure.state() {
            State::Denied => Self::refuse(heard_at).await,
            state => Step::of(state),
        }
    }

    /// Refuses, no sooner than any other refusal.
    pub(super) async fn refuse(heard_at: Instant) -> Step {
        Self::pad(heard_at).await;
        Step::of(State::Denied)
    }

    pub(super) async fn pad(heard_at: Instant) {
        tokio::time::sleep_until((heard_at + REFUSAL).into()).await;
    }
}

pub(super) fn ask(prompt: String) -> Step {
    Step {
        messages: vec![visible(prompt)],
        ..Step::of(State::Continue)
    }
}
