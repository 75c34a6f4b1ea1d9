//! `first-factor`: what was proven before the second factor is asked for.

use std::{borrow::Cow, fmt};

use super::{Condition, Handle, Kind, Meaning, Offer, Reader, words};
use crate::{
    FirstFactor, Known, Request,
    document::Value,
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "first-factor",
    read,
    found: |request| match request.first {
        Known::Unknown => "not known".to_owned(),
        Known::Is(first) => {
            let words: Vec<&str> = proven(first).map(Sort::word).collect();
            if words.is_empty() {
                "none".to_owned()
            } else {
                words.join(", ")
            }
        }
    },
    offer: Some(|request, index| {
        index(match request.first {
            Known::Unknown => Offer::Unknown,
            Known::Is(first) => {
                Offer::Names(proven(first).map(|sort| sort.word().into()).collect())
            }
        });
    }),
};

/// What a first factor may be. A key may be of several sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Password,
    PublicKey,
    Certificate,
    SkKey,
}

impl Sort {
    const ALL: [(&'static str, Self); 4] = [
        ("password", Self::Password),
        ("publickey", Self::PublicKey),
        ("certificate", Self::Certificate),
        ("sk-key", Self::SkKey),
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PublicKey => "publickey",
            Self::Certificate => "certificate",
            Self::SkKey => "sk-key",
        }
    }

    fn is_in(self, first: FirstFactor<'_>) -> bool {
        match self {
            Self::Password => first.password,
            Self::PublicKey => !first.keys.is_empty(),
            Self::Certificate => first.keys.iter().any(|key| key.certificate),
            Self::SkKey => first.keys.iter().any(|key| key.sk),
        }
    }
}

fn proven(first: FirstFactor<'_>) -> impl Iterator<Item = Sort> {
    Sort::ALL
        .into_iter()
        .map(|(_, sort)| sort)
        .filter(move |sort| sort.is_in(first))
}

#[derive(Debug)]
struct Sorts(Vec<Sort>);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let sorts = words::read(value, &Sort::ALL, reader.findings)?;
    Some(Box::new(Sorts(sorts)))
}

impl Condition for Sorts {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        match request.first {
            Known::Unknown => Truth::Unknown,
            Known::Is(first) => self.0.iter().any(|sort| sort.is_in(first)).into(),
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::First)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::of(self.handle(), false)
    }

    fn handle(&self) -> Handle<'_> {
        let words = self.0.iter().map(|sort| sort.word().to_owned());
        Handle::Names(Cow::Owned(words.collect()))
    }
}

impl fmt::Display for Sorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        words::list(f, self.0.iter().map(|sort| sort.word()))
    }
}
