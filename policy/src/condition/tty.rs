//! `tty`: the terminal, as the application names it.

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
    key: "tty",
    read,
    found: |request| request.tty.map_or("none named", short).to_owned(),
    offer: Some(|request, index| {
        let tty = request.tty.map(short);
        index(Offer::Names(tty.into_iter().map(Cow::from).collect()));
    }),
};

/// Applications disagree on whether the directory belongs to the name.
fn short(tty: &str) -> &str {
    tty.strip_prefix("/dev/").unwrap_or(tty)
}

#[derive(Debug)]
struct Tty(Names);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let strings = value.strings(reader.findings)?;
    for (text, span) in strings {
        if let Some(short) = text.strip_prefix("/dev/") {
            let message = format!("terminals are named without /dev/: {short:?}");
            reader.findings.error(span, message);
            return None;
        }
    }
    let names = Names::read(value, Case::Matters, reader.findings)?;
    Some(Box::new(Tty(names)))
}

impl Condition for Tty {
    fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth {
        match request.tty {
            None => Truth::unnamed(sense),
            Some(tty) => self.0.matches(short(tty)).into(),
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Tty)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::of(self.handle(), true)
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Names(Cow::Borrowed(self.0.patterns()))
    }
}

impl fmt::Display for Tty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
