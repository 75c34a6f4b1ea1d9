//! What one user demands for their own logins, on top of the policy: floors, read by stricter rules than a policy.
//!
//! Such a text is kept for the user by others. It can only tighten: every rule of it is a floor.

use std::fmt;

use crate::{
    Diagnostic, FactSet, Source, Vocabulary,
    document::{Document, Findings, Table, Value},
    load::Lines,
    requirement::Factor,
    rule::Rule,
    verdict::Verdict,
};

/// Largest text, in bytes.
pub const MAX_OWN_SOURCE: usize = 16 * 1024;
/// Most rules.
pub const MAX_OWN_RULES: usize = 32;

/// A user's own additions. Displayed in their canonical spelling.
#[derive(Debug, Default)]
pub struct Additions {
    pub(crate) rules: Vec<Rule>,
}

impl Additions {
    /// Reads a text of `[[rule]]`, each with `name`, `when`, `require` and nothing else.
    ///
    /// Refused are besides: conditions on who the user is (it is always the same one), `remember`, demands that no
    /// factor can meet, and a refusal of every login.
    ///
    /// # Errors
    /// Everything that is wrong with it, in order.
    pub fn parse(source: Source<'_>, vocabulary: &Vocabulary<'_>) -> Result<Self, Vec<Diagnostic>> {
        let mut findings = Findings::new(source);
        let mut rules = Vec::new();
        if let Some(document) = Document::parse(source, MAX_OWN_SOURCE, &mut findings) {
            let root = document.root("additions to the policy");
            if let Some(value) = root.take("rule") {
                rules = read_rules(value, &source, vocabulary, &mut findings);
            }
            root.finish(&mut findings);
        }
        let found = findings.into_diagnostics();
        if found.is_empty() {
            Ok(Self { rules })
        } else {
            Err(found)
        }
    }

    /// The facts that they ask for.
    pub fn needs(&self) -> FactSet {
        self.rules.iter().map(Rule::facts).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl fmt::Display for Additions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, rule) in self.rules.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { "\n" })?;
            rule.fmt(f)?;
        }
        Ok(())
    }
}

fn read_rules(
    value: Value<'_>,
    source: &Source<'_>,
    vocabulary: &Vocabulary<'_>,
    findings: &mut Findings<'_>,
) -> Vec<Rule> {
    let Some(tables) = value.as_array() else {
        value.error(findings, "a rule begins with [[rule]], in double brackets");
        return Vec::new();
    };
    let lines = Lines::of(source);
    let mut rules: Vec<Rule> = Vec::new();
    for (number, written) in tables.enumerate() {
        if number == MAX_OWN_RULES {
            let message = format!("this rule is one more than the {MAX_OWN_RULES} that are read");
            written.error(findings, message);
            break;
        }
        let Some(table) = written.table("a rule", findings) else {
            continue;
        };
        refuse_keys(&table, findings);
        let span = table.span();
        let place = lines.place(span.start);
        let require = table.get("require");
        let Some(mut rule) = Rule::read(table, place, vocabulary, findings) else {
            continue;
        };
        if let (Some(fault), Some(require)) = (too_much(&rule, vocabulary), require) {
            require.error(findings, fault);
        }
        if let Some(first) = rules.iter().find(|first| first.name == rule.name) {
            findings.error(span, format!("{} has a rule of this name", first.place));
        }
        rule.floor = true;
        rules.push(rule);
    }
    rules
}

/// Notes what a policy may say and a user may not.
fn refuse_keys(table: &Table<'_>, findings: &mut Findings<'_>) {
    if let Some(value) = table.get("remember") {
        value.error(findings, "additions only tighten; there is no `remember`");
    }
    if let Some(value) = table.get("floor")
        && value.boolean(findings) == Some(false)
    {
        value.error(findings, "additions only tighten; each is a floor");
    }
    if let Some(value) = table.get("when") {
        refuse_persons(value, 0, findings);
    }
}

/// Notes conditions on who the user is, wherever they stand.
fn refuse_persons(value: Value<'_>, depth: usize, findings: &mut Findings<'_>) {
    // Deeper than that is refused anyway.
    if depth > 16 {
        return;
    }
    let Some(table) = value.as_table("`when`") else {
        let below = value.as_array().into_iter().flatten();
        for value in below.filter(|value| value.as_table("`when`").is_some()) {
            refuse_persons(value, depth + 1, findings);
        }
        return;
    };
    for key in ["user", "uid", "group"] {
        if let Some(value) = table.get(key) {
            let message = format!("additions are for one user's logins; there is no `{key}`");
            value.error(findings, message);
        }
    }
    for key in ["any", "all", "not"] {
        if let Some(value) = table.get(key) {
            refuse_persons(value, depth + 1, findings);
        }
    }
}

/// Why a demand is no good to anybody.
fn too_much(rule: &Rule, vocabulary: &Vocabulary<'_>) -> Option<&'static str> {
    match &rule.verdict {
        Verdict::NotRequired => Some("additions only tighten, and \"none\" demands nothing"),
        Verdict::Deny if rule.when.0.is_empty() => {
            Some("this would refuse every login of yours; give the rule a condition")
        }
        Verdict::Deny => None,
        Verdict::Require(_) => {
            let settled = rule.verdict.clone().settled(&Factor::all(vocabulary));
            (settled == Verdict::Deny)
                .then_some("there are not enough factors that are so strong: nobody could meet it")
        }
    }
}
