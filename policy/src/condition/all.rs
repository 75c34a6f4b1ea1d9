//! `all`: several tables of conditions all hold.

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
    key: "all",
    read,
    found: |_| String::new(),
    offer: None,
};

#[derive(Debug)]
struct AllOf(Vec<When>);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    Some(Box::new(AllOf(branches::list(value, reader)?)))
}

impl Condition for AllOf {
    fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth {
        let answers = self.0.iter().map(|when| when.truth(request, sense));
        answers.fold(Truth::Yes, Truth::and)
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

impl fmt::Display for AllOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        branches::fmt(&self.0, f)
    }
}
