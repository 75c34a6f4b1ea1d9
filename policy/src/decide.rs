//! The decision on one login. Total: every request gets one, and none can make it panic.

use crate::{
    Policy, Request, Truth,
    fact::FactSet,
    rule::Rule,
    verdict::{Requirement, Verdict},
};

/// What a login needs, and which rule says so.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What it needs.
    pub verdict: Verdict,
    /// The rule that decided: the last floor that tightened the verdict, else the first rule that matched. `None` if none
    /// did.
    pub rule: Option<String>,
    /// Facts that were not known, and that could have made the decision another one (looser: what is not known never
    /// loosens).
    pub unknown: FactSet,
}

impl Decision {
    /// This verdict of this rule, with nothing unknown.
    pub fn certain(verdict: Verdict, rule: Option<String>) -> Self {
        Self {
            verdict,
            rule,
            unknown: FactSet::NONE,
        }
    }
}

impl Policy {
    /// Decides: the first rule that matches, else one factor of any kind; then every floor that matches on top.
    ///
    /// A rule of which it is not known whether it matches gives the stricter of "it does" and "it does not, go on", and
    /// such a floor is put on top.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        let mut undecided: Vec<&Rule> = Vec::new();
        let mut decision = Decision::certain(Verdict::Require(Requirement::any_factor()), None);
        for rule in self.rules.iter().filter(|rule| !rule.floor) {
            match rule.when.truth(request) {
                Truth::No => {}
                Truth::Unknown => undecided.push(rule),
                Truth::Yes => {
                    decision = Decision::certain(rule.verdict.clone(), Some(rule.name.clone()));
                    break;
                }
            }
        }
        for rule in undecided.into_iter().rev() {
            if rule.verdict != decision.verdict {
                decision.unknown = decision.unknown.union(rule.when.unknown(request));
            }
            self.tighten(&mut decision, rule);
        }
        for floor in self.rules.iter().filter(|rule| rule.floor) {
            let truth = floor.when.truth(request);
            let changed = truth != Truth::No && self.tighten(&mut decision, floor);
            if changed && truth == Truth::Unknown {
                decision.unknown = decision.unknown.union(floor.when.unknown(request));
            }
        }
        decision
    }

    /// Puts a rule on top of a decision; says whether that changed it.
    fn tighten(&self, decision: &mut Decision, rule: &Rule) -> bool {
        let verdict = decision.verdict.tightened(&rule.verdict, &self.factors);
        let changed = verdict != decision.verdict;
        if changed {
            decision.verdict = verdict;
            decision.rule = Some(rule.name.clone());
        }
        changed
    }
}
