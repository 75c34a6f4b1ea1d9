//! What an administrator expects of a policy: logins and what shall become of them, to be kept beside it. It reads texts
//! and compares; it decides nothing by itself.

mod login;

use std::collections::HashMap;

use login::Imagined;

use crate::{
    Decision, Diagnostic, Explanation, Fact, Policy, Source, UnenrolledAction, Vocabulary,
    diagnostic::quoted,
    document::{Document, Findings, Table, Value},
    load::Lines,
    rule::{self, Place},
    verdict::Verdict,
};

/// Largest file of expectations, in bytes.
pub const MAX_EXPECTATIONS_SOURCE: usize = 1024 * 1024;
/// Most expectations in one file.
pub const MAX_EXPECTATIONS: usize = 10_000;

/// Nothing can be said of a login at no time.
const NO_TIME: &str = "the policy looks at the time, and the expectation names none: write `at`, in it or above the first one";

/// One login, and what shall become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// What it says, unlike any other's of its file.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    login: Imagined,
    decision: Wanted,
    rule: Option<WantedRule>,
    unenrolled: Option<UnenrolledAction>,
}

/// The decision that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// This one.
    Exactly(Verdict),
    /// Some factor, whichever and however many.
    Ask,
}

/// Who shall decide.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WantedRule {
    Named(String),
    /// No rule: none matches.
    None,
}

/// What became of an expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What is not as it was expected, a sentence each. None: all is.
    pub faults: Vec<String>,
    /// What the policy says, and why.
    pub explanation: Explanation,
}

impl Expectation {
    /// Reads a text of `[[expect]]`.
    ///
    /// # Errors
    /// Everything that is wrong with it, in order; a text without expectations too.
    pub fn parse(
        source: Source<'_>,
        vocabulary: &Vocabulary<'_>,
    ) -> Result<Vec<Self>, Vec<Diagnostic>> {
        let mut findings = Findings::new(source);
        let mut expected = Vec::new();
        if let Some(document) = Document::parse(source, MAX_EXPECTATIONS_SOURCE, &mut findings) {
            let root = document.root("a file of expectations");
            let at = root
                .take("at")
                .and_then(|value| value.moment(&mut findings));
            match root.take("expect") {
                Some(value) => {
                    expected = read_all(value, &source, at, vocabulary, &mut findings);
                }
                None => findings.error(0..0, "the file has no [[expect]]"),
            }
            root.finish(&mut findings);
        }
        let found = findings.into_diagnostics();
        if found.is_empty() {
            Ok(expected)
        } else {
            Err(found)
        }
    }

    /// The rule that shall decide, if one is named.
    pub fn rule(&self) -> Option<&str> {
        match &self.rule {
            Some(WantedRule::Named(name)) => Some(name),
            Some(WantedRule::None) | None => None,
        }
    }

    /// Whether `policy` does with the login what is expected.
    pub fn try_on(&self, policy: &Policy) -> Trial {
        let until = policy.unenrolled().until.is_some() && self.unenrolled.is_some();
        let timeless = self.login.at.is_none();
        let now = self.login.at.unwrap_or_default();
        let explanation = self
            .login
            .with_request(now, |request| policy.explain(request));
        let faults = if timeless && (policy.needs().contains(Fact::Time) || until) {
            vec![NO_TIME.to_owned()]
        } else {
            self.faults(policy, &explanation.decision, now)
        };
        Trial {
            faults,
            explanation,
        }
    }

    fn faults(&self, policy: &Policy, decision: &Decision, now: i64) -> Vec<String> {
        let mut faults = Vec::new();
        let as_wanted = match &self.decision {
            Wanted::Exactly(verdict) => policy.settle(verdict) == decision.verdict,
            Wanted::Ask => matches!(decision.verdict, Verdict::Require(_)),
        };
        if !as_wanted {
            let wanted = match &self.decision {
                Wanted::Exactly(verdict) => verdict.to_string(),
                Wanted::Ask => "\"ask\"".to_owned(),
            };
            faults.push(format!("expected {wanted}, and it is {}", decision.verdict));
        }
        let decided = decision.rule.as_deref();
        match &self.rule {
            Some(WantedRule::Named(name)) if decided != Some(name) => {
                let instead =
                    decided.map_or("none does".to_owned(), |rule| format!("{rule:?} does"));
                faults.push(format!(
                    "expected the rule {name:?} to decide, and {instead}"
                ));
            }
            Some(WantedRule::None) if decided.is_some() => {
                let rule = decided.unwrap_or_default();
                faults.push(format!("expected no rule to decide, and {rule:?} does"));
            }
            Some(_) | None => {}
        }
        let action = policy.unenrolled().action_at(now);
        if let Some(wanted) = self.unenrolled.filter(|wanted| *wanted != action) {
            faults.push(format!(
                "expected \"{}\" for whoever has no factor, and it is \"{}\"",
                wanted.word(),
                action.word()
            ));
        }
        faults
    }
}

fn read_all(
    value: Value<'_>,
    source: &Source<'_>,
    at: Option<i64>,
    vocabulary: &Vocabulary<'_>,
    findings: &mut Findings<'_>,
) -> Vec<Expectation> {
    let Some(tables) = value.as_array() else {
        value.error(
            findings,
            "an expectation begins with [[expect]], in double brackets",
        );
        return Vec::new();
    };
    let lines = Lines::of(source);
    let mut expected: Vec<Expectation> = Vec::new();
    let mut places = HashMap::new();
    for (number, written) in tables.enumerate() {
        if number == MAX_EXPECTATIONS {
            let message =
                format!("this expectation is one more than the {MAX_EXPECTATIONS} that are read");
            written.error(findings, message);
            break;
        }
        let Some(table) = written.table("an expectation", findings) else {
            continue;
        };
        let place = lines.place(table.span().start);
        let Some(mut expectation) = read(table, place, vocabulary, findings) else {
            continue;
        };
        let named = places.insert(expectation.name.clone(), expectation.place.clone());
        if let Some(first) = named {
            let message = format!(
                "{first} has an expectation of the name {}",
                quoted(&expectation.name)
            );
            written.error(findings, message);
        }
        expectation.login.at = expectation.login.at.or(at);
        expected.push(expectation);
    }
    expected
}

fn read(
    table: Table<'_>,
    place: Place,
    vocabulary: &Vocabulary<'_>,
    findings: &mut Findings<'_>,
) -> Option<Expectation> {
    let name = table.require("name", findings);
    let name = name.and_then(|value| rule::name(value, "the expectation's name", findings));
    let login = Imagined::read(&table, findings);
    let decision = table.require("decision", findings);
    let decision = decision.and_then(|value| match value.as_str() {
        Some("ask") => Some(Wanted::Ask),
        _ => Verdict::read(value, vocabulary, findings).map(Wanted::Exactly),
    });
    let rule = match table.take("rule") {
        Some(value) => value.string(findings).map(|name| {
            Some(match name {
                "" => WantedRule::None,
                name => WantedRule::Named(name.to_owned()),
            })
        }),
        None => Some(None),
    };
    let unenrolled = match table.take("unenrolled") {
        Some(value) => UnenrolledAction::read(value, findings).map(Some),
        None => Some(None),
    };
    table.finish(findings);
    Some(Expectation {
        name: name?,
        place,
        login: login?,
        decision: decision?,
        rule: rule?,
        unenrolled: unenrolled?,
    })
}
