//! Why a decision is what it is: every rule, every condition, and how it came about. It decides nothing itself.

use std::fmt::{self, Write as _};

use crate::{
    Decision, Policy, Request, Truth,
    decide::combine,
    fact::FactSet,
    own::Additions,
    remember::Remember,
    rule::{Place, Rule},
    truth::Sense,
    verdict::Verdict,
};

/// Longest text of a condition or of what a login has, in bytes: a list of networks can be long.
const LONGEST: usize = 400;

/// A decision and its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What [`Policy::decide_with`] says.
    pub decision: Decision,
    /// Every rule, in the order of the sources, then the user's own.
    pub rules: Vec<RuleReport>,
    /// How the decision came about, in order. The first step is the rule that matched first, or that none did.
    pub steps: Vec<Step>,
}

/// What one rule had to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleReport {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Whether it is a floor.
    pub floor: bool,
    /// Whether it is an addition of the user's own.
    pub own: bool,
    /// Whether it applies to this login.
    pub truth: Truth,
    /// What it demands.
    pub verdict: Verdict,
    /// Its `remember`.
    pub remember: Option<Remember>,
    /// Its conditions.
    pub conditions: Vec<ConditionReport>,
    /// What it did.
    pub effect: Effect,
}

/// What one condition answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionReport {
    /// As it is written, in one spelling; a long list is cut.
    pub text: String,
    /// What the login has in its place. Empty for `any`, `all` and `not`.
    pub found: String,
    /// The answer.
    pub truth: Truth,
    /// The conditions within. Below a `not`, their own answers, which it turns round.
    pub parts: Vec<ConditionReport>,
}

/// What a rule did for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does not apply.
    DidNotMatch,
    /// A rule above it had decided.
    NotReached,
    /// It was the first to match. In a step without a rule: none did.
    Decided,
    /// It is not known whether it applies: the stricter of both was taken.
    Undecided,
    /// A floor that made the decision stricter.
    Tightened,
    /// The same, though it is not known whether it applies.
    TightenedUndecided,
    /// A floor that demands no more than was demanded already.
    AddedNothing,
    /// No rule: of the factors, those that are strong enough were picked.
    Settled,
}

impl Effect {
    /// A word for it, for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::DidNotMatch => "did-not-match",
            Self::NotReached => "not-reached",
            Self::Decided => "decided",
            Self::Undecided => "undecided",
            Self::Tightened => "tightened",
            Self::TightenedUndecided => "tightened-undecided",
            Self::AddedNothing => "added-nothing",
            Self::Settled => "settled",
        }
    }
}

/// One step of a decision. Displayed as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The rule in question.
    pub rule: Option<String>,
    /// What it did.
    pub effect: Effect,
    /// What is needed after this step.
    pub verdict: Verdict,
    /// What was not known, and mattered here.
    pub unknown: FactSet,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            effect,
            verdict,
            unknown,
            ..
        } = self;
        let rule = self.rule.as_deref().unwrap_or_default();
        match effect {
            Effect::Decided if self.rule.is_none() => {
                write!(f, "No rule matches, so one factor of any kind: {verdict}")
            }
            Effect::Decided => write!(f, "The first rule that matches is {rule:?}: {verdict}"),
            Effect::Undecided if unknown.is_empty() => {
                write!(f, "{rule:?} may match, which changes nothing: {verdict}")
            }
            Effect::Undecided => write!(
                f,
                "{rule:?} may match ({unknown}: not known), so the stricter of both: {verdict}"
            ),
            Effect::Tightened => write!(f, "The floor {rule:?} holds on top: {verdict}"),
            Effect::TightenedUndecided => write!(
                f,
                "The floor {rule:?} may match ({unknown}: not known), so it holds: {verdict}"
            ),
            Effect::AddedNothing => write!(f, "The floor {rule:?} demands no more: {verdict}"),
            Effect::Settled if *verdict == Verdict::Deny => {
                write!(
                    f,
                    "There are not enough factors that are so strong: {verdict}"
                )
            }
            Effect::Settled => write!(f, "The factors that are so strong: {verdict}"),
            Effect::DidNotMatch => write!(f, "{rule:?} does not match: {verdict}"),
            Effect::NotReached => write!(f, "{rule:?} is not reached: {verdict}"),
        }
    }
}

impl Policy {
    /// Explains what [`Policy::decide`] says.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        self.explain_with(request, &Additions::default())
    }

    /// Explains what [`Policy::decide_with`] says. It asks every rule, and so takes longer.
    pub fn explain_with(&self, request: &Request<'_>, own: &Additions) -> Explanation {
        let truths: Vec<(&Rule, Truth)> = self
            .rules
            .iter()
            .chain(&own.rules)
            .map(|rule| (rule, rule.truth(request)))
            .collect();
        let asked = |floor: bool| {
            let asked = truths.iter().filter(move |(rule, _)| rule.floor == floor);
            asked.map(|(rule, truth)| (*rule, *truth))
        };
        let mut steps = Vec::new();
        let mut effects: Vec<(&Rule, Effect)> = Vec::new();
        let decision = combine(
            request,
            &mut asked(false),
            &mut asked(true),
            &self.factors,
            &mut |rule, step| {
                effects.extend(rule.map(|rule| (rule, step.effect)));
                steps.push(Step {
                    rule: rule.map(|rule| rule.name.clone()),
                    ..step
                });
            },
        );
        let effects: std::collections::HashMap<*const Rule, Effect> = effects
            .into_iter()
            .map(|(rule, effect)| (std::ptr::from_ref(rule), effect))
            .collect();
        let report = |(number, (rule, truth)): (usize, &(&Rule, Truth))| RuleReport {
            name: rule.name.clone(),
            place: rule.place.clone(),
            floor: rule.floor,
            own: number >= self.rules.len(),
            truth: *truth,
            verdict: rule.verdict.clone(),
            remember: rule.remember.clone(),
            conditions: rule.when.report(request, Sense::Plain),
            effect: effects
                .get(&std::ptr::from_ref::<Rule>(rule))
                .copied()
                .unwrap_or(match truth {
                    Truth::No => Effect::DidNotMatch,
                    Truth::Unknown | Truth::Yes => Effect::NotReached,
                }),
        };
        Explanation {
            decision,
            rules: truths.iter().enumerate().map(report).collect(),
            steps,
        }
    }
}

/// A text cut to the length that a person reads.
pub(crate) fn bounded(text: fmt::Arguments<'_>) -> String {
    struct Bounded(String);
    impl fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = LONGEST.saturating_sub(self.0.len());
            let fits = text.floor_char_boundary(room.min(text.len()));
            self.0.push_str(text.get(..fits).unwrap_or_default());
            // An error ends the writing: the rest of the text is not even made.
            if fits < text.len() {
                Err(fmt::Error)
            } else {
                Ok(())
            }
        }
    }
    let mut bounded = Bounded(String::new());
    if bounded.write_fmt(text).is_err() {
        bounded.0.push('…');
    }
    bounded.0
}
