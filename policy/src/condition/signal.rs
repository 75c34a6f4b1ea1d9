//! `signal`: a single sign of risk.

use std::{borrow::Cow, fmt};

use super::{Condition, Handle, Kind, Meaning, Offer, Reader, words};
use crate::{
    Known, Request, Signal,
    document::Value,
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "signal",
    read,
    found: |request| match request.risk {
        Known::Unknown => "not known".to_owned(),
        Known::Is(risk) => {
            let words: Vec<&str> = risk.signals.iter().map(Signal::word).collect();
            if words.is_empty() {
                "none".to_owned()
            } else {
                words.join(", ")
            }
        }
    },
    offer: Some(|request, index| {
        index(match request.risk {
            Known::Unknown => Offer::Unknown,
            Known::Is(risk) => Offer::Names(risk.signals.iter().map(|s| s.word().into()).collect()),
        });
    }),
};

#[derive(Debug)]
struct AnyOf(Vec<Signal>);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let all = Signal::ALL.map(|signal| (signal.word(), signal));
    let signals = words::read(value, &all, reader.findings)?;
    Some(Box::new(AnyOf(signals)))
}

impl Condition for AnyOf {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        match request.risk {
            Known::Unknown => Truth::Unknown,
            Known::Is(risk) => self.0.iter().any(|one| risk.signals.contains(*one)).into(),
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Risk)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::of(self.handle(), false)
    }

    fn handle(&self) -> Handle<'_> {
        let words = self.0.iter().map(|signal| signal.word().to_owned());
        Handle::Names(Cow::Owned(words.collect()))
    }
}

impl fmt::Display for AnyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        words::list(f, self.0.iter().map(|signal| signal.word()))
    }
}
