//! `group`: a group, primary or supplementary, that the account is in.

use std::fmt;

use super::{Condition, Kind};
use crate::{
    decide::Request,
    document::{Findings, Value},
    name::{Case, Names},
};

pub(super) const KIND: Kind = Kind { key: "group", read };

#[derive(Debug)]
struct Group(Names);

fn read(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Box<dyn Condition>> {
    let names = Names::read(value, Case::Matters, findings)?;
    Some(Box::new(Group(names)))
}

impl Condition for Group {
    fn holds(&self, request: &Request<'_>) -> bool {
        request.groups.iter().any(|group| self.0.matches(group))
    }

    fn needs_groups(&self) -> bool {
        true
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
