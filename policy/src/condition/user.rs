//! `user`: the name of the account that is logged in to.

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
    key: "user",
    read,
    found: |request| request.user.to_owned(),
    offer: Some(|request, index| index(Offer::Names(vec![request.user.into()]))),
};

#[derive(Debug)]
struct User(Names);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let names = Names::read(value, Case::Matters, reader.findings)?;
    Some(Box::new(User(names)))
}

impl Condition for User {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        self.0.matches(request.user).into()
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::User)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::of(self.handle(), true)
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Names(Cow::Borrowed(self.0.patterns()))
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
