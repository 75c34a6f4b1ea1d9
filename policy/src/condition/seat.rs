//! `seat`: the seat of this machine that the session is on, in logind's word.

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
    key: "seat",
    read,
    found: |request| match request.seat {
        Known::Unknown => "not known".to_owned(),
        Known::Is(seat) => seat.unwrap_or("none").to_owned(),
    },
    offer: Some(|request, index| {
        index(match request.seat {
            Known::Unknown => Offer::Unknown,
            Known::Is(seat) => Offer::Names(seat.into_iter().map(Cow::from).collect()),
        });
    }),
};

#[derive(Debug)]
struct Seat(Names);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let names = Names::read(value, Case::Matters, reader.findings)?;
    Some(Box::new(Seat(names)))
}

impl Condition for Seat {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        match request.seat {
            Known::Unknown => Truth::Unknown,
            Known::Is(seat) => seat.is_some_and(|seat| self.0.matches(seat)).into(),
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Seat)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::of(self.handle(), true)
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Names(Cow::Borrowed(self.0.patterns()))
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
