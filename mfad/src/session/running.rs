//! A dialogue while it waits for an answer: what is known of its login, and what the answer is for. It asks nothing.

use std::{sync::Arc, time::Instant};

use super::{
    dialogue::Dialogue, enrolling::Enrolling, facts::Facts, grant::Proof, keying::Keying,
    keys::Keys, registry::HasPerson, scene::Scene, verdict::Play,
};
use crate::{
    audit::Event,
    clock::Now,
    config::Loaded,
    factor::Evidence,
    store::{Attempt, Login, NewDevice, PersonId, PersonKey},
    throttle::Class,
};

/// A login waiting for an answer.
#[derive(Debug)]
pub struct Running {
    pub(super) facts: Facts,
    /// Whose credentials may answer; `None` for a decoy or a formality.
    pub(super) person: Option<(PersonId, PersonKey)>,
    /// Failed attempts since that person's last completed login.
    pub(super) failures_before: u32,
    /// What is known of it besides its facts.
    pub(super) scene: Scene,
    /// A device that may be remembered once all is proven.
    pub(super) offer: Option<NewDevice>,
    pub(super) stage: Stage,
    /// What may answer besides a code.
    pub(super) keys: Keys,
    /// How often keys may still be asked.
    pub(super) asks_left: u8,
    /// When the dialogue is over.
    pub(super) until: Instant,
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
    /// A key's signature, while it is waited for.
    Key(Box<Keying>),
    /// The first code of a factor being enrolled.
    Enroll(Enrolling),
    /// Whether the device shall be remembered. All is proven.
    Remember(Box<Proof>),
}

impl HasPerson for Running {
    fn person(&self) -> Option<&str> {
        self.person.as_ref().map(|(_, key)| key.name.as_str())
    }
}

impl Running {
    /// Whether something has been proven in it already.
    pub(crate) fn rests_on_a_proof(&self) -> bool {
        match &self.stage {
            Stage::Code(dialogue) => dialogue.allowed.used() > 0,
            Stage::Key(keying) => keying.has_proofs(),
            Stage::Remember(_) => true,
            // Nothing comes of it once its person is gone.
            Stage::Enroll(_) => false,
        }
    }

    /// The prompt of this dialogue.
    pub(super) fn prompt(&self, dialogue: &Dialogue) -> String {
        let text = &self.loaded.settings.prompt.text;
        self.keys.prompt(&dialogue.allowed, text)
    }

    /// One attempt of this login's, for the store to judge.
    pub(super) fn attempt(&self, dialogue: &Dialogue, class: Class, now: Now) -> Attempt {
        let mut record = self.facts.record(now.wall, Event::Authentication, "");
        record.rule.clone_from(&self.rule);
        if let Play::Decoy(why) = dialogue.play {
            record.detail = Some(why.to_owned());
        }
        Attempt {
            person: self.person.as_ref().map(|(id, _)| *id),
            class,
            place: self.facts.place,
            now,
            completes: dialogue.is_last(),
            record,
        }
    }

    /// What has been proven with this.
    pub(super) fn proof(&self, evidence: Vec<Evidence>, now: Now) -> Option<Proof> {
        let (person, key) = self.person.as_ref()?;
        Some(Proof {
            login: Login {
                circumstances: self.scene.circumstances,
                ..Login::proven(*person, self.facts.place, now)
            },
            uid: Some(key.uid),
            failures: self.failures_before,
            enrollment: None,
            evidence,
            remember: None,
            new_device: self.scene.is_first_of_its_device(),
        })
    }
}
