//! `any`: one of several tables of conditions holds.

use std::fmt;

use super::{Condition, Kind, Reader, When, branches};
use crate::{
    Request,
    document::Value,
    explain::ConditionReport,
    fact::FactSet,
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "any",
    read,
    found: |_| String::new(),
    offer: None,
};

#[derive(Debug)]
struct AnyOf(Vec<When>);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    Some(Box::new(AnyOf(branches::list(value, reader)?)))
}

impl Condition for AnyOf {
    fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth {
        let answers = self.0.iter().map(|when| when.truth(request, sense));
        answers.fold(Truth::No, Truth::or)
    }

    fn facts(&self) -> FactSet {
        self.0.iter().map(When::facts).collect()
    }

    fn unknown(&self, request: &Request<'_>, sense: Sense) -> FactSet {
        match self.truth(request, sense) {
            Truth::Unknown => {
                let unknown = self.0.iter().map(|when| when.unknown(request, sense));
                unknown.collect()
            }
            Truth::No | Truth::Yes => FactSet::NONE,
        }
    }

    fn parts(&self, request: &Request<'_>, sense: Sense) -> Vec<ConditionReport> {
        branches::reports(&self.0, request, sense)
    }
}

impl fmt::Display for AnyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        branches::fmt(&self.0, f)
    }
}
