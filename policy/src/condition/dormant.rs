//! `dormant`: the account has not logged in for so long.
//!
//! An account that never did is new, not dormant.

use std::fmt;

use super::{
    Condition, Kind, Meaning, Reader,
    last_mfa::{LONGEST, age, ago},
};
use crate::{
    Known, Request,
    document::Value,
    duration::Seconds,
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "dormant",
    read,
    found: |request| ago(request.last_login, request.now),
    offer: None,
};

#[derive(Debug)]
struct Dormant(Seconds);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let seconds = Seconds::read(value, 1..=LONGEST, reader.findings)?;
    Some(Box::new(Dormant(seconds)))
}

impl Condition for Dormant {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        match age(request.last_login, request.now) {
            Known::Unknown => Truth::Unknown,
            Known::Is(None) => Truth::No,
            Known::Is(Some(age)) => (age >= i64::from(self.0.0)).into(),
        }
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::Spans(vec![(0, self.0.0.into(), u128::MAX)])
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::LastLogin)
    }
}

impl fmt::Display for Dormant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}
