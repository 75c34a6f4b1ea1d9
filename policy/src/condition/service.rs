//! `service`: the PAM service, which names the program that somebody logs in to.

use std::fmt;

use super::{Condition, Kind};
use crate::{
    Request,
    document::{Findings, Value},
    fact::Fact,
    name::{Case, Names},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "service",
    fact: Fact::Service,
    read,
};

/// Services that are one program: whoever writes a rule for `su` means `su -l` too.
const ALIASES: [[&str; 2]; 3] = [["su", "su-l"], ["sudo", "sudo-i"], ["runuser", "runuser-l"]];

#[derive(Debug)]
struct Service(Names);

fn read(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Box<dyn Condition>> {
    let names = Names::read(value, Case::Ignored, findings)?;
    Some(Box::new(Service(names)))
}

impl Condition for Service {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        let spellings = ALIASES.iter().find(|names| {
            names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(request.service))
        });
        let matches = match spellings {
            Some(names) => names.iter().any(|name| self.0.matches(name)),
            None => self.0.matches(request.service),
        };
        matches.into()
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
