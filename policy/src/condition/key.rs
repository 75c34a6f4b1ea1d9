//! `key`: the fingerprint of a public key that sshd verified.

use std::{borrow::Cow, fmt};

use super::{Condition, Handle, Kind, Offer, Reader, fingerprint};
use crate::{
    FirstFactor, Known, Request,
    document::{QuotedList, Value},
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "key",
    read,
    found: |request| match request.first {
        Known::Unknown => "not known".to_owned(),
        Known::Is(first) => {
            let prints: Vec<&str> = prints(first).collect();
            if prints.is_empty() {
                "none".to_owned()
            } else {
                prints.join(", ")
            }
        }
    },
    offer: Some(|request, index| {
        index(match request.first {
            Known::Unknown => Offer::Unknown,
            Known::Is(first) => Offer::Names(prints(first).map(Cow::from).collect()),
        });
    }),
};

fn prints(first: FirstFactor<'_>) -> impl Iterator<Item = &str> {
    first.keys.iter().map(|key| key.fingerprint)
}

#[derive(Debug)]
struct Keys(Vec<String>);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    Some(Box::new(Keys(fingerprint::read(value, reader)?)))
}

impl Condition for Keys {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        let listed = |print: &str| self.0.iter().any(|listed| listed == print);
        match request.first {
            Known::Unknown => Truth::Unknown,
            Known::Is(first) => prints(first).any(listed).into(),
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::First)
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Names(Cow::Borrowed(&self.0))
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        QuotedList(&self.0).fmt(f)
    }
}
