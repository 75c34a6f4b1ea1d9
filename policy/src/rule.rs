//! One `[[rule]]`: when it applies and what it demands.

use std::fmt;

use crate::{
    Vocabulary,
    condition::When,
    diagnostic::{is_visible, quoted},
    document::{Findings, Quoted, Table, Value},
    verdict::Verdict,
};

/// Longest name of a rule, in characters. It appears in every audit record that the rule decides.
const MAX_NAME: usize = 128;

/// A rule. Displayed in its canonical spelling.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Unique in the policy.
    pub(crate) name: String,
    /// When it applies.
    pub(crate) when: When,
    /// What it demands.
    pub(crate) verdict: Verdict,
    /// It takes no part in "the first match decides", and holds on top of whatever does decide.
    pub(crate) floor: bool,
}

impl Rule {
    /// Reads one rule. Everything that is wrong with it is noted.
    pub(crate) fn read(
        table: Table<'_>,
        vocabulary: &Vocabulary<'_>,
        findings: &mut Findings<'_>,
    ) -> Option<Self> {
        if table.is_empty() {
            findings.error(
                table.span(),
                "the rule is empty; it needs name, when and require",
            );
            return None;
        }
        let name = table
            .require("name", findings)
            .and_then(|value| name(value, findings));
        let when = table.take("when");
        if when.is_none() {
            // To leave `when` out would be to match every login: not by mistake.
            let message =
                "a rule has no `when`; for a rule that applies to every login, write `when = {}`";
            findings.error(table.span(), message);
        }
        let when = when.and_then(|value| When::read(value, findings));
        let require = table.require("require", findings);
        let verdict = require.and_then(|value| Verdict::read(value, vocabulary, findings));
        let floor = match table.take("floor") {
            Some(value) => value.boolean(findings),
            None => Some(false),
        };
        table.finish(findings);
        if let (Some(true), Some(Verdict::NotRequired), Some(value)) = (floor, &verdict, require) {
            value.error(
                findings,
                "a floor only tightens, and `require = \"none\"` demands nothing; leave `floor` out to exempt these logins",
            );
        }
        Some(Self {
            name: name?,
            when: when?,
            verdict: verdict?,
            floor: floor?,
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[rule]]\nname = {}", Quoted(&self.name))?;
        writeln!(f, "when = {}\nrequire = {}", self.when, self.verdict)?;
        if self.floor {
            writeln!(f, "floor = true")?;
        }
        Ok(())
    }
}

fn name(value: Value<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let name = value.string(findings)?;
    let fault = if name.trim().is_empty() {
        "the rule's name is empty; the audit log calls the rule by it".to_owned()
    } else if name.chars().count() > MAX_NAME {
        format!("the rule's name is longer than {MAX_NAME} characters")
    } else if name.trim() != name || !name.chars().all(is_visible) {
        format!(
            "the rule's name {} holds blanks at an end or characters that cannot be seen",
            quoted(name)
        )
    } else {
        return Some(name.to_owned());
    };
    value.error(findings, fault);
    None
}
