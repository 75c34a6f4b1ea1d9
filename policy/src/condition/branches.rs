//! Tables of conditions within a condition: what `any`, `all` and `not` are made of, and how deep and many they may be.

use std::fmt;

use super::{MAX_DEPTH, MAX_TABLES, Reader, When};
use crate::{
    Request,
    document::Value,
    explain::{ConditionReport, bounded},
    truth::Sense,
};

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
pub(super) fn list(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Vec<When>> {
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

/// Writes tables as a TOML list.
pub(super) fn fmt(whens: &[When], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (position, when) in whens.iter().enumerate() {
        let before = if position == 0 { "[" } else { ", " };
        write!(f, "{before}{when}")?;
    }
    f.write_str("]")
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
            truth: when.truth(request, sense),
            parts,
        }
    };
    whens.iter().map(report).collect()
}
