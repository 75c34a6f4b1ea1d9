//! Reads TOML with every value's place kept, so that all errors of a file are found at once and named by place.
//!
//! It knows TOML's types and how to complain, and no key's meaning. Deserialising with serde would stop at the first
//! error; an administrator who mends a file wants to see them all.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
    ops::{Range, RangeInclusive},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    diagnostic::{Diagnostic, Source, quoted},
    suggest,
    weight::{MAX_WEIGHT, weight},
};

/// Most errors that are reported for one source; a last one says how many were left out.
const MAX_FINDINGS: usize = 500;
/// Largest source of which all syntax errors are reported, in bytes; of a larger one only the first is.
const RECOVERED: usize = 64 * 1024;

/// Collects what is wrong with one source.
#[derive(Debug)]
pub struct Findings<'a> {
    source: Source<'a>,
    found: Vec<(Range<usize>, String)>,
    left_out: usize,
}

impl<'a> Findings<'a> {
    /// Nothing found yet.
    pub fn new(source: Source<'a>) -> Self {
        Self {
            source,
            found: Vec::new(),
            left_out: 0,
        }
    }

    /// Notes an error at `span`, in bytes of the source.
    pub fn error(&mut self, span: Range<usize>, message: impl Into<String>) {
        if self.found.len() < MAX_FINDINGS {
            self.found.push((span, message.into()));
        } else {
            self.left_out += 1;
        }
    }

    /// The errors in the order of the text.
    pub fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|(span, _)| span.start);
        self.found.dedup();
        if let (true, Some((span, _))) = (self.left_out > 0, self.found.last()) {
            let message = format!("and {} more errors, not shown", self.left_out);
            self.found.push((span.clone(), message));
        }
        self.found
            .into_iter()
            .map(|(span, message)| Diagnostic::at(&self.source, span, message))
            .collect()
    }
}

/// A whole text, parsed.
#[derive(Debug)]
pub struct Document<'a> {
    root: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Parses `source` if it is TOML of at most `limit` bytes; otherwise notes why not. A text that is not TOML is not
    /// looked at any further: what its keys would be is a guess.
    pub fn parse(source: Source<'a>, limit: usize, findings: &mut Findings<'_>) -> Option<Self> {
        if source.text.len() > limit {
            let message = format!("the file is larger than the {limit} bytes that are read");
            findings.error(0..0, message);
            return None;
        }
        if weight(source.text) > MAX_WEIGHT {
            let message = "the file has too many values, tables and dotted keys to be read";
            findings.error(0..0, message);
            return None;
        }
        let (root, errors) = match DeTable::parse(source.text) {
            Ok(root) => (root, Vec::new()),
            // Each error costs the parser up to 300 times the byte that caused it.
            Err(first) if source.text.len() > RECOVERED => {
                (Spanned::new(0..0, DeTable::new()), vec![first])
            }
            Err(_) => DeTable::parse_recoverable(source.text),
        };
        for error in &errors {
            let end = source.text.len()..source.text.len();
            let message = format!("not TOML: {}", error.message());
            findings.error(error.span().unwrap_or(end), message);
        }
        errors.is_empty().then_some(Self { root })
    }

    /// The table that holds everything. `what` names it in messages, as in "the file".
    pub fn root(&self, what: &'static str) -> Table<'_> {
        Table::new(self.root.get_ref(), self.root.span(), what)
    }
}

/// A table whose keys are taken one by one; [`Table::finish`] then refuses the rest.
#[derive(Debug)]
pub struct Table<'t> {
    entries: &'t DeTable<'t>,
    span: Range<usize>,
    what: &'static str,
    known: RefCell<Vec<&'static str>>,
}

impl<'t> Table<'t> {
    fn new(entries: &'t DeTable<'t>, span: Range<usize>, what: &'static str) -> Self {
        Self {
            entries,
            span,
            what,
            known: RefCell::new(Vec::new()),
        }
    }

    /// Where the table stands: its header, or the braces.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Whether it holds no key at all.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of `key`, if it is there.
    pub fn get(&self, key: &'static str) -> Option<Value<'t>> {
        let node = self.entries.get(key)?;
        Some(Value { node, key })
    }

    /// The same; the key counts as known from here on.
    pub fn take(&self, key: &'static str) -> Option<Value<'t>> {
        self.known.borrow_mut().push(key);
        self.get(key)
    }

    /// The value of `key`; notes that it is missing if it is not there.
    pub fn require(&self, key: &'static str, findings: &mut Findings<'_>) -> Option<Value<'t>> {
        let value = self.take(key);
        if value.is_none() {
            findings.error(self.span(), format!("{} has no `{key}`", self.what));
        }
        value
    }

    /// Notes every key that nobody took.
    pub fn finish(self, findings: &mut Findings<'_>) {
        let known = self.known.into_inner();
        for key in self.entries.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                let name = quoted(key.get_ref());
                let name = name.trim_matches('"');
                let message = format!(
                    "unknown key `{name}` in {}{}; known are {}",
                    self.what,
                    suggest::hint(key.get_ref(), known.iter().copied()),
                    known.join(", ")
                );
                findings.error(key.span(), message);
            }
        }
    }
}

/// A value, its place and the key it stands under.
#[derive(Debug, Clone, Copy)]
pub struct Value<'t> {
    node: &'t Spanned<DeValue<'t>>,
    key: &'static str,
}

impl<'t> Value<'t> {
    /// Where it stands.
    pub fn span(&self) -> Range<usize> {
        self.node.span()
    }

    /// The key it stands under.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// Notes an error at this value.
    pub fn error(&self, findings: &mut Findings<'_>, message: impl Into<String>) {
        findings.error(self.span(), message);
    }

    /// The string that it is, if it is one; notes nothing otherwise.
    pub fn as_str(&self) -> Option<&'t str> {
        self.node.get_ref().as_str()
    }

    /// The string that it must be.
    pub fn string(&self, findings: &mut Findings<'_>) -> Option<&'t str> {
        let string = self.as_str();
        if string.is_none() {
            self.wrong_type(findings, "a string");
        }
        string
    }

    /// The boolean that it must be.
    pub fn boolean(&self, findings: &mut Findings<'_>) -> Option<bool> {
        let boolean = self.node.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type(findings, "true or false");
        }
        boolean
    }

    /// The whole number within `range` that it must be.
    pub fn integer(&self, range: RangeInclusive<u32>, findings: &mut Findings<'_>) -> Option<u32> {
        let Some(integer) = self.node.get_ref().as_integer() else {
            self.wrong_type(findings, "a whole number");
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let fits = number.filter(|number| range.contains(number));
        if fits.is_none() {
            let (low, high) = (range.start(), range.end());
            let message = format!("`{}` is {integer}; it must be {low} to {high}", self.key);
            self.error(findings, message);
        }
        fits
    }

    /// The moment, in seconds since the epoch, that it must be. A fraction of a second is dropped.
    pub fn moment(&self, findings: &mut Findings<'_>) -> Option<i64> {
        let Some(datetime) = self.node.get_ref().as_datetime() else {
            self.wrong_type(findings, "a date and time such as 2027-01-31T00:00:00Z");
            return None;
        };
        // Only a time with an offset is the same moment everywhere.
        let moment = datetime.to_string().parse::<jiff::Timestamp>().ok();
        if moment.is_none() {
            let message = format!(
                "`{}` needs date, time and offset, as in 2027-01-31T00:00:00Z or 2027-01-31T00:00:00+01:00",
                self.key
            );
            self.error(findings, message);
        }
        moment.map(jiff::Timestamp::as_second)
    }

    /// The table that it must be. `what` names it in messages.
    pub fn table(&self, what: &'static str, findings: &mut Findings<'_>) -> Option<Table<'t>> {
        let table = self.as_table(what);
        if table.is_none() {
            self.wrong_type(findings, "a table");
        }
        table
    }

    /// The table that it is, if it is one; notes nothing otherwise.
    pub fn as_table(&self, what: &'static str) -> Option<Table<'t>> {
        let table = self.node.get_ref().as_table()?;
        Some(Table::new(table, self.span(), what))
    }

    /// The elements of the array that it is, if it is one; notes nothing otherwise.
    pub fn as_array(&self) -> Option<impl ExactSizeIterator<Item = Value<'t>> + use<'t>> {
        let array = self.node.get_ref().as_array()?;
        let key = self.key;
        Some(array.iter().map(move |node| Value { node, key }))
    }

    /// The strings that it must be: one, or an array of at least one.
    pub fn strings(&self, findings: &mut Findings<'_>) -> Option<Vec<(&'t str, Range<usize>)>> {
        if let Some(string) = self.as_str() {
            return Some(vec![(string, self.span())]);
        }
        let Some(elements) = self.as_array() else {
            self.wrong_type(findings, "a string or a list of strings");
            return None;
        };
        if elements.len() == 0 {
            self.error(
                findings,
                format!("`{}` is an empty list: it would match nothing", self.key),
            );
            return None;
        }
        let count = elements.len();
        let strings: Vec<_> = elements
            .filter_map(|element| Some((element.string(findings)?, element.span())))
            .collect();
        (strings.len() == count).then_some(strings)
    }

    /// Notes that it is of another type than the `wanted` one.
    pub fn wrong_type(&self, findings: &mut Findings<'_>, wanted: &str) {
        let found = match self.node.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(
            findings,
            format!("`{}` must be {wanted}, not {found}", self.key),
        );
    }
}

/// A text, displayed as a TOML basic string.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// Texts, displayed as a TOML list of strings.
pub(crate) struct QuotedList<'a>(pub(crate) &'a [String]);

impl fmt::Display for QuotedList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, text) in self.0.iter().enumerate() {
            f.write_str(if position == 0 { "[" } else { ", " })?;
            Quoted(text).fmt(f)?;
        }
        f.write_char(']')
    }
}
