//! Why a decision is what it is: every rule, every condition, and how it came about. It decides nothing itself.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
};

use serde::{Deserialize, Serialize};

use crate::{
    Decision, Policy, Request, Truth, condition::KINDS, decide::combine, fact::FactSet,
    own::Additions, rule::Rule, truth::Sense, verdict::Verdict,
};

/// Longest text of a condition or of what a login has, in bytes: a list of networks can be long.
const LONGEST: usize = 400;

/// Most rules, and most steps, that an explanation names; those that took part come first.
const MOST_RULES: usize = 2_000;
/// Most conditions that it names, all its rules together.
const MOST_CONDITIONS: usize = 4_000;

/// A decision and its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What [`Policy::decide_with`] says.
    pub decision: Decision,
    /// Why.
    pub reasons: Reasons,
}

/// Why a decision is what it is, in words: it can travel, and be shown where the policy is not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reasons {
    /// Every rule, in the order of the sources, then the user's own.
    pub rules: Vec<RuleReport>,
    /// How the decision came about, in order. The first step is the rule that matched first, or that none did.
    pub steps: Vec<StepReport>,
    /// How many rules and steps are not named, of a policy that has very many.
    pub left_out: usize,
}

/// What one rule had to do with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RuleReport {
    /// Its name.
    pub name: String,
    /// Where it stands: `file:line`.
    pub place: String,
    /// Whether it is a floor.
    pub floor: bool,
    /// Whether it is an addition of the user's own.
    pub own: bool,
    /// Whether it applies to this login.
    pub applies: Truth,
    /// What it demands, as it is written.
    pub require: String,
    /// Its `remember`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<String>,
    /// What it did.
    pub effect: Effect,
    /// Its conditions.
    pub conditions: Vec<ConditionReport>,
}

/// What one condition answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConditionReport {
    /// As it is written, in one spelling; a long list is cut.
    pub text: String,
    /// What the login has in its place. Empty for `any`, `all` and `not`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// The answer.
    pub holds: Truth,
    /// The conditions within. Below a `not`, their own answers, which it turns round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ConditionReport>,
}

impl ConditionReport {
    /// How many there are, with those within.
    fn count(&self) -> usize {
        1 + self.parts.iter().map(Self::count).sum::<usize>()
    }
}

/// One step of a decision, for readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StepReport {
    /// The rule in question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What it did.
    pub effect: Effect,
    /// What is needed after this step.
    pub require: String,
    /// The step as a sentence.
    pub text: String,
}

/// What a rule did for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// Whether the rule had a part in the decision.
    pub const fn takes_part(self) -> bool {
        !matches!(self, Self::DidNotMatch | Self::NotReached)
    }
}

/// One step of a decision.
pub(crate) struct Step {
    /// What it did.
    pub(crate) effect: Effect,
    /// What is needed after this step.
    pub(crate) verdict: Verdict,
    /// What was not known, and mattered here.
    pub(crate) unknown: FactSet,
}

impl Step {
    /// The step as a sentence about `rule`.
    fn sentence(&self, rule: Option<&str>) -> String {
        let Self {
            effect,
            verdict,
            unknown,
        } = self;
        let Some(rule) = rule else {
            return match effect {
                Effect::Settled if *verdict == Verdict::Deny => {
                    format!("There are not enough factors that are so strong: {verdict}")
                }
                Effect::Settled => format!("The factors that are so strong: {verdict}"),
                _ => format!("No rule matches, so one factor of any kind: {verdict}"),
            };
        };
        match effect {
            Effect::Undecided if unknown.is_empty() => {
                format!("{rule:?} may match, which changes nothing: {verdict}")
            }
            Effect::Undecided => format!(
                "{rule:?} may match ({unknown}: not known), so the stricter of both: {verdict}"
            ),
            Effect::Tightened => format!("The floor {rule:?} holds on top: {verdict}"),
            Effect::TightenedUndecided => format!(
                "The floor {rule:?} may match ({unknown}: not known), so it holds: {verdict}"
            ),
            Effect::AddedNothing => format!("The floor {rule:?} demands no more: {verdict}"),
            _ => format!("The first rule that matches is {rule:?}: {verdict}"),
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
        let mut effects: HashMap<*const Rule, Effect> = HashMap::new();
        let decision = combine(
            request,
            &mut asked(false),
            &mut asked(true),
            &self.factors,
            &mut |rule, step| {
                effects.extend(rule.map(|rule| (std::ptr::from_ref(rule), step.effect)));
                let rule = rule.map(|rule| rule.name.clone());
                steps.push(StepReport {
                    text: step.sentence(rule.as_deref()),
                    require: step.verdict.to_string(),
                    effect: step.effect,
                    rule,
                });
            },
        );
        let effect = |rule: &Rule, truth| {
            let noted = effects.get(&std::ptr::from_ref(rule)).copied();
            noted.unwrap_or(match truth {
                Truth::No => Effect::DidNotMatch,
                Truth::Unknown | Truth::Yes => Effect::NotReached,
            })
        };
        let candidates = truths
            .iter()
            .enumerate()
            .map(|(number, (rule, truth))| Candidate {
                rule,
                own: number >= self.rules.len(),
                truth: *truth,
                effect: effect(rule, *truth),
            });
        let (rules, left_out) = reports(candidates.collect(), request);
        let cut = steps.len().saturating_sub(MOST_RULES);
        // The first and the last tell most.
        steps.drain(1..=cut);
        Explanation {
            decision,
            reasons: Reasons {
                rules,
                steps,
                left_out: left_out + cut,
            },
        }
    }
}

impl Request<'_> {
    /// What the login has in the place of each condition, as reports show it: the condition's key, and the value.
    pub fn found(&self) -> impl Iterator<Item = (&'static str, String)> {
        let found = KINDS.iter().map(|kind| {
            let found = (kind.found)(self);
            (kind.key, bounded(format_args!("{found}")))
        });
        // Tables of conditions stand for nothing in a login.
        found.filter(|(_, found)| !found.is_empty())
    }
}

/// A rule that was asked.
struct Candidate<'p> {
    rule: &'p Rule,
    own: bool,
    truth: Truth,
    effect: Effect,
}

impl Candidate<'_> {
    fn report(&self, request: &Request<'_>) -> RuleReport {
        let Rule {
            name,
            place,
            when,
            verdict,
            remember,
            floor,
            written: _,
        } = self.rule;
        RuleReport {
            name: name.clone(),
            place: place.to_string(),
            floor: *floor,
            own: self.own,
            applies: self.truth,
            require: verdict.to_string(),
            remember: remember.as_ref().map(ToString::to_string),
            effect: self.effect,
            conditions: when.report(request, Sense::Plain),
        }
    }
}

/// The reports of `candidates` in their order, and how many there is no room for. First those that took part get room.
fn reports(candidates: Vec<Candidate<'_>>, request: &Request<'_>) -> (Vec<RuleReport>, usize) {
    let mut chosen: Vec<(usize, RuleReport)> = Vec::new();
    let mut conditions = 0;
    for part in [true, false] {
        let of_this_part = candidates.iter().enumerate();
        for (number, candidate) in of_this_part.filter(|(_, c)| c.effect.takes_part() == part) {
            if chosen.len() == MOST_RULES || conditions > MOST_CONDITIONS {
                break;
            }
            let report = candidate.report(request);
            conditions += report
                .conditions
                .iter()
                .map(ConditionReport::count)
                .sum::<usize>();
            chosen.push((number, report));
        }
    }
    chosen.sort_unstable_by_key(|(number, _)| *number);
    let left_out = candidates.len() - chosen.len();
    (
        chosen.into_iter().map(|(_, report)| report).collect(),
        left_out,
    )
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
