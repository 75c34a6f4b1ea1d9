//! What holds for every login of a kind, whatever rules are added: the floors that certainly apply to it.

use std::fmt::Write as _;

use crate::{
    Policy, Source, UnenrolledAction, Verdict, Vocabulary, duration::Seconds,
    requirement::Requirement, review::Prover, rule::Rule,
};

/// Most rules that a sentence names.
const MOST_NAMED: usize = 5;

impl Policy {
    /// What the floors demand that certainly hold for every login that `goal`, a table of conditions, holds for; `None` if
    /// nothing.
    fn floor(&self, goal: &str) -> Option<Requirement> {
        let text = format!("[[rule]]\nname = \"goal\"\nwhen = {goal}\nrequire = \"none\"\n");
        let source = Source {
            name: "goal",
            text: &text,
        };
        let goal = Self::parse(&[source], &Vocabulary::new(&[])).ok()?;
        let goal = goal.rules.first()?;
        let mut prover = Prover::default();
        let floors = self.rules.iter().filter(|rule| rule.floor);
        let certain = floors.filter(|floor| prover.covering(&goal.when, &[floor]).is_some());
        let verdict = certain.fold(Verdict::NotRequired, |verdict, floor| {
            verdict.tightened(&floor.verdict, &self.factors)
        });
        required(verdict)
    }

    /// What is demanded of every login; `None` if nothing.
    pub(super) fn of_every_login(&self) -> Option<Requirement> {
        self.floor("{}")
    }

    /// What is demanded of every login before which no password was proven.
    pub(super) fn without_password(&self) -> Option<Requirement> {
        self.floor("{ not = { first-factor = \"password\" } }")
    }

    /// What is demanded of every login of the highest risk.
    pub(super) fn of_high_risk(&self) -> Option<Requirement> {
        self.floor("{ risk = \"high\" }")
    }

    /// What is demanded of every login of root.
    pub(super) fn of_root(&self) -> Option<Requirement> {
        self.floor("{ user = \"root\", uid = 0 }")
    }

    /// Names rules.
    pub(super) fn named(&self, which: impl Fn(&Rule) -> bool) -> Option<String> {
        let found: Vec<&Rule> = self.rules.iter().filter(|rule| which(rule)).collect();
        let mut text = String::new();
        for rule in found.iter().take(MOST_NAMED) {
            let before = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{before}{:?} ({})", rule.name, rule.place);
        }
        if let Some(more) = found.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
            let _ = write!(text, ", and {more} more");
        }
        (!text.is_empty()).then_some(text)
    }

    /// Rules by which a device is remembered for longer than so many seconds.
    pub(super) fn remembering(&self, longer: u32) -> Option<String> {
        self.named(|rule| {
            rule.remember
                .as_ref()
                .is_some_and(|one| one.seconds > longer)
        })
    }

    /// Whether one of these is done with the unenrolled.
    pub(super) fn unenrolled_is(&self, actions: &[UnenrolledAction]) -> bool {
        actions.contains(&self.unenrolled().action)
    }
}

/// A floor that refuses everybody demands more than any preset does.
fn required(verdict: Verdict) -> Option<Requirement> {
    match verdict {
        Verdict::NotRequired => None,
        Verdict::Require(requirement) => Some(requirement),
        Verdict::Deny => Some(Requirement {
            phishing_resistant: true,
            user_verified: true,
            ..Requirement::any_factor()
        }),
    }
}

/// A duration in words.
pub(super) fn shown(seconds: u32) -> String {
    Seconds(seconds).to_string()
}
