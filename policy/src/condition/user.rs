//! `user`: the name of the account that is logged in to.

use std::fmt;

use super::{Condition, Kind};
use crate::{
    Request,
    document::{Findings, Value},
    fact::Fact,
    name::{Case, Names},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "user",
    fact: Fact::User,
    read,
};

#[derive(Debug)]
struct User(Names);

fn read(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Box<dyn Condition>> {
    let names = Names::read(value, Case::Matters, findings)?;
    Some(Box::new(User(names)))
}

impl Condition for User {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        self.0.matches(request.user).into()
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
