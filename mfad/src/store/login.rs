//! What a completed login leaves behind, and what is remembered of earlier ones.

use super::{DeviceId, PersonId};
use crate::{
    clock::Now,
    risk::{Circumstances, Failures, History},
    throttle::Place,
};

/// What an account phase leaves behind once a whole login has succeeded.
#[derive(Debug, Clone)]
pub struct Login {
    /// Whose.
    pub person: PersonId,
    /// From where: with a proof, a remote place becomes a trusted source for 30 days.
    pub place: Place,
    /// When.
    pub now: Now,
    /// What may be learned from it.
    pub lesson: Lesson,
    /// What is known of it.
    pub circumstances: Circumstances,
    /// The remembered device that stood for a proof.
    pub remembered: Option<DeviceId>,
}

impl Login {
    /// A login in which a second factor was proven, of which nothing else is known.
    pub fn proven(person: PersonId, place: Place, now: Now) -> Self {
        Self {
            person,
            place,
            now,
            lesson: Lesson::Proven,
            circumstances: Circumstances::default(),
            remembered: None,
        }
    }

    /// Whether it leaves behind what `other` does, but for its time.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.person == other.person
            && self.place == other.place
            && self.lesson == other.lesson
            && self.circumstances == other.circumstances
            && self.remembered == other.remembered
    }
}

/// What a login teaches about its person. Who has only a password must not make their own place a usual one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// A second factor was proven: everything, and its device is known from now on.
    Proven,
    /// Nothing was asked for, and nothing was unusual: networks, countries and hours. So people whom a policy asks only
    /// when something is unusual have a history to compare with.
    Usual,
    /// A remembered device or an earlier proof sufficed, or something was unusual: that there was a login.
    Nothing,
}

/// What is remembered for a decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recollection {
    /// The person's earlier logins.
    pub history: History,
    /// Failed answers of late.
    pub failures: Failures,
}
