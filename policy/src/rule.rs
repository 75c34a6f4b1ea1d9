//! One `[[rule]]`: when it applies and what it demands.

use std::{fmt, ops::Range};

use crate::{
    Fact, FactSet, Request, Vocabulary,
    condition::{Reader, When},
    diagnostic::{is_visible, quoted},
    document::{Findings, Quoted, Table, Value},
    remember::Remember,
    truth::{Sense, Truth},
    verdict::Verdict,
};

/// Longest name of a rule, in characters. It appears in every audit record that the rule decides.
const MAX_NAME: usize = 128;

/// A rule. Displayed in its canonical spelling.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Unique in the policy.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) place: Place,
    /// Where its parts stand.
    pub(crate) written: Written,
    /// When it applies.
    pub(crate) when: When,
    /// What it demands.
    pub(crate) verdict: Verdict,
    /// How a device may stand in for that.
    pub(crate) remember: Option<Remember>,
    /// It takes no part in "the first match decides", and holds on top of whatever does decide.
    pub(crate) floor: bool,
}

/// Where the parts of a rule stand, in bytes of its source.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) when: Range<usize>,
    pub(crate) require: Range<usize>,
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the source.
    pub file: std::sync::Arc<str>,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Rule {
    /// Reads one rule. Everything that is wrong with it is noted.
    pub(crate) fn read(
        table: Table<'_>,
        place: Place,
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
            .and_then(|value| name(value, "the rule's name", findings));
        let conditions = table.take("when");
        if conditions.is_none() {
            // To leave `when` out would be to match every login: not by mistake.
            let message =
                "a rule has no `when`; for a rule that applies to every login, write `when = {}`";
            findings.error(table.span(), message);
        }
        let when =
            conditions.and_then(|value| When::read(value, &mut Reader::new(vocabulary, findings)));
        let require = table.require("require", findings);
        let verdict = require.and_then(|value| Verdict::read(value, vocabulary, findings));
        let floor = match table.take("floor") {
            Some(value) => value.boolean(findings),
            None => Some(false),
        };
        let written = table.take("remember");
        let remember = match written {
            Some(value) => Remember::read(value, findings).map(Some),
            None => Some(None),
        };
        table.finish(findings);
        if let (Some(true), Some(Verdict::NotRequired), Some(value)) = (floor, &verdict, require) {
            value.error(
                findings,
                "a floor only tightens, and `require = \"none\"` demands nothing; leave `floor` out to exempt these logins",
            );
        }
        if let (Some(value), Some(verdict)) = (written, &verdict)
            && let Some(fault) = never_remembered(floor == Some(true), verdict)
        {
            value.error(findings, fault);
        }
        Some(Self {
            name: name?,
            place,
            written: Written {
                when: conditions?.span(),
                require: require?.span(),
            },
            when: when?,
            verdict: verdict?,
            remember: remember?,
            floor: floor?,
        })
    }

    /// Whether it applies.
    pub(crate) fn truth(&self, request: &Request<'_>) -> Truth {
        self.when.truth(request, Sense::Plain)
    }

    /// Why it is not known whether it applies.
    pub(crate) fn unknown(&self, request: &Request<'_>) -> FactSet {
        self.when.unknown(request, Sense::Plain)
    }

    /// The facts that it asks for.
    pub(crate) fn facts(&self) -> FactSet {
        let aged = matches!(&self.verdict, Verdict::Require(require) if require.max_age.is_some());
        [
            Some(Fact::Proofs).filter(|_| aged),
            Some(Fact::Remembered).filter(|_| self.remember.is_some()),
        ]
        .into_iter()
        .flatten()
        .collect::<FactSet>()
        .union(self.when.facts())
    }
}

/// Why a device must not stand in for what a rule demands.
fn never_remembered(floor: bool, verdict: &Verdict) -> Option<&'static str> {
    match verdict {
        _ if floor => {
            Some("a floor holds for remembered devices too; `remember` belongs to a rule")
        }
        Verdict::NotRequired => Some("`remember` means nothing where nothing is required"),
        Verdict::Deny => Some("`remember` means nothing where the login is refused"),
        Verdict::Require(require) if require.is_strong() => Some(
            "a remembered device is neither phishing-resistant nor has it verified anybody; leave `remember` out",
        ),
        Verdict::Require(_) => None,
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[rule]]\nname = {}", Quoted(&self.name))?;
        writeln!(f, "when = {}\nrequire = {}", self.when, self.verdict)?;
        if let Some(remember) = &self.remember {
            writeln!(f, "remember = {remember}")?;
        }
        if self.floor {
            writeln!(f, "floor = true")?;
        }
        Ok(())
    }
}

/// A name that people call something by; `what` says what it is the name of.
pub(crate) fn name(value: Value<'_>, what: &str, findings: &mut Findings<'_>) -> Option<String> {
    let name = value.string(findings)?;
    let fault = if name.trim().is_empty() {
        format!("{what} is empty; it is what records and reports call it by")
    } else if name.chars().count() > MAX_NAME {
        format!("{what} is longer than {MAX_NAME} characters")
    } else if name.trim() != name || !name.chars().all(is_visible) {
        format!(
            "{what} {} holds blanks at an end or characters that cannot be seen",
            quoted(name)
        )
    } else {
        return Some(name.to_owned());
    };
    value.error(findings, fault);
    None
}
