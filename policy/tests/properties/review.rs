//! What is said of a policy without a login holds for every login.

use policy::{Additions, Concern, Policy, Request, Truth, Verdict};
use proptest::{prelude::*, strategy::ValueTree as _};

use crate::{
    login::login,
    parse,
    written::{Condition, FACTORS, Written, rule, when},
};

/// Rules that are likely to stand in each other's way: some repeat another's conditions, or narrow them.
fn crowded() -> impl Strategy<Value = Vec<Written>> {
    let rules = prop::collection::vec(rule(), 1..5);
    let narrower = (any::<prop::sample::Index>(), when(), 0..4_u8, rule());
    (rules, prop::collection::vec(narrower, 0..5)).prop_map(|(mut rules, more)| {
        for (which, conditions, how, like) in more {
            let first = which.get(&rules).when.clone();
            let when = match how {
                0 => first,
                1 => vec![Condition::All(tables([first, conditions]))],
                2 => vec![Condition::Any(tables([first.clone(), first]))],
                _ => vec![
                    Condition::All(tables([first.clone(), conditions])),
                    Condition::Not(non_empty(first)),
                ],
            };
            rules.push(Written {
                when: when.into_iter().filter(is_sound).collect(),
                ..like
            });
        }
        rules
    })
}

fn non_empty(table: Vec<Condition>) -> Vec<Condition> {
    if table.is_empty() {
        vec![Condition::List("service", vec!["login"])]
    } else {
        table
    }
}

fn tables<const N: usize>(tables: [Vec<Condition>; N]) -> Vec<Vec<Condition>> {
    tables
        .into_iter()
        .filter(|table| !table.is_empty())
        .collect()
}

fn is_sound(condition: &Condition) -> bool {
    !matches!(condition, Condition::All(tables) | Condition::Any(tables) if tables.is_empty())
}

fn said_to_be_idle(policy: &Policy) -> Vec<(String, bool)> {
    let idle = [Concern::NeverMatches, Concern::Shadowed];
    let warnings = policy.review().warnings.into_iter();
    warnings
        .filter(|warning| idle.contains(&warning.concern))
        .map(|warning| (warning.blame.rule, warning.unknown.is_empty()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    /// A rule of which the review says that it never decides does not, unless something that it names is not known.
    #[test]
    fn a_rule_that_is_said_never_to_decide_never_does(
        rules in crowded(),
        logins in prop::collection::vec(login(), 1..12),
        mask in 0..512_u16,
    ) {
        let policy = parse(&rules);
        let idle = said_to_be_idle(&policy);
        for login in logins.iter().flat_map(|login| [login.clone(), login.hidden(mask)]) {
            let decision = login.with(|request| policy.decide(request));
            let explanation = login.with(|request| policy.explain(request));
            for (rule, always) in &idle {
                if decision.rule.as_ref() == Some(rule) {
                    let number: usize = rule.parse().unwrap();
                    prop_assert!(!always, "{rule} {rules:?} {login:?}");
                    prop_assert_eq!(explanation.reasons.rules[number].applies, Truth::Unknown, "{} {:?} {:?}", rule, rules, login);
                }
            }
        }
    }

    /// Where the best that is promised cannot be met, no login of that person at that service can be.
    #[test]
    fn nobody_is_asked_for_less_than_the_least_that_is_foreseen(
        rules in prop::collection::vec(rule(), 0..8),
        login in login(),
        enrolled in prop::sample::subsequence(&FACTORS[..], 0..=FACTORS.len()),
    ) {
        let policy = parse(&rules);
        let decision = login.with(|request| policy.decide(request));
        let foreseen = login.with(|request| {
            let thought_of = Request {
                uid: request.uid,
                groups: request.groups,
                target: request.target,
                ..Request::new(request.user, request.service, 0)
            };
            policy.at_best(&thought_of, &Additions::default())
        });
        if policy.can_be_met(&decision.verdict, &enrolled) {
            let met = foreseen.iter().any(|prospect| policy.can_be_met(&prospect.verdict, &enrolled));
            prop_assert!(met, "{decision:?} {foreseen:?}");
        }
    }

    /// Where no login is said to need a factor, none does, whatever is known.
    #[test]
    fn a_policy_that_is_said_to_let_everybody_in_does(rules in prop::collection::vec(rule(), 0..4), login in login()) {
        let policy = parse(&rules);
        let open = policy.review().warnings.iter().any(|warning| warning.concern == Concern::LetsEverybodyIn);
        if open {
            let verdict = login.with(|request| policy.decide(request)).verdict;
            prop_assert_eq!(verdict, Verdict::NotRequired);
        }
    }
}

/// The property above would hold for a review that says nothing: this one says much.
#[test]
fn idle_rules_are_found_among_random_ones() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut found, mut unknown) = (0, 0);
    for _ in 0..200 {
        let rules = crowded().new_tree(&mut runner).unwrap().current();
        let idle = said_to_be_idle(&parse(&rules));
        found += idle.len();
        unknown += idle.iter().filter(|(_, always)| !always).count();
    }
    assert!(
        found > 100 && unknown > 20 && unknown < found,
        "{found} {unknown}"
    );
}
