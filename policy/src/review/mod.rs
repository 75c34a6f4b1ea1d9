//! What is wrong with a policy that has no mistakes: rules that say nothing, and rules that say more than their author
//! may want. It judges rules, and no login.

mod at_best;
mod prover;

use std::fmt;

use crate::{Blame, Fact, FactSet, Policy, Verdict, rule::Rule};

pub use at_best::Prospect;
pub(crate) use prover::Prover;

/// Most warnings that are given.
const MAX_WARNINGS: usize = 500;

/// Facts that a running system may not find out.
const MAY_BE_UNKNOWN: [Fact; 6] = [
    Fact::Seat,
    Fact::Country,
    Fact::Device,
    Fact::Risk,
    Fact::LastMfa,
    Fact::LastLogin,
];

/// What there is to say about a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concern {
    /// Its conditions contradict each other.
    NeverMatches,
    /// A rule above matches whenever it does.
    Shadowed,
    /// It lets every login in without a second factor.
    LetsEverybodyIn,
    /// It refuses logins of which something is not known.
    DeniesTheUnknown,
    /// No factor can meet what it demands.
    CannotBeMet,
}

impl Concern {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NeverMatches => "never-matches",
            Self::Shadowed => "shadowed",
            Self::LetsEverybodyIn => "lets-everybody-in",
            Self::DeniesTheUnknown => "denies-the-unknown",
            Self::CannotBeMet => "cannot-be-met",
        }
    }

    /// The part of a rule that it is about.
    fn blame(self, rule: &Rule) -> Blame {
        match self {
            Self::NeverMatches | Self::Shadowed => Blame::when(rule),
            Self::LetsEverybodyIn | Self::DeniesTheUnknown | Self::CannotBeMet => {
                Blame::require(rule)
            }
        }
    }
}

/// Something that is legal and probably not meant. Displayed as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What it is.
    pub concern: Concern,
    /// What to look at: the rule's `when` or its `require`.
    pub blame: Blame,
    /// While one of these facts is not known, the rule may count after all (of [`Concern::NeverMatches`] and
    /// [`Concern::Shadowed`]), or is what refuses ([`Concern::DeniesTheUnknown`]).
    pub unknown: FactSet,
    text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Review {
    /// In the order of the rules; at most 500.
    pub warnings: Vec<Warning>,
    /// Whether every rule was compared with every other: with many thousands of them that takes too long.
    pub complete: bool,
}

impl Policy {
    /// Looks for what is legal and probably not meant. A rule of which it says that it never decides never does, whatever
    /// the login, unless a fact that the warning names is not known; but it does not find every such rule.
    pub fn review(&self) -> Review {
        let mut prover = Prover::default();
        let mut warnings = Vec::new();
        let mut above: Vec<&Rule> = Vec::new();
        let opened = self.lets_everybody_in();
        for rule in &self.rules {
            let idle = prover.is_impossible(&rule.when);
            if idle {
                warnings.push(rule.warning(Concern::NeverMatches, rule.uncertain(), never_matches));
            } else if rule.floor {
                // It holds on top of rules, wherever it stands.
            } else if let Some(first) = prover.covering(&rule.when, &above) {
                let unknown = if rule.uncertain().is_empty() {
                    FactSet::NONE
                } else {
                    first.uncertain()
                };
                warnings.push(rule.warning(Concern::Shadowed, unknown, |_| shadowed(first)));
            } else {
                above.push(rule);
            }
            if idle {
                continue;
            }
            if opened.is_some_and(|opening| std::ptr::eq(opening, rule)) {
                warnings.push(rule.warning(Concern::LetsEverybodyIn, FactSet::NONE, everybody));
            }
            let missing = rule.may_be_unknown();
            if rule.verdict == Verdict::Deny && !missing.is_empty() {
                warnings.push(rule.warning(Concern::DeniesTheUnknown, missing, denies));
            }
            if rule.verdict != Verdict::Deny && self.cannot_be_met(rule) {
                warnings.push(rule.warning(Concern::CannotBeMet, FactSet::NONE, cannot_be_met));
            }
            if warnings.len() >= MAX_WARNINGS {
                warnings.truncate(MAX_WARNINGS);
                break;
            }
        }
        Review {
            warnings,
            complete: !prover.gave_up(),
        }
    }

    /// The rule that lets every login in that no rule before it has let in already, if no login needs a factor.
    fn lets_everybody_in(&self) -> Option<&Rule> {
        let floors = self.rules.iter().any(|rule| rule.floor);
        let mut rules = self.rules.iter().filter(|rule| !rule.floor);
        let last =
            rules.find(|rule| rule.verdict != Verdict::NotRequired || rule.when.0.is_empty());
        last.filter(|rule| !floors && rule.verdict == Verdict::NotRequired)
    }

    /// Whether no factors that there are meet a rule together with the floors that hold for every login.
    fn cannot_be_met(&self, rule: &Rule) -> bool {
        let always = self
            .rules
            .iter()
            .filter(|floor| floor.floor && floor.when.0.is_empty());
        let verdict = always.fold(rule.verdict.clone(), |verdict, floor| {
            verdict.tightened(&floor.verdict, &self.factors)
        });
        // A floor that refuses everybody says so itself.
        let refused = self
            .rules
            .iter()
            .any(|floor| floor.floor && floor.when.0.is_empty() && floor.verdict == Verdict::Deny);
        !refused && verdict.settled(&self.factors) == Verdict::Deny
    }
}

impl Rule {
    fn warning(
        &self,
        concern: Concern,
        unknown: FactSet,
        text: impl FnOnce(&Warning) -> String,
    ) -> Warning {
        let mut warning = Warning {
            concern,
            blame: concern.blame(self),
            unknown,
            text: String::new(),
        };
        warning.text = text(&warning);
        warning
    }

    /// The facts of its conditions that a running system may not find out.
    fn may_be_unknown(&self) -> FactSet {
        let facts = self.when.facts();
        MAY_BE_UNKNOWN
            .into_iter()
            .filter(|fact| facts.contains(*fact))
            .collect()
    }

    /// The facts without which its conditions may answer neither yes nor no. That a login has a user and a service is
    /// certain.
    fn uncertain(&self) -> FactSet {
        let certain = [Fact::User, Fact::Service];
        let facts = self.when.facts();
        facts
            .iter()
            .filter(|fact| !certain.contains(fact))
            .collect()
    }
}

fn never_matches(_: &Warning) -> String {
    "its conditions contradict each other: it never matches".to_owned()
}

fn shadowed(first: &Rule) -> String {
    format!(
        "it never decides: {:?} ({}) stands above it and matches every login that it matches",
        first.name, first.place
    )
}

fn everybody(_: &Warning) -> String {
    "no login needs a second factor: nothing above it asks for one, it matches everybody, and there is no floor"
        .to_owned()
}

fn denies(warning: &Warning) -> String {
    format!(
        "it refuses everybody whom its other conditions fit while this is not known: {}. To be safe from that, write a \
         floor that demands more rather than a rule that refuses",
        warning.unknown
    )
}

fn cannot_be_met(_: &Warning) -> String {
    "no factors of this version meet what it demands, together with the floors that always hold: it refuses everybody"
        .to_owned()
}
