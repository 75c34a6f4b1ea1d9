//! Why a policy says what it says, as text for people: steps first, then rule by rule, condition by condition. Pure.

use std::fmt::Write as _;

use policy::{ConditionReport, Effect, Reasons, RuleReport, Truth};

use crate::render::shown;

/// The steps of a decision, a line each.
pub fn steps(reasons: &Reasons) -> String {
    let mut text = String::new();
    for (number, step) in reasons.steps.iter().enumerate() {
        let _ = writeln!(text, "  {}. {}", number + 1, shown(&step.text));
    }
    text
}

/// The rules that `wanted` picks, with what each of their conditions answers.
pub fn rules(reasons: &Reasons, wanted: impl Fn(&RuleReport) -> bool) -> String {
    let mut text = String::new();
    for rule in reasons.rules.iter().filter(|rule| wanted(rule)) {
        let kind = match (rule.own, rule.floor) {
            (true, _) => "the user's own floor",
            (false, true) => "floor",
            (false, false) => "rule",
        };
        let _ = writeln!(
            text,
            "  {kind} “{}” ({}): {}",
            shown(&rule.name),
            shown(&rule.place),
            effect(rule),
        );
        let _ = writeln!(text, "      require = {}", shown(&rule.require));
        if let Some(remember) = &rule.remember {
            let _ = writeln!(text, "      remember = {}", shown(remember));
        }
        if rule.conditions.is_empty() {
            text.push_str("      no conditions: every login\n");
        }
        conditions(&rule.conditions, 6, &mut text);
    }
    if reasons.left_out > 0 {
        let _ = writeln!(
            text,
            "  … and {} more that had no part in it, or no room here.",
            reasons.left_out
        );
    }
    text
}

fn effect(rule: &RuleReport) -> &'static str {
    match rule.effect {
        Effect::DidNotMatch => "does not match",
        Effect::NotReached => "is not reached: a rule above decides",
        Effect::Decided | Effect::Settled => "decides",
        Effect::Undecided => "may match",
        Effect::Tightened => "tightens",
        Effect::TightenedUndecided => "may match, and so tightens",
        Effect::AddedNothing => "demands no more than is demanded already",
    }
}

fn conditions(reports: &[ConditionReport], indent: usize, text: &mut String) {
    for report in reports {
        let answer = match report.holds {
            Truth::Yes => "yes",
            Truth::No => "no",
            Truth::Unknown => "unknown",
        };
        let _ = write!(text, "{:indent$}{answer:<8} {}", "", shown(&report.text));
        if report.found.is_empty() {
            text.push('\n');
        } else {
            let _ = writeln!(text, "; here: {}", shown(&report.found));
        }
        conditions(&report.parts, indent + 2, text);
    }
}
