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
    decide::Request,
    document::{Findings, Value},
};

/// One question about a login. Displayed as the TOML value that it was read from.
pub(crate) trait Condition: fmt::Debug + fmt::Display + Send + Sync {
    /// The answer. Where the request does not tell, it is no.
    fn holds(&self, request: &Request<'_>) -> bool;

    /// Whether [`Request::groups`] matters.
    fn needs_groups(&self) -> bool {
        false
    }
}

/// A condition's key, and how its value is read.
struct Kind {
    key: &'static str,
    read: fn(Value<'_>, &mut Findings<'_>) -> Option<Box<dyn Condition>>,
}

/// The conditions there are, in the order in which they are printed.
const KINDS: [Kind; 4] = [service::KIND, user::KIND, group::KIND, network::KIND];

/// Conditions that must all hold. None at all holds always.
#[derive(Debug, Default)]
pub(crate) struct When(Vec<(&'static str, Box<dyn Condition>)>);

impl When {
    /// Reads the table of conditions. What is wrong with it is noted, and left out of the result.
    pub(crate) fn read(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let table = value.table("`when`", findings)?;
        let conditions = KINDS
            .iter()
            .filter_map(|kind| {
                let condition = (kind.read)(table.take(kind.key)?, findings)?;
                Some((kind.key, condition))
            })
            .collect();
        table.finish(findings);
        Some(Self(conditions))
    }

    /// Whether all of them hold.
    pub(crate) fn holds(&self, request: &Request<'_>) -> bool {
        self.0.iter().all(|(_, condition)| condition.holds(request))
    }

    /// Whether any of them asks for groups.
    pub(crate) fn needs_groups(&self) -> bool {
        self.0.iter().any(|(_, condition)| condition.needs_groups())
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("{}");
        }
        for (position, (key, condition)) in self.0.iter().enumerate() {
            f.write_str(if position == 0 { "{ " } else { ", " })?;
            write!(f, "{key} = {condition}")?;
        }
        f.write_str(" }")
    }
}
