//! A key being asked in the middle of a dialogue: the step from Enter to an answer, which takes as long as a person takes
//! to touch something. Who is asked and what is signed is the business of those who do the asking.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use mfad_protocol::{
    AgentTrouble, State, Step,
    fido::{Pin, Progress},
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Caller, asking_agent, asking_fido2,
    dialogue::Dialogue,
    keys::Turn,
    running::{Running, Stage},
    waiting::{HELD, MOST_NEWS, ask_for_pin, typed_pin, wait},
};
use crate::{
    audit::Admitted,
    engine::Engine,
    factor::{Evidence, ssh_key::SignatureGuess},
    store::CredentialId,
    throttle::Class,
};

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
    /// The person has yet to type the PIN of this key.
    Pin(CredentialId),
}

/// A task that ends with whoever waits for it.
#[derive(Debug)]
pub(super) struct Asking {
    task: JoinHandle<Asked>,
    /// What is told of a key of this machine meanwhile.
    news: mpsc::Receiver<Progress>,
    /// Whether the person has been told any of it.
    told: bool,
    /// Whose turn it is.
    turn: Turn,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a module that waits hears next.
enum Heard {
    Asked(Asked),
    Told(&'static str),
    Nothing,
}

impl Asking {
    fn new(turn: Turn, task: JoinHandle<Asked>, news: mpsc::Receiver<Progress>) -> Self {
        Self {
            task,
            news,
            told: false,
            turn,
        }
    }

    /// Waits for it, as long as a module may be kept waiting.
    async fn hear(&mut self, ended: impl Future<Output = ()>) -> Heard {
        let mut ended = std::pin::pin!(ended);
        let until = tokio::time::Instant::now() + HELD;
        loop {
            let progress = tokio::select! {
                // What came last is not told once it is over.
                biased;
                asked = &mut self.task => {
                    return Heard::Asked(asked.unwrap_or_else(|error| {
                        Asked::nothing("The key could not be asked.", error.to_string())
                    }));
                }
                Some(progress) = self.news.recv() => progress,
                () = tokio::time::sleep_until(until) => return Heard::Nothing,
                () = &mut ended => return Heard::Nothing,
            };
            if let Some(sentence) = asking_fido2::sentence(progress, self.told) {
                self.told = true;
                return Heard::Told(sentence);
            }
        }
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
    /// It wants its PIN first.
    Pin {
        /// What the person is asked.
        prompt: String,
        /// Whose PIN it is: no other key may be given it.
        key: CredentialId,
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
            && self.keys.turn(&dialogue.allowed).is_some()
            && (typed.trim_ascii().is_empty() || !self.keys.codes(&dialogue.allowed))
    }
}

impl Engine {
    /// Leaves the prompt for the key, unless this person's have been asked too often in this minute.
    pub(super) fn begin_keying(&self, running: &mut Running, heard_at: Instant) -> Step {
        let Stage::Code(dialogue) = &running.stage else {
            return Step::of(State::Denied);
        };
        let dialogue = dialogue.clone();
        let turn = running.keys.turn(&dialogue.allowed);
        running.asks_left = running.asks_left.saturating_sub(1);
        let steady = self.now().steady;
        if self.askings.admit(running.facts.real_uid, steady) == Admitted::Left {
            let prompt = running.prompt(&dialogue);
            let told = "Your keys have been asked too often in this minute.";
            return super::answering::ask(format!("{told} {prompt}"));
        }
        let (work, wants_fd) = match turn {
            Some(Turn::Plugged) => {
                let asking = self.ask_plugged(running, &dialogue, None, heard_at);
                (Work::Asking(asking), None)
            }
            Some(Turn::Agent) | None => (Work::Connection, Some(true)),
        };
        running.stage = Stage::Key(Box::new(Keying { dialogue, work }));
        Step {
            wants_fd,
            ..wait(None)
        }
    }

    /// Has the keys of this machine asked; with a PIN, the one whose it is.
    fn ask_plugged(
        &self,
        running: &Running,
        dialogue: &Dialogue,
        pin: Option<(CredentialId, Pin)>,
        heard_at: Instant,
    ) -> Asking {
        let mut keys = running.keys.for_helper(&dialogue.allowed);
        let pin = pin.map(|(of, pin)| {
            keys.retain(|key| key.credential == of);
            pin
        });
        let question = asking_fido2::Question {
            keys,
            user_verified: dialogue.allowed.wants_user_verified(),
            warm: running.keys.warm.clone(),
            pin,
            until: running.until.min(heard_at + PATIENCE),
        };
        let (sender, news) = mpsc::channel(MOST_NEWS);
        let asked = asking_fido2::ask(self.helper.clone(), question, sender);
        Asking::new(Turn::Plugged, tokio::spawn(asked), news)
    }

    /// A module's turn while its dialogue's key is asked.
    pub(super) async fn keep_keying(
        &self,
        caller: &Caller,
        session: &str,
        running: &mut Running,
        answers: &[Vec<u8>],
        descriptor: Option<OwnedFd>,
        heard_at: Instant,
    ) -> Step {
        let Stage::Key(keying) = &mut running.stage else {
            return Step::of(State::Denied);
        };
        if let Work::Pin(key) = keying.work {
            let dialogue = keying.dialogue.clone();
            let Some(pin) = typed_pin(answers) else {
                running.stage = Stage::Code(dialogue.clone());
                return super::answering::ask(running.prompt(&dialogue));
            };
            let asking = self.ask_plugged(running, &dialogue, Some((key, pin)), heard_at);
            let work = Work::Asking(asking);
            running.stage = Stage::Key(Box::new(Keying { dialogue, work }));
            return wait(None);
        }
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
            // An agent tells nothing before it answers.
            let (_, silence) = mpsc::channel(1);
            keying.work = Work::Asking(Asking::new(Turn::Agent, asking, silence));
        }
        let Work::Asking(asking) = &mut keying.work else {
            return Step::of(State::Denied);
        };
        let turn = asking.turn;
        let asked = match asking.hear(self.registry.ended(session)).await {
            Heard::Nothing => return wait(None),
            // A host that shows prompts alone would leave the person waiting for what they were not told.
            Heard::Told(sentence) if running.facts.silent => {
                Asked::nothing(sentence, "something stood in the way")
            }
            Heard::Told(sentence) => return wait(Some(sentence)),
            Heard::Asked(asked) => asked,
        };
        if matches!(asked, Asked::Nothing { .. }) {
            running.keys.in_vain(turn);
        }
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
            Asked::Pin { prompt, key } if running.asks_left > 0 => {
                running.asks_left -= 1;
                let work = Work::Pin(key);
                running.stage = Stage::Key(Box::new(Keying { dialogue, work }));
                return ask_for_pin(prompt);
            }
            Asked::Pin { .. } => super::answering::ask(running.prompt(&dialogue)),
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
