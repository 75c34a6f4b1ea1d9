//! The conditions that list names, or globs of them, one of which a login must have: what they have in common.

use std::{borrow::Cow, fmt};

use super::{Condition, Handle, Meaning, Reader};
use crate::{
    Request,
    document::Value,
    fact::{Fact, FactSet},
    name::{Case, Names},
    truth::{Sense, Truth},
};

/// What one kind of them is about.
#[derive(Debug)]
pub(super) struct Naming {
    /// What it asks for.
    pub(super) fact: Fact,
    /// Whether a login has one such name at most.
    pub(super) sole: bool,
    /// Whether a name that the login has fits.
    pub(super) truth: fn(&Names, &Request<'_>, Sense) -> Truth,
}

/// A list of names of one kind.
#[derive(Debug)]
struct Named {
    names: Names,
    naming: &'static Naming,
}

impl Naming {
    /// Reads one name, or a list of them.
    pub(super) fn read(
        &'static self,
        value: Value<'_>,
        reader: &mut Reader<'_, '_>,
    ) -> Option<Box<dyn Condition>> {
        let names = Names::read(value, Case::Matters, reader.findings)?;
        Some(Box::new(Named {
            names,
            naming: self,
        }))
    }
}

impl Condition for Named {
    fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth {
        (self.naming.truth)(&self.names, request, sense)
    }

    fn facts(&self) -> FactSet {
        FactSet::of(self.naming.fact)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::of(self.handle(), self.naming.sole)
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Names(Cow::Borrowed(self.names.patterns()))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.names.fmt(f)
    }
}
