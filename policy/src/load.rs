//! From texts to a [`Policy`], or to everything that is wrong with them.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use crate::{
    Diagnostic, MAX_RULES, MAX_SOURCE, Policy, Source, Subject, Unenrolled, Vocabulary,
    document::{Document, Findings, Table, Value},
    requirement::Factor,
    rule::{Place, Rule},
};

impl Policy {
    /// Reads sources in the order of precedence: the administrator's file, the drop-ins, the vendor's defaults. The first
    /// source with an `[unenrolled]` gives all of it, and so with `[subject]`.
    ///
    /// # Errors
    /// Every error of every source, in order; of a source that is not TOML, its syntax errors only. A policy is read
    /// as a whole or not at all.
    pub fn parse(
        sources: &[Source<'_>],
        vocabulary: &Vocabulary<'_>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut reading = Reading {
            sources,
            vocabulary,
            rules: Vec::new(),
            unenrolled: None,
            subject: None,
            names: HashMap::new(),
            seen: 0,
        };
        let mut diagnostics = Vec::new();
        for (number, source) in sources.iter().enumerate() {
            let mut findings = Findings::new(*source);
            if let Some(document) = Document::parse(*source, MAX_SOURCE, &mut findings) {
                reading.read(number, document.root("a policy"), &mut findings);
            }
            diagnostics.extend(findings.into_diagnostics());
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics);
        }
        Ok(Self::new(
            reading.rules,
            reading.unenrolled,
            reading.subject,
            Factor::all(vocabulary),
        ))
    }
}

/// Lines of a text, to be found by byte.
pub(crate) struct Lines {
    file: Arc<str>,
    breaks: Vec<usize>,
}

impl Lines {
    /// Of this source.
    pub(crate) fn of(source: &Source<'_>) -> Self {
        let breaks = source.text.bytes().enumerate();
        Self {
            file: source.name.into(),
            breaks: breaks
                .filter_map(|(at, byte)| (byte == b'\n').then_some(at))
                .collect(),
        }
    }

    /// The place of a byte.
    pub(crate) fn place(&self, byte: usize) -> Place {
        Place {
            file: self.file.clone(),
            line: self.breaks.partition_point(|at| *at < byte) + 1,
        }
    }
}

/// What was read so far, and what it is read with.
struct Reading<'a> {
    sources: &'a [Source<'a>],
    vocabulary: &'a Vocabulary<'a>,
    rules: Vec<Rule>,
    unenrolled: Option<Unenrolled>,
    subject: Option<Subject>,
    /// Where each name stands.
    names: HashMap<String, Place>,
    /// Rules seen, whether or not they are sound.
    seen: usize,
}

impl Reading<'_> {
    fn read(&mut self, source: usize, root: Table<'_>, findings: &mut Findings<'_>) {
        if let Some(value) = root.take("rule") {
            self.read_rules(source, value, findings);
        }
        if let Some(value) = root.take("unenrolled") {
            let unenrolled = Unenrolled::read(value, findings);
            self.unenrolled = self.unenrolled.or(unenrolled);
        }
        if let Some(value) = root.take("subject") {
            let subject = Subject::read(value, findings);
            self.subject = self.subject.or(subject);
        }
        root.finish(findings);
    }

    fn read_rules(&mut self, source: usize, value: Value<'_>, findings: &mut Findings<'_>) {
        let Some(rules) = value.as_array() else {
            value.error(findings, "a rule begins with [[rule]], in double brackets");
            return;
        };
        let Some(lines) = self.sources.get(source).map(Lines::of) else {
            return;
        };
        for rule in rules {
            if self.seen == MAX_RULES {
                let message = format!("this rule is one more than the {MAX_RULES} that are read");
                rule.error(findings, message);
                return;
            }
            self.seen += 1;
            if let Some(table) = rule.table("a rule", findings) {
                self.check_name(&lines, &table, findings);
                let place = lines.place(table.span().start);
                let rule = Rule::read(table, place, self.vocabulary, findings);
                self.rules.extend(rule);
            }
        }
    }

    /// Notes a name that another rule has, be the rest of the rule sound or not.
    fn check_name(&mut self, lines: &Lines, table: &Table<'_>, findings: &mut Findings<'_>) {
        let Some(value) = table.get("name") else {
            return;
        };
        let Some(name) = value.as_str() else { return };
        match self.names.entry(name.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(lines.place(value.span().start));
            }
            Entry::Occupied(first) => {
                let message = format!("{} has a rule of this name", first.get());
                value.error(findings, message);
            }
        }
    }
}
