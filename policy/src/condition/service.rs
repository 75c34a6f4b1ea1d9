//! `service`: the PAM service, which names the program that somebody logs in to.

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
    key: "service",
    read,
    found: |request| request.service.to_owned(),
    offer: Some(|request, index| {
        let names = match spellings(request.service) {
            Some(names) => names.iter().map(|name| Cow::Borrowed(*name)).collect(),
            None => vec![Cow::Owned(request.service.to_ascii_lowercase())],
        };
        index(Offer::Names(names));
    }),
};

/// Services that are one program: whoever writes a rule for `su` means `su -l` too.
const ALIASES: [[&str; 2]; 3] = [["su", "su-l"], ["sudo", "sudo-i"], ["runuser", "runuser-l"]];

/// The names of a program that has several.
fn spellings(service: &str) -> Option<&'static [&'static str]> {
    let names = ALIASES
        .iter()
        .find(|names| names.iter().any(|name| name.eq_ignore_ascii_case(service)))?;
    Some(names)
}

#[derive(Debug)]
struct Service(Names);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let names = Names::read(value, Case::Ignored, reader.findings)?;
    Some(Box::new(Service(names)))
}

impl Condition for Service {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        let matches = match spellings(request.service) {
            Some(names) => names.iter().any(|name| self.0.matches(name)),
            None => self.0.matches(request.service),
        };
        matches.into()
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Service)
    }

    /// With every name of the programs that it names.
    fn meaning(&self) -> Meaning<'_> {
        let mut patterns = self.0.patterns().to_vec();
        for names in ALIASES {
            if names.iter().any(|name| self.0.matches(name)) {
                patterns.extend(names.map(str::to_owned));
            }
        }
        Meaning::Names {
            patterns: Cow::Owned(patterns),
            sole: true,
        }
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Names(Cow::Borrowed(self.0.patterns()))
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
