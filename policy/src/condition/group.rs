//! `group`: a group, primary or supplementary, that the account is in.

use std::fmt;

use super::{Condition, Kind};
use crate::{
    Known, Request,
    document::{Findings, Value},
    fact::Fact,
    name::{Case, Names},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "group",
    fact: Fact::Groups,
    read,
};

#[derive(Debug)]
struct Group(Names);

fn read(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Box<dyn Condition>> {
    let names = Names::read(value, Case::Matters, findings)?;
    Some(Box::new(Group(names)))
}

impl Condition for Group {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        match request.groups {
            Known::Unknown => Truth::Unknown,
            Known::Is(groups) => groups.iter().any(|group| self.0.matches(group)).into(),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
