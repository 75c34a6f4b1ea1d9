//! What `mfactl policy check` says of a policy without mistakes: what is legal and probably not meant. It judges nothing
//! itself that takes no more than the policy: that the policy crate does.

mod lockout;

use std::fmt::Write as _;

use policy::{Place, Policy, Warning};
use serde_json::{Value, json};

use crate::command::Console;

/// Something to think about.
#[derive(Debug, PartialEq, Eq)]
pub struct Caution {
    /// What kind, for scripts.
    kind: &'static str,
    place: Option<Place>,
    rule: Option<String>,
    service: Option<&'static str>,
    what: String,
}

impl Caution {
    /// For scripts.
    pub fn json(&self) -> Value {
        json!({
            "kind": self.kind,
            "file": self.place.as_ref().map(|place| place.file.to_string()),
            "line": self.place.as_ref().map(|place| place.line),
            "rule": self.rule,
            "service": self.service,
            "message": self.what,
        })
    }
}

impl From<&Warning> for Caution {
    fn from(warning: &Warning) -> Self {
        Self {
            kind: warning.concern.word(),
            place: Some(warning.place.clone()),
            rule: Some(warning.rule.clone()),
            service: None,
            what: warning.to_string(),
        }
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

/// Looks a policy over, with what the daemon knows of this machine's administrators.
pub async fn of(policy: &Policy, console: &Console<'_>) -> Cautions {
    let review = policy.review();
    let mut cautions = Cautions {
        found: review.warnings.iter().map(Caution::from).collect(),
        omitted: Vec::new(),
    };
    if !review.complete {
        let what = "The policy has too many rules for each to be compared with all others: of some it is not known \
                    whether they can match.";
        cautions.omitted.push(what.to_owned());
    }
    lockout::look(policy, console, &mut cautions).await;
    cautions
}

/// A paragraph for each.
pub fn text(cautions: &Cautions) -> String {
    let mut text = String::new();
    for caution in &cautions.found {
        if let Some(place) = &caution.place {
            let _ = write!(text, "{place}: ");
        }
        text.push_str("warning: ");
        if let Some(rule) = &caution.rule {
            let _ = write!(text, "rule “{rule}”: ");
        }
        let _ = writeln!(text, "{}.", caution.what);
    }
    for what in &cautions.omitted {
        let _ = writeln!(text, "{what}");
    }
    text
}
