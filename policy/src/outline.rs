//! What a policy's rules say, for those who judge the policy itself and not a login.

use std::fmt;

use crate::{FactSet, Place, Policy, Remember, Verdict, rule::Rule};

/// One rule, without a login.
#[derive(Clone, Copy)]
pub struct Outline<'p>(&'p Rule);

impl Policy {
    /// The rules, floors included, in the order of the sources.
    pub fn outline(&self) -> impl ExactSizeIterator<Item = Outline<'_>> {
        self.rules.iter().map(Outline)
    }
}

impl<'p> Outline<'p> {
    /// Its name.
    pub fn name(&self) -> &'p str {
        &self.0.name
    }

    /// Where it stands.
    pub fn place(&self) -> &'p Place {
        &self.0.place
    }

    /// Whether it is a floor.
    pub fn is_floor(&self) -> bool {
        self.0.floor
    }

    /// What it demands, as it is written.
    pub fn verdict(&self) -> &'p Verdict {
        &self.0.verdict
    }

    /// Its `remember`.
    pub fn remember(&self) -> Option<&'p Remember> {
        self.0.remember.as_ref()
    }

    /// The facts that its conditions ask for.
    pub fn facts(&self) -> FactSet {
        self.0.when.facts()
    }

    /// Its conditions: each one's key, and its value in one spelling. All of them must hold; none hold always.
    pub fn conditions(
        &self,
    ) -> impl Iterator<Item = (&'static str, &'p dyn fmt::Display)> + use<'p> {
        let parts = self.0.when.0.iter();
        parts.map(|part| (part.kind.key, &part.condition as &dyn fmt::Display))
    }
}

impl fmt::Debug for Outline<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
