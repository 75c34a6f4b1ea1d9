//! What a rule's `when` may ask of a login.
//!
//! Each condition is a file here and a line of [`KINDS`]; nothing else knows which conditions exist. A condition sees
//! the [`Request`] and nothing besides.

mod group;
mod network;
mod service;
mod user;

use std::fmt;

use crate::{
    Request,
    document::{Findings, Value},
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

/// One question about a login. Displayed as the TOML value that it was read from.
pub(crate) trait Condition: fmt::Debug + fmt::Display + Send + Sync {
    /// The answer. `sense` matters only where the request does not tell.
    fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth;
}

/// A condition's key, and how its value is read.
#[derive(Debug)]
struct Kind {
    key: &'static str,
    /// What it asks for.
    fact: Fact,
    read: fn(Value<'_>, &mut Findings<'_>) -> Option<Box<dyn Condition>>,
}

/// The conditions there are, in the order in which they are printed.
static KINDS: [Kind; 4] = [service::KIND, user::KIND, group::KIND, network::KIND];

/// Conditions that must all hold. None at all holds always.
#[derive(Debug, Default)]
pub(crate) struct When(Vec<(&'static Kind, Box<dyn Condition>)>);

impl When {
    /// Reads the table of conditions. What is wrong with it is noted, and left out of the result.
    pub(crate) fn read(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let table = value.table("`when`", findings)?;
        let conditions = KINDS
            .iter()
            .filter_map(|kind| {
                let condition = (kind.read)(table.take(kind.key)?, findings)?;
                Some((kind, condition))
            })
            .collect();
        table.finish(findings);
        Some(Self(conditions))
    }

    /// Whether all of them hold.
    pub(crate) fn truth(&self, request: &Request<'_>) -> Truth {
        let mut truth = Truth::Yes;
        for (_, condition) in &self.0 {
            truth = truth.and(condition.truth(request, Sense::Plain));
            if truth == Truth::No {
                break;
            }
        }
        truth
    }

    /// The facts without which it cannot be told whether they hold.
    pub(crate) fn unknown(&self, request: &Request<'_>) -> FactSet {
        let unknown = self
            .0
            .iter()
            .filter(|(_, condition)| condition.truth(request, Sense::Plain) == Truth::Unknown);
        unknown.map(|(kind, _)| kind.fact).collect()
    }

    /// The facts that they ask for.
    pub(crate) fn needs(&self) -> FactSet {
        self.0.iter().map(|(kind, _)| kind.fact).collect()
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("{}");
        }
        for (position, (kind, condition)) in self.0.iter().enumerate() {
            f.write_str(if position == 0 { "{ " } else { ", " })?;
            write!(f, "{} = {condition}", kind.key)?;
        }
        f.write_str(" }")
    }
}
