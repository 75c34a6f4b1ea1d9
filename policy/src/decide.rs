//! The decision on one login. Total: every request gets one, and none can make it panic.

use crate::{
    Policy, Request, Truth,
    explain::{Effect, Step},
    fact::FactSet,
    own::Additions,
    remember::Trust,
    requirement::{Factor, Requirement},
    rule::Rule,
    verdict::Verdict,
};

/// What a login needs, and which rule says so.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What it needs. Where only strong factors will do, they are named one by one; a demand that no factor can meet is a
    /// refusal.
    pub verdict: Verdict,
    /// The rule that decided: the last floor that tightened the verdict, else the first rule that matched. `None` if none
    /// did.
    pub rule: Option<String>,
    /// How a device may be remembered, and what it then still needs.
    pub trust: Option<Trust>,
    /// Facts that were not known, and that could have made the decision another one (looser: what is not known never
    /// loosens).
    pub unknown: FactSet,
}

impl Decision {
    /// This verdict of this rule, with nothing unknown and nothing remembered.
    pub fn certain(verdict: Verdict, rule: Option<String>) -> Self {
        Self {
            verdict,
            rule,
            trust: None,
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
        self.decide_with(request, &Additions::default())
    }

    /// The same, with what this user demands in addition.
    pub fn decide_with(&self, request: &Request<'_>, own: &Additions) -> Decision {
        let mut rules = self.first.candidates(&self.rules, request);
        let mut floors = self.floors.candidates(&self.rules, request);
        let own = own.rules.iter().map(|rule| (rule, rule.truth(request)));
        combine(
            request,
            &mut rules,
            &mut floors.by_ref().chain(own),
            &self.factors,
            &mut |_, _| {},
        )
    }
}

/// Puts together what rules say. `rules` (in order, asked until one matches) and `floors` (all asked) may leave out those
/// whose truth is no. `note` hears of each step.
pub(crate) fn combine<'p>(
    request: &Request<'_>,
    rules: &mut dyn Iterator<Item = (&'p Rule, Truth)>,
    floors: &mut dyn Iterator<Item = (&'p Rule, Truth)>,
    factors: &[Factor],
    note: &mut dyn FnMut(Option<&'p Rule>, Step),
) -> Decision {
    let mut undecided: Vec<&Rule> = Vec::new();
    let mut matched: Option<&Rule> = None;
    for (rule, truth) in rules {
        match truth {
            Truth::No => {}
            Truth::Unknown => undecided.push(rule),
            Truth::Yes => {
                matched = Some(rule);
                break;
            }
        }
    }
    let mut outcome = Outcome::of(matched, factors);
    note(matched, outcome.step(Effect::Decided, FactSet::NONE));
    for rule in undecided.into_iter().rev() {
        let unknown = outcome.hedge(rule, request);
        note(Some(rule), outcome.step(Effect::Undecided, unknown));
    }
    for (floor, truth) in floors {
        if truth == Truth::No {
            continue;
        }
        let changed = outcome.tighten(floor);
        let mut unknown = FactSet::NONE;
        if changed && truth == Truth::Unknown {
            unknown = floor.unknown(request);
            outcome.unknown = outcome.unknown.union(unknown);
        }
        let effect = match (changed, truth) {
            (true, Truth::Unknown) => Effect::TightenedUndecided,
            (true, _) => Effect::Tightened,
            (false, _) => Effect::AddedNothing,
        };
        note(Some(floor), outcome.step(effect, unknown));
    }
    let before = outcome.verdict.clone();
    let decision = outcome.settle();
    if decision.verdict != before {
        let step = Step {
            effect: Effect::Settled,
            verdict: decision.verdict.clone(),
            unknown: FactSet::NONE,
        };
        note(None, step);
    }
    decision
}

/// A decision in the making.
struct Outcome<'p> {
    verdict: Verdict,
    rule: Option<&'p Rule>,
    /// The rule whose `remember` counts.
    trusting: Option<&'p Rule>,
    /// What a remembered device needs.
    left: Verdict,
    unknown: FactSet,
    factors: &'p [Factor],
}

impl<'p> Outcome<'p> {
    fn of(matched: Option<&'p Rule>, factors: &'p [Factor]) -> Self {
        let any = || Verdict::Require(Requirement::any_factor());
        Self {
            verdict: matched.map_or_else(any, |rule| rule.verdict.clone()),
            rule: matched,
            trusting: matched.filter(|rule| rule.remember.is_some()),
            left: Verdict::NotRequired,
            unknown: FactSet::NONE,
            factors,
        }
    }

    /// Takes the stricter of "this rule decides" and what was found for "it does not". Says which facts would tell, if
    /// that matters.
    fn hedge(&mut self, rule: &'p Rule, request: &Request<'_>) -> FactSet {
        let trusts = rule.remember.is_some() || self.trusting.is_some();
        let other = rule.verdict != self.verdict || trusts;
        let verdict = self.verdict.tightened(&rule.verdict, self.factors);
        if verdict != self.verdict {
            self.verdict = verdict;
            self.rule = Some(rule);
        }
        // An exemption has nothing that a device could stand in for. Any other rule would have to allow it itself.
        if rule.verdict != Verdict::NotRequired {
            self.trusting = None;
        }
        let unknown = if other {
            rule.unknown(request)
        } else {
            FactSet::NONE
        };
        self.unknown = self.unknown.union(unknown);
        unknown
    }

    /// Puts a floor on top; says whether that changed anything.
    fn tighten(&mut self, floor: &'p Rule) -> bool {
        let verdict = self.verdict.tightened(&floor.verdict, self.factors);
        let left = self.left.tightened(&floor.verdict, self.factors);
        let stricter = verdict != self.verdict;
        if stricter {
            self.verdict = verdict;
            self.rule = Some(floor);
        }
        let changed = stricter || (self.trusting.is_some() && left != self.left);
        self.left = left;
        changed
    }

    fn step(&self, effect: Effect, unknown: FactSet) -> Step {
        Step {
            effect,
            verdict: self.verdict.clone(),
            unknown,
        }
    }

    fn settle(self) -> Decision {
        let verdict = self.verdict.settled(self.factors);
        let left = self.left.settled(self.factors);
        let trust = self
            .trusting
            .filter(|_| verdict != Verdict::Deny && left != verdict)
            .and_then(|rule| {
                Some(Trust {
                    rule: rule.name.clone(),
                    remember: rule.remember.clone()?,
                    left,
                })
            });
        Decision {
            verdict,
            rule: self.rule.map(|rule| rule.name.clone()),
            trust,
            unknown: self.unknown,
        }
    }
}
