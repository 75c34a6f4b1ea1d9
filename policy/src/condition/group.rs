//! `group`: a group, primary or supplementary, that the account is in.

use std::{borrow::Cow, fmt};

use super::{Condition, Handle, Kind, Meaning, Offer, Reader};
use crate::{
    Known, Request,
    document::Value,
    fact::{Fact, FactSet},
    name::{Case, Names},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "group",
    read,
    found: |request| {
        let groups = request.groups.known();
        match groups {
            None => "not known".to_owned(),
            Some([]) => "none".to_owned(),
            Some(groups) => groups.join(", "),
        }
    },
    offer: Some(|request, index| {
        index(match request.groups {
            Known::Unknown => Offer::Unknown,
            Known::Is(groups) => Offer::Names(groups.iter().map(Cow::from).collect()),
        });
    }),
};

#[derive(Debug)]
struct Group(Names);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let names = Names::read(value, Case::Matters, reader.findings)?;
    Some(Box::new(Group(names)))
}

impl Condition for Group {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        match request.groups {
            Known::Unknown => Truth::Unknown,
            Known::Is(groups) => groups.iter().any(|group| self.0.matches(group)).into(),
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Groups)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::of(self.handle(), false)
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Names(Cow::Borrowed(self.0.patterns()))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
