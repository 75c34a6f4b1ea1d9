//! `target`: the account that is switched to, where the policy's subject is the one who switches.

use std::{borrow::Cow, fmt};

use super::{Condition, Handle, Kind, Meaning, Offer, Reader};
use crate::{
    Request,
    document::Value,
    fact::{Fact, FactSet},
    name::{Case, Names},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "target",
    read,
    found: |request| request.target.unwrap_or("none named").to_owned(),
    offer: Some(|request, index| {
        index(Offer::Names(
            request.target.into_iter().map(Cow::from).collect(),
        ));
    }),
};

#[derive(Debug)]
struct Target(Names);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let names = Names::read(value, Case::Matters, reader.findings)?;
    Some(Box::new(Target(names)))
}

impl Condition for Target {
    fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth {
        match request.target {
            // sudo, for one, does not tell.
            None => Truth::unnamed(sense),
            Some(target) => self.0.matches(target).into(),
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Target)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::of(self.handle(), true)
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Names(Cow::Borrowed(self.0.patterns()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
