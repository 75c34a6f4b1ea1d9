//! `mfactl policy test`: tries what an administrator expects on a policy in files. It asks no daemon and changes nothing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use policy::{Expectation, Source, Trial};
use serde_json::{Value, json};

use crate::command::Console;
use crate::failure::Failure;
use crate::reasons;
use crate::render::shown;
use crate::rules::{self, Mistake};

/// What to try on what.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// File of expectations (the tables `expect` of docs/policy.md)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Try them on this policy: a file that is all of it, or a directory like /etc/mfa
    #[arg(long, value_name = "FILE|DIR")]
    pub policy: Option<PathBuf>,
}

/// `mfactl policy test`.
pub fn run(console: &mut Console<'_>, what: &TestArgs) -> Result<(), Failure> {
    let files = match &what.policy {
        Some(candidate) => rules::candidate_files(candidate, &console.root),
        None => rules::installed_files(&console.root),
    };
    let (expected, policy) = match (expectations(&what.file), rules::load(files)) {
        (Ok(expected), Ok(policy)) => (expected, policy),
        (expected, policy) => {
            let found = [expected.err(), policy.err()];
            let mistakes: Vec<Mistake> = found.into_iter().flatten().flatten().collect();
            return refuse(console, &mistakes);
        }
    };
    let tried: Vec<(&Expectation, Trial)> = expected
        .iter()
        .map(|expectation| (expectation, expectation.try_on(&policy)))
        .collect();
    let failed = tried.iter().filter(|(_, trial)| !trial.faults.is_empty());
    let count = failed.clone().count();
    let value = json!({
        "ok": count == 0,
        "passed": tried.len() - count,
        "failed": count,
        "expectations": tried.iter().map(|(expectation, trial)| json(expectation, trial)).collect::<Vec<_>>(),
    });
    let mut text: String = failed
        .map(|(expectation, trial)| failure(expectation, trial))
        .collect();
    let _ = writeln!(text, "As expected: {}, not: {count}.", tried.len() - count);
    console.show(&value, &text)?;
    if count == 0 {
        Ok(())
    } else {
        Err(Failure::Reported)
    }
}

/// Nothing was tried: a file has mistakes.
fn refuse(console: &mut Console<'_>, mistakes: &[Mistake]) -> Result<(), Failure> {
    let errors: Vec<&Value> = mistakes.iter().map(|mistake| &mistake.json).collect();
    let text = format!("{}Nothing was tried.\n", rules::listed(mistakes));
    console.show(&json!({"ok": false, "errors": errors}), &text)?;
    Err(Failure::NotTried)
}

fn expectations(path: &Path) -> Result<Vec<Expectation>, Vec<Mistake>> {
    let file = rules::read(path, None).map_err(|mistake| vec![mistake])?;
    let source = Source {
        name: &file.name,
        text: &file.text,
    };
    Expectation::parse(source, &rules::vocabulary())
        .map_err(|found| found.iter().map(Mistake::from).collect())
}

/// A failed expectation, and why: the steps, the rules that had a part in it, and the one that was expected to.
fn failure(expectation: &Expectation, trial: &Trial) -> String {
    let mut text = format!(
        "{}: “{}”\n",
        shown(&expectation.place.to_string()),
        shown(&expectation.name)
    );
    for fault in &trial.faults {
        let _ = writeln!(text, "  {}", shown(fault));
    }
    let why = &trial.explanation.reasons;
    text.push_str("Why:\n");
    text.push_str(&reasons::steps(why));
    text.push_str(&reasons::rules(why, |rule| {
        rule.effect.takes_part() || expectation.rule() == Some(&rule.name)
    }));
    text.push('\n');
    text
}

fn json(expectation: &Expectation, trial: &Trial) -> Value {
    let decision = &trial.explanation.decision;
    let mut value = json!({
        "name": expectation.name,
        "place": expectation.place.to_string(),
        "ok": trial.faults.is_empty(),
        "faults": trial.faults,
        "decision": {
            "require": decision.verdict.to_string(),
            "rule": decision.rule,
            "unknown": decision.unknown.iter().map(policy::Fact::word).collect::<Vec<_>>(),
        },
    });
    if !trial.faults.is_empty() {
        value["reasons"] = json!(trial.explanation.reasons);
    }
    value
}
