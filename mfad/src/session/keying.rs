//! A key being asked in the middle of a dialogue: the step from Enter to an answer, which takes as long as a person takes
//! to touch something. Who is asked and what is signed is the business of those who do the asking.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use mfad_protocol::{AgentTrouble, State, Step};
use tokio::task::JoinHandle;

use super::{
    Caller, asking_agent,
    dialogue::Dialogue,
    running::{Running, Stage},
};
use crate::{
    engine::Engine,
    factor::{Evidence, ssh_key::SignatureGuess},
    throttle::Class,
};

/// How long the daemon holds back its answer to a module that waits.
const HELD: Duration = Duration::from_secs(5);
/// How long a key is waited for, so that time is left for another factor.
const PATIENCE: Duration = Duration::from_secs(25);
/// Most times that a dialogue asks keys.
pub(super) const MOST_ASKED: u8 = 8;

/// A dialogue whose key is being asked.
#[derive(Debug)]
pub(super) struct Keying {
    /// The prompt that it came from, and goes back to.
    dialogue: Dialogue,
    work: Work,
}

impl Keying {
    /// Whether a factor has been proven before this key was asked.
    pub(super) fn has_proofs(&self) -> bool {
        self.dialogue.allowed.used() > 0
    }
}

#[derive(Debug)]
enum Work {
    /// The module has yet to send a connection to the agent.
    Connection,
    /// Somebody is being asked.
    Asking(Asking),
}

/// A task that ends with whoever waits for it.
#[derive(Debug)]
pub(super) struct Asking(JoinHandle<Asked>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Asked {
    /// It signed; whether that is right, and worth what it must be, has been looked at.
    Signed {
        guess: SignatureGuess,
        evidence: Evidence,
        /// For the audit log, where it is not right.
        detail: Option<&'static str>,
    },
    /// It did not.
    Nothing {
        /// What the person is told: a whole sentence.
        told: String,
        /// What the audit log is told.
        why: String,
    },
}

impl Asked {
    /// Nothing came, and the person may know all that is known of it.
    pub(super) fn nothing(told: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Nothing {
            told: told.into(),
            why: why.into(),
        }
    }
}

impl Running {
    /// Whether what was typed asks for a key, where the dialogue has one: Enter alone, or anything where no code would do.
    pub(super) fn asks_for_key(&self, typed: &[u8]) -> bool {
        let Stage::Code(dialogue) = &self.stage else {
            return false;
        };
        self.asks_left > 0
            && !self.keys.for_agent(&dialogue.allowed).is_empty()
            && (typed.trim_ascii().is_empty() || !self.keys.codes(&dialogue.allowed))
    }

    /// Leaves the prompt for the key.
    pub(super) fn begin_keying(&mut self) -> Step {
        let Stage::Code(dialogue) = &self.stage else {
            return Step::of(State::Denied);
        };
        self.asks_left = self.asks_left.saturating_sub(1);
        self.stage = Stage::Key(Box::new(Keying {
            dialogue: dialogue.clone(),
            work: Work::Connection,
        }));
        Step {
            wants_fd: Some(true),
            ..wait()
        }
    }
}

impl Engine {
    /// A module's turn while its dialogue's key is asked.
    pub(super) async fn keep_keying(
        &self,
        caller: &Caller,
        running: &mut Running,
        answers: &[Vec<u8>],
        descriptor: Option<OwnedFd>,
        heard_at: Instant,
    ) -> Step {
        let Stage::Key(keying) = &mut running.stage else {
            return Step::of(State::Denied);
        };
        if matches!(keying.work, Work::Connection) {
            let Some(socket) = descriptor else {
                let word = answers.first().map(Vec::as_slice).unwrap_or_default();
                let trouble = AgentTrouble::from_word(word);
                let asked = asking_agent::no_connection(trouble);
                return self.keyed(caller, running, asked, heard_at).await;
            };
            let question = asking_agent::Question {
                keys: running.keys.for_agent(&keying.dialogue.allowed),
                user_verified: keying.dialogue.allowed.wants_user_verified(),
                user: running.person.as_ref().map(|(_, key)| key.clone()),
                service: running.facts.service.clone(),
                until: running.until.min(heard_at + PATIENCE),
            };
            let asking = tokio::spawn(asking_agent::ask(socket, question));
            keying.work = Work::Asking(Asking(asking));
        }
        let Work::Asking(asking) = &mut keying.work else {
            return Step::of(State::Denied);
        };
        let asked = match tokio::time::timeout(HELD, &mut asking.0).await {
            Err(_still_waiting) => return wait(),
            Ok(Ok(asked)) => asked,
            Ok(Err(error)) => Asked::nothing("The key could not be asked.", error.to_string()),
        };
        self.keyed(caller, running, asked, heard_at).await
    }

    /// Goes on from what came of asking.
    async fn keyed(
        &self,
        caller: &Caller,
        running: &mut Running,
        asked: Asked,
        heard_at: Instant,
    ) -> Step {
        let now = self.now();
        let Stage::Key(keying) = &running.stage else {
            return Step::of(State::Denied);
        };
        let dialogue = keying.dialogue.clone();
        let step = match asked {
            Asked::Signed {
                guess,
                evidence,
                detail,
            } => {
                let mut attempt = running.attempt(&dialogue, Class::Key, now);
                attempt.record.detail = detail.map(str::to_owned);
                let judged = self.submit(attempt, Box::new(guess), Some(evidence)).await;
                running.stage = Stage::Code(dialogue);
                return self.proceed(caller, running, judged, now, heard_at).await;
            }
            Asked::Nothing { told, why } => {
                self.note_unasked(running, "no-signature", &why, now);
                let prompt = running.prompt(&dialogue);
                super::answering::ask(format!("{told} {prompt}"))
            }
        };
        running.stage = Stage::Code(dialogue);
        step
    }
}

fn wait() -> Step {
    Step {
        retry_after_ms: Some(0),
        ..Step::of(State::Wait)
    }
}
