//! Tables of conditions within a condition: what `any`, `all` and `not` are made of, and how deep and many they may be.

use std::fmt;

use super::{Condition, MAX_DEPTH, MAX_TABLES, Meaning, Reader, When};
use crate::{
    Request,
    document::Value,
    explain::{ConditionReport, bounded},
    fact::FactSet,
    truth::{Sense, Truth},
};

/// How many of several tables must hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Quorum {
    /// One of them.
    Any,
    /// Each of them.
    All,
}

impl Quorum {
    /// Reads the condition.
    pub(super) fn read(
        self,
        value: Value<'_>,
        reader: &mut Reader<'_, '_>,
    ) -> Option<Box<dyn Condition>> {
        let whens = list(value, reader)?;
        Some(Box::new(Several {
            whens,
            quorum: self,
        }))
    }
}

#[derive(Debug)]
struct Several {
    whens: Vec<When>,
    quorum: Quorum,
}

impl Condition for Several {
    fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth {
        let answers = self.whens.iter().map(|when| when.truth(request, sense));
        match self.quorum {
            Quorum::Any => answers.fold(Truth::No, Truth::or),
            Quorum::All => answers.fold(Truth::Yes, Truth::and),
        }
    }

    fn meaning(&self) -> Meaning<'_> {
        match self.quorum {
            Quorum::Any => Meaning::Any(&self.whens),
            Quorum::All => Meaning::All(&self.whens),
        }
    }

    fn facts(&self) -> FactSet {
        self.whens.iter().map(When::facts).collect()
    }

    fn unknown(&self, request: &Request<'_>, sense: Sense) -> FactSet {
        match self.truth(request, sense) {
            Truth::Unknown => {
                let unknown = self.whens.iter().map(|when| when.unknown(request, sense));
                unknown.collect()
            }
            Truth::No | Truth::Yes => FactSet::NONE,
        }
    }

    fn parts(&self, request: &Request<'_>, sense: Sense) -> Vec<ConditionReport> {
        reports(&self.whens, request, sense)
    }
}

/// A TOML list of tables.
impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, when) in self.whens.iter().enumerate() {
            let before = if position == 0 { "[" } else { ", " };
            write!(f, "{before}{when}")?;
        }
        f.write_str("]")
    }
}

/// One table below a condition.
pub(super) fn one(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<When> {
    if reader.depth == MAX_DEPTH {
        let message =
            format!("`any`, `all` and `not` stand in each other more than {MAX_DEPTH} deep");
        value.error(reader.findings, message);
        return None;
    }
    if reader.tables == MAX_TABLES {
        let message = format!("a rule has more than {MAX_TABLES} tables of conditions");
        value.error(reader.findings, message);
        return None;
    }
    reader.depth += 1;
    reader.tables += 1;
    let empty = value
        .as_table("`when`")
        .is_some_and(|table| table.is_empty());
    let when = When::read(value, reader);
    reader.depth -= 1;
    if empty {
        let message = format!("`{}` holds an empty table, which always holds", value.key());
        value.error(reader.findings, message);
        return None;
    }
    when
}

/// A list of at least one table.
fn list(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Vec<When>> {
    let Some(tables) = value.as_array() else {
        value.wrong_type(reader.findings, "a list of tables of conditions");
        return None;
    };
    if tables.len() == 0 {
        let message = format!("`{}` is an empty list", value.key());
        value.error(reader.findings, message);
        return None;
    }
    let count = tables.len();
    let mut whens = Vec::with_capacity(count.min(MAX_TABLES));
    for table in tables {
        let full = reader.tables == MAX_TABLES;
        whens.extend(one(table, reader));
        if full {
            // Said once; a list of a million would say it a million times.
            break;
        }
    }
    (whens.len() == count).then_some(whens)
}

/// What each table answers: its conditions below it, if it has several.
pub(super) fn reports(whens: &[When], request: &Request<'_>, sense: Sense) -> Vec<ConditionReport> {
    let report = |when: &When| {
        let mut parts = when.report(request, sense);
        if when.0.len() == 1
            && let Some(only) = parts.pop()
        {
            return only;
        }
        ConditionReport {
            text: bounded(format_args!("{when}")),
            found: String::new(),
            holds: when.truth(request, sense),
            parts,
        }
    };
    whens.iter().map(report).collect()
}
