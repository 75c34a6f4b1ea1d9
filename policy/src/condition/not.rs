//! `not`: a table of conditions does not hold.

use std::fmt;

use super::{Condition, Kind, Meaning, Reader, When, branches};
use crate::{
    Request,
    document::Value,
    explain::ConditionReport,
    fact::FactSet,
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "not",
    read,
    found: |_| String::new(),
    offer: None,
};

#[derive(Debug)]
struct Not(When);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    Some(Box::new(Not(branches::one(value, reader)?)))
}

impl Condition for Not {
    fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth {
        !self.0.truth(request, !sense)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::Not(&self.0)
    }

    fn facts(&self) -> FactSet {
        self.0.facts()
    }

    fn unknown(&self, request: &Request<'_>, sense: Sense) -> FactSet {
        self.0.unknown(request, !sense)
    }

    fn parts(&self, request: &Request<'_>, sense: Sense) -> Vec<ConditionReport> {
        self.0.report(request, !sense)
    }
}

impl fmt::Display for Not {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
