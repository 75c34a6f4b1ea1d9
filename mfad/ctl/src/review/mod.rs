//! What `mfactl policy check` says of a policy without mistakes: what is legal and probably not meant. It judges nothing
//! itself that takes no more than the policy: that the policy crate does.

mod lockout;

use std::fmt::Write as _;

use policy::{Blame, Diagnostic, Policy, Source, Warning};
use serde_json::{Value, json};

use crate::command::Console;
use crate::rules::{self, PolicyFile};

/// Something to think about.
#[derive(Debug, PartialEq, Eq)]
pub struct Caution {
    /// What kind, for scripts.
    kind: &'static str,
    /// The rule that is to blame.
    rule: Option<String>,
    service: Option<&'static str>,
    what: String,
    /// The same at its place, where a rule is to blame.
    at: Option<Diagnostic>,
}

impl Caution {
    /// About this part of a rule, if one of these sources has it.
    fn new(
        kind: &'static str,
        what: String,
        blame: Option<&Blame>,
        sources: &[Source<'_>],
    ) -> Self {
        let at = blame.and_then(|blame| {
            let message = format!("warning: rule “{}”: {what}.", blame.rule);
            blame.diagnostic(sources, message)
        });
        let rule = blame.filter(|_| at.is_some());
        Self {
            kind,
            rule: rule.map(|blame| blame.rule.clone()),
            service: None,
            what,
            at,
        }
    }

    fn of(warning: &Warning, sources: &[Source<'_>]) -> Self {
        let (kind, what) = (warning.concern.word(), warning.to_string());
        Self::new(kind, what, Some(&warning.blame), sources)
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        json!({
            "kind": self.kind,
            "file": self.at.as_ref().map(|at| &at.file),
            "line": self.at.as_ref().map(|at| at.line),
            "column": self.at.as_ref().map(|at| at.column),
            "rule": self.rule,
            "service": self.service,
            "message": self.what,
        })
    }
}

/// What was found, and what could not be.
#[derive(Debug, Default)]
pub struct Cautions {
    /// In the order of the rules; those about administrators at the end.
    pub found: Vec<Caution>,
    /// What was not looked at, and why: sentences.
    pub omitted: Vec<String>,
}

/// Looks the policy of these files over, with what the daemon knows of this machine's administrators.
pub async fn of(policy: &Policy, files: &[PolicyFile], console: &Console<'_>) -> Cautions {
    let sources = rules::sources(files);
    let review = policy.review();
    let warnings = review.warnings.iter();
    let mut cautions = Cautions {
        found: warnings
            .map(|warning| Caution::of(warning, &sources))
            .collect(),
        omitted: Vec::new(),
    };
    if !review.complete {
        let what = "The policy has too many rules for each to be compared with all others: of some it is not known \
                    whether they can match.";
        cautions.omitted.push(what.to_owned());
    }
    lockout::look(policy, &sources, console, &mut cautions).await;
    cautions
}

/// A line for each, and the rule's with a caret.
pub fn text(cautions: &Cautions) -> String {
    let mut text = String::new();
    for caution in &cautions.found {
        let _ = match &caution.at {
            Some(at) => writeln!(text, "{at}"),
            None => writeln!(text, "warning: {}.", caution.what),
        };
        if let Some(caret) = caution.at.as_ref().and_then(Diagnostic::caret) {
            rules::draw(&caret, &mut text);
        }
    }
    for what in &cautions.omitted {
        let _ = writeln!(text, "{what}");
    }
    text
}
