//! What may at best be asked of somebody, wherever they come from and whenever: to tell whom a policy locks out for certain.

use crate::{
    Additions, Blame, Policy, Request, Truth, Verdict, requirement::Requirement, rule::Rule,
    truth::Sense,
};

/// One of the things that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prospect {
    /// What it is; a demand that no factor can meet is a refusal.
    pub verdict: Verdict,
    /// The rule that says so, of the policy or of the user's own; `None` where no rule decides.
    pub blame: Option<Blame>,
}

impl Policy {
    /// What a login may be asked, of which `request` has user, uid, groups, service and target, and of which all else may
    /// still be anything. Floors that are not certain to hold are left out, so this is never stricter than what really
    /// happens.
    pub fn at_best(&self, request: &Request<'_>, own: &Additions) -> Vec<Prospect> {
        let truth = |rule: &Rule| rule.when.truth(request, Sense::Open);
        let mut bases: Vec<(Verdict, Option<&Rule>)> = Vec::new();
        let mut open = true;
        for rule in self.rules.iter().filter(|rule| !rule.floor) {
            let truth = truth(rule);
            if truth != Truth::No {
                bases.push((rule.verdict.clone(), Some(rule)));
            }
            if truth == Truth::Yes {
                open = false;
                break;
            }
        }
        if open {
            bases.push((Verdict::Require(Requirement::any_factor()), None));
        }
        let floors: Vec<&Rule> = self
            .rules
            .iter()
            .filter(|rule| rule.floor)
            .chain(&own.rules)
            .filter(|floor| truth(floor) == Truth::Yes)
            .collect();
        let mut prospects: Vec<Prospect> = Vec::new();
        for (verdict, base) in bases {
            let (mut verdict, mut decided) = (verdict, base);
            for floor in &floors {
                let tightened = verdict.tightened(&floor.verdict, &self.factors);
                if tightened != verdict {
                    (verdict, decided) = (tightened, Some(*floor));
                }
            }
            let verdict = verdict.settled(&self.factors);
            if prospects.iter().all(|known| known.verdict != verdict) {
                let blame = decided.map(Blame::require);
                prospects.push(Prospect { verdict, blame });
            }
        }
        prospects
    }

    /// Whether somebody who has enrolled factors of these kinds can meet a verdict.
    pub fn can_be_met(&self, verdict: &Verdict, kinds: &[&str]) -> bool {
        match verdict {
            Verdict::NotRequired => true,
            Verdict::Deny => false,
            Verdict::Require(require) => {
                let fit = require.fit(&require.any, &self.factors);
                let counted = fit.iter().filter(|kind| kinds.contains(kind));
                counted.count() >= usize::from(require.count)
            }
        }
    }
}
