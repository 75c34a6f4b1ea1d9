//! From texts to a [`Policy`], or to everything that is wrong with them.

use std::collections::{HashMap, hash_map::Entry};

use crate::{
    Diagnostic, MAX_RULES, MAX_SOURCE, Policy, Source, Unenrolled, Vocabulary,
    document::{Document, Findings, Table, Value},
    rule::Rule,
};

impl Policy {
    /// Reads sources in the order of precedence: the administrator's file, the drop-ins, the vendor's defaults. The first
    /// source with an `[unenrolled]` gives all of it.
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
        let factors = vocabulary.factors.iter().map(|&word| word.to_owned());
        Ok(Self {
            rules: reading.rules,
            unenrolled: reading.unenrolled,
            factors: factors.collect(),
        })
    }
}

/// What was read so far, and what it is read with.
struct Reading<'a> {
    sources: &'a [Source<'a>],
    vocabulary: &'a Vocabulary<'a>,
    rules: Vec<Rule>,
    unenrolled: Option<Unenrolled>,
    /// Where each name stands: number of the source, byte in it.
    names: HashMap<String, (usize, usize)>,
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
        root.finish(findings);
    }

    fn read_rules(&mut self, source: usize, value: Value<'_>, findings: &mut Findings<'_>) {
        let Some(rules) = value.as_array() else {
            value.error(findings, "a rule begins with [[rule]], in double brackets");
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
                self.check_name(source, &table, findings);
                self.rules
                    .extend(Rule::read(table, self.vocabulary, findings));
            }
        }
    }

    /// Notes a name that another rule has, be the rest of the rule sound or not.
    fn check_name(&mut self, source: usize, table: &Table<'_>, findings: &mut Findings<'_>) {
        let Some(value) = table.get("name") else {
            return;
        };
        let Some(name) = value.as_str() else { return };
        match self.names.entry(name.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert((source, value.span().start));
            }
            Entry::Occupied(first) => {
                let (source, start) = *first.get();
                let message = self.sources.get(source).map(|source| {
                    let first = Diagnostic::at(source, start..start, String::new());
                    format!("{}:{} has a rule of this name", first.file, first.line)
                });
                value.error(findings, message.unwrap_or_default());
            }
        }
    }
}
