//! How an answer is judged: a guess is made of it, the store judges that in one durable transaction, and the trail is told. It
//! must not decide what comes next.

use std::{fmt, sync::Arc};

use mfad_protocol::State;
use zeroize::Zeroizing;

use super::{
    dialogue::{Dialogue, Heard},
    running::Running,
};
use crate::{
    audit::{Event, Record},
    clock::Now,
    engine::{Engine, HASHING_PATIENCE, REALM},
    factor::{
        Evidence,
        answer::Answer,
        backup::{BackupGuess, open_set},
        otp::{OtpGuess, identity},
    },
    store::{Attempt, Guess, Judgement, Kind, Person, StoreError},
    throttle::Class,
};

/// The daemon could not judge.
#[derive(Debug)]
pub(super) enum Failure {
    Store(StoreError),
    Busy,
}

impl Failure {
    /// Being busy is no excuse: whoever can keep the daemon busy must not reach what `unreachable=ignore` lets through.
    pub(super) const fn state(&self) -> State {
        match self {
            Self::Busy | Self::Store(StoreError::Busy) => State::Denied,
            Self::Store(_) => State::Unavailable,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Busy => f.write_str("too many backup codes are being checked at once"),
        }
    }
}

impl Engine {
    /// Has the store judge an answer. The answer for nobody makes the same way as any other.
    pub(super) async fn judge(
        &self,
        running: &Running,
        dialogue: &Dialogue,
        answer: Answer,
        now: Now,
    ) -> Result<Heard, Failure> {
        let class = match &answer {
            Answer::NoGuess => return Ok(self.shrug(running, now)),
            Answer::Code(_) | Answer::TwoCodes(..) => Class::Otp,
            Answer::Backup(_) => Class::BackupCodes,
        };
        let guess: Box<dyn Guess> = if let Answer::Backup(code) = &answer {
            self.hash(running, dialogue, code.clone()).await?
        } else {
            Box::new(OtpGuess {
                answer,
                person: running.person.as_ref().map(|(_, key)| key.clone()),
                allowed: dialogue.allowed.clone(),
                windows: Self::windows(&running.loaded),
                now,
                keyring: Arc::clone(&self.keyring),
                decoy: Arc::clone(&self.decoy.otp),
            })
        };
        self.submit(running.attempt(dialogue, class, now), guess, None)
            .await
    }

    /// Has the store judge a guess. `evidence` is what a right one is worth, if that is more than its kind.
    pub(super) async fn submit(
        &self,
        attempt: Attempt,
        guess: Box<dyn Guess>,
        evidence: Option<Evidence>,
    ) -> Result<Heard, Failure> {
        let (record, class) = (attempt.record.clone(), attempt.class);
        let right = if attempt.completes {
            "granted"
        } else {
            "accepted"
        };
        let judgement = self
            .store
            .judge(attempt, guess)
            .await
            .map_err(Failure::Store)?;
        Ok(self.tell(record, judgement, class, right, evidence))
    }

    /// Sends what came of an answer to syslog (the store has its own record by now).
    fn tell(
        &self,
        mut record: Record,
        judgement: Judgement,
        class: Class,
        right: &'static str,
        evidence: Option<Evidence>,
    ) -> Heard {
        let (outcome, factor, heard) = match judgement {
            Judgement::Accepted { kind, name } => {
                let heard = Heard::Right(evidence.unwrap_or_else(|| kind.into()));
                (right, format!("{} {name}", kind.word()), heard)
            }
            Judgement::Cloned { kind, name } => {
                record.event = Event::Alarm;
                let factor = format!("{} {name}", kind.word());
                ("cloned", factor, Heard::NotRight)
            }
            Judgement::Wrong => ("wrong", class.word().to_owned(), Heard::NotRight),
            Judgement::NotEvaluated(_) => {
                ("not-evaluated", class.word().to_owned(), Heard::NotRight)
            }
        };
        outcome.clone_into(&mut record.outcome);
        record.factor = Some(factor);
        self.trail.send(&record);
        // Keys are never refused, and who answers for one can be wrong as often as they like.
        if outcome == "wrong" && class != Class::Key {
            self.count_failure(record.user.as_deref().unwrap_or_default(), self.now());
        }
        heard
    }

    /// An answer that can be no code (sshd's junk, a password, nothing): it costs nothing.
    fn shrug(&self, running: &Running, now: Now) -> Heard {
        let mut record = running
            .facts
            .record(now.wall, Event::Authentication, "no-guess");
        record.rule.clone_from(&running.rule);
        self.note(record);
        Heard::NotRight
    }

    /// Hashes a backup code beside the event loop, at most two at once.
    async fn hash(
        &self,
        running: &Running,
        dialogue: &Dialogue,
        code: String,
    ) -> Result<Box<dyn Guess>, Failure> {
        let code = Zeroizing::new(code);
        let allowed = dialogue.allowed.contains(Kind::BackupCodes);
        let person = self.person(running).await?;
        let set = person
            .and_then(|person| {
                open_set(&person.credentials, &self.keyring, |set| {
                    identity(&person.key, set.kind, set.id)
                })
            })
            .unwrap_or_else(|| self.decoy.set.clone());
        let turn = tokio::time::timeout(HASHING_PATIENCE, self.hashing.acquire()).await;
        let _turn = turn
            .map_err(|_| Failure::Busy)?
            .map_err(|_| Failure::Busy)?;
        let keyring = Arc::clone(&self.keyring);
        let digest = tokio::task::spawn_blocking(move || set.digest(&keyring, &code)).await;
        let digest = digest
            .map_err(|_| Failure::Busy)?
            .map_err(|_| Failure::Busy)?;
        Ok(Box::new(BackupGuess::new(digest, allowed)))
    }

    pub(super) async fn person(&self, running: &Running) -> Result<Option<Person>, Failure> {
        let Some((_, key)) = &running.person else {
            return Ok(None);
        };
        self.store
            .find_person(REALM, &key.name)
            .await
            .map_err(Failure::Store)
    }
}
