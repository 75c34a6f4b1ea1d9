//! What holds for every policy and every login, tried on random ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, and not in what they call"
)]

mod login;
mod naive;
mod review;
mod written;

use std::collections::BTreeSet;

use policy::{
    Additions, Decision, Effect, Policy, Request, Requirement, Source, Truth, Verdict, Vocabulary,
};
use proptest::prelude::*;

use login::{Attempt, NOW, login};
use written::{FACTORS, Written, rule, text};

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    phishing_resistant: &["fido2", "passkey"],
    user_verified: &["fido2"],
    ..Vocabulary::new(&FACTORS)
};

fn parse(rules: &[Written]) -> Policy {
    parse_text(&text(rules))
}

fn parse_text(text: &str) -> Policy {
    let source = Source { name: "p", text };
    Policy::parse(&[source], &VOCABULARY).unwrap_or_else(|found| panic!("{text}\n{found:#?}"))
}

/// What somebody has proven: factors, and how long ago.
type Proven = (BTreeSet<&'static str>, u32);

/// Whether that meets the verdict.
fn met(verdict: &Verdict, (proven, age): &Proven) -> bool {
    match verdict {
        Verdict::NotRequired => true,
        Verdict::Deny => false,
        Verdict::Require(require) => {
            let Requirement { any, count, .. } = require;
            let strong = |word: &str| {
                (!require.phishing_resistant || VOCABULARY.phishing_resistant.contains(&word))
                    && (!require.user_verified || VOCABULARY.user_verified.contains(&word))
            };
            let listed = |word: &str| any.is_empty() || any.iter().any(|one| one == word);
            let counted = proven.iter().filter(|word| listed(word) && strong(word));
            counted.count() >= usize::from(*count) && *age <= require.max_age.unwrap_or(0)
        }
    }
}

/// Everything that somebody can have proven: now, ten minutes ago, an hour ago, long ago.
fn proofs() -> impl Iterator<Item = Proven> {
    let ages = [0, 600, 3600, 1_000_000];
    (0..1_u32 << FACTORS.len()).flat_map(move |bits| {
        let chosen = FACTORS.iter().enumerate();
        let chosen = chosen.filter(move |(place, _)| bits & (1 << place) != 0);
        let chosen: BTreeSet<&'static str> = chosen.map(|(_, word)| *word).collect();
        ages.map(|age| (chosen.clone(), age))
    })
}

/// What a rule demands by itself.
fn demand(rule: &Written) -> Verdict {
    let alone = Written {
        when: Vec::new(),
        floor: false,
        ..rule.clone()
    };
    parse(&[alone]).decide(&Request::new("", "", NOW)).verdict
}

/// The rule that decides when all is known, and the floors that then hold.
fn applying<'r>(rules: &'r [Written], login: &Attempt) -> (Option<&'r Written>, Vec<&'r Written>) {
    let found = naive::candidates(rules, login);
    let found: Vec<&Written> = found
        .iter()
        .filter(|(_, answer)| *answer == Some(true))
        .map(|(number, _)| &rules[*number])
        .collect();
    let first = found.iter().find(|rule| !rule.floor).copied();
    (first, found.into_iter().filter(|rule| rule.floor).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// The index, the explanation and a plain reading of every rule in turn agree on which rules apply.
    #[test]
    fn every_way_to_ask_gives_the_same_answer(
        rules in prop::collection::vec(rule(), 0..40),
        logins in prop::collection::vec(login(), 1..5),
    ) {
        let policy = parse(&rules);
        for login in &logins {
            let explanation = login.with(|request| policy.explain(request));
            prop_assert_eq!(login.with(|request| policy.decide(request)), explanation.decision);
            for (report, rule) in explanation.reasons.rules.iter().zip(&rules) {
                let answer = match report.applies { Truth::No => Some(false), Truth::Yes => Some(true), Truth::Unknown => None };
                prop_assert_eq!(answer, naive::holds(&rule.when, login, false), "{:?} {:?}", rule, login);
                let conditions = report.conditions.iter().fold(Truth::Yes, |all, one| all.and(one.holds));
                prop_assert_eq!(conditions, report.applies);
            }
            // The steps name exactly the rules that count.
            let mut named: Vec<usize> = explanation.reasons.steps.iter()
                .filter_map(|step| step.rule.as_ref()).map(|name| name.parse().unwrap()).collect();
            named.sort_unstable();
            let counted: Vec<usize> = naive::candidates(&rules, login).into_iter().map(|(number, _)| number).collect();
            prop_assert_eq!(named, counted);
        }
    }

    /// Whoever meets the decision meets the rule that matched first and every floor that matched.
    #[test]
    fn a_floor_never_loosens(rules in prop::collection::vec(rule(), 0..8), login in login()) {
        let decision = login.with(|request| parse(&rules).decide(request));
        let without: Vec<Written> = rules.iter().filter(|rule| !rule.floor).cloned().collect();
        let base = login.with(|request| parse(&without).decide(request));
        let (_, floors) = applying(&rules, &login);
        let floors: Vec<Verdict> = floors.into_iter().map(demand).collect();
        for proven in proofs() {
            if met(&decision.verdict, &proven) {
                prop_assert!(met(&base.verdict, &proven), "{proven:?} {decision:?} {base:?}");
            }
            // A remembered device stands in for the rule, and for no floor.
            let left = decision.trust.as_ref().map_or(&decision.verdict, |trust| &trust.left);
            if met(left, &proven) {
                for floor in &floors {
                    prop_assert!(met(floor, &proven), "{proven:?} {decision:?} {floor:?}");
                }
            }
        }
    }

    /// Whoever meets the decision on less knowledge meets everything that full knowledge demands: the rule that decides
    /// and each floor. And a device is remembered only where it would be with full knowledge, or nothing is required.
    #[test]
    fn what_is_not_known_never_loosens(
        rules in prop::collection::vec(rule(), 0..8),
        login in login(),
        mask in 0..512_u16,
    ) {
        let policy = parse(&rules);
        let less = login.hidden(mask).with(|request| policy.decide(request));
        let full = login.with(|request| policy.decide(request));
        if naive::candidates(&rules, &login).iter().any(|(_, answer)| answer.is_none()) {
            // Not all is known even before something is hidden.
            return Ok(());
        }
        let (first, floors) = applying(&rules, &login);
        let any = Verdict::Require(Requirement::any_factor());
        let demanded: Vec<Verdict> = floors.into_iter().map(demand).collect();
        let base = first.map_or(any, demand);
        for proven in proofs() {
            if met(&less.verdict, &proven) {
                prop_assert!(met(&base, &proven), "{proven:?} {less:?} {base:?}");
                for floor in &demanded {
                    prop_assert!(met(floor, &proven), "{proven:?} {less:?} {floor:?}");
                }
            }
            if less.trust.as_ref().is_some_and(|trust| met(&trust.left, &proven)) {
                prop_assert!(full.trust.is_some() || met(&base, &proven), "{less:?} {full:?}");
                for floor in &demanded {
                    prop_assert!(met(floor, &proven), "{proven:?} {less:?} {floor:?}");
                }
            }
        }
        // What mattered is named: if the decisions differ, something was not known.
        if less.unknown.is_empty() {
            // But for the name of the rule: two may demand the same.
            prop_assert_eq!((less.verdict, less.trust), (full.verdict, full.trust));
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides(rules in prop::collection::vec(rule(), 0..8), login in login()) {
        let rules: Vec<Written> = rules.into_iter().map(|rule| Written { floor: false, ..rule }).collect();
        if naive::candidates(&rules, &login).iter().any(|(_, answer)| answer.is_none()) {
            return Ok(());
        }
        let decision = login.with(|request| parse(&rules).decide(request));
        let first = naive::candidates(&rules, &login).first().map(|(number, _)| *number);
        prop_assert_eq!(decision.rule, first.map(|number| number.to_string()));
        let expected = first.map_or(Verdict::Require(Requirement::any_factor()), |number| demand(&rules[number]));
        prop_assert_eq!(decision.verdict, expected);
    }

    /// Whatever a decision demands can be given: no number of zero lets anybody in, and none is out of reach.
    #[test]
    fn every_login_gets_a_decision_that_means_something(
        rules in prop::collection::vec(rule(), 0..20),
        login in login(),
    ) {
        let decision = login.with(|request| parse(&rules).decide(request));
        if let Verdict::Require(requirement) = &decision.verdict {
            prop_assert!(requirement.count >= 1);
            let distinct: BTreeSet<&String> = requirement.any.iter().collect();
            prop_assert_eq!(distinct.len(), requirement.any.len());
            prop_assert!(met(&decision.verdict, &(FACTORS.into(), 0)), "{decision:?}");
        }
        if let Some(trust) = &decision.trust {
            prop_assert!(trust.left != decision.verdict && trust.left != Verdict::Deny);
        }
    }

    /// Files whose rules do not concern the same logins may be consulted in any order, and so may rules that demand the
    /// same; floors in any.
    #[test]
    fn the_order_of_files_matters_only_where_their_rules_meet(
        rules in prop::collection::vec(rule(), 1..6),
        others in prop::collection::vec(rule(), 1..6),
        login in login(),
        same in any::<bool>(),
    ) {
        let name = |prefix: &str, text: String| text.replace("name = \"", &format!("name = \"{prefix}"));
        let pinned = |rules: &[Written], user: &'static str| -> Vec<Written> {
            rules.iter().cloned().map(|mut rule| {
                let all = vec![std::mem::take(&mut rule.when)];
                rule.when = vec![written::Condition::List("user", vec![user])];
                if !all[0].is_empty() {
                    rule.when.push(written::Condition::All(all));
                }
                rule
            }).collect()
        };
        let alike = |rules: &[Written]| -> Vec<Written> {
            rules.iter().map(|rule| Written { require: "{ count = 2 }".into(), remember: false, floor: false, ..rule.clone() }).collect()
        };
        let (first, second) = if same {
            (alike(&rules), alike(&others))
        } else {
            (pinned(&rules, "alice"), pinned(&others, "bob"))
        };
        let (first, second) = (name("a", text(&first)), name("b", text(&second)));
        let read = |sources: [&str; 2]| {
            let sources = sources.map(|text| Source { name: "p", text });
            Policy::parse(&sources, &VOCABULARY).unwrap()
        };
        let one = login.with(|request| read([&first, &second]).decide(request));
        let other = login.with(|request| read([&second, &first]).decide(request));
        prop_assert_eq!(&one.verdict, &other.verdict);
        if !same {
            prop_assert_eq!(one, other);
        }
    }

    /// What a user demands in addition only tightens, and is read as it is printed.
    #[test]
    fn additions_never_loosen(
        rules in prop::collection::vec(rule(), 0..6),
        wishes in prop::collection::vec((written::place_conditions(), written::require()), 0..4),
        login in login(),
    ) {
        let wishes: Vec<Written> = wishes.into_iter()
            .map(|(when, require)| Written { when, require, remember: false, floor: true })
            .filter(|wish| wish.require.starts_with('{'))
            .collect();
        let wished = text(&wishes);
        let Ok(own) = Additions::parse(Source { name: "own", text: &wished }, &VOCABULARY) else {
            // Demands that nobody could meet.
            prop_assert!(wishes.iter().any(|wish| demand(wish) == Verdict::Deny), "{wished}");
            return Ok(());
        };
        let printed = own.to_string();
        let again = Additions::parse(Source { name: "own", text: &printed }, &VOCABULARY).unwrap();
        prop_assert_eq!(&printed, &again.to_string());
        let policy = parse(&rules);
        let before = login.with(|request| policy.decide(request));
        let after = login.with(|request| policy.decide_with(request, &own));
        prop_assert_eq!(&after, &login.with(|request| policy.explain_with(request, &again)).decision);
        for proven in proofs() {
            prop_assert!(!met(&after.verdict, &proven) || met(&before.verdict, &proven), "{proven:?} {before:?} {after:?}");
            if let Some(trust) = &after.trust {
                let left = before.trust.as_ref().map_or(&before.verdict, |trust| &trust.left);
                prop_assert!(!met(&trust.left, &proven) || met(left, &proven), "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn a_printed_policy_is_the_same_policy(
        rules in prop::collection::vec(rule(), 0..8),
        until in prop::option::of(0..253_402_300_799_i64),
        login in login(),
    ) {
        let unenrolled = until.map_or(String::new(), |until| {
            let until = jiff::Timestamp::from_second(until).unwrap();
            format!("\n[subject]\nsu = \"caller\"\n\n[unenrolled]\naction = \"enroll\"\nuntil = {until}\n")
        });
        let policy = parse_text(&(parse(&rules).to_string() + &unenrolled));
        prop_assert_eq!(policy.unenrolled().until, until);
        let printed = policy.to_string();
        let again = parse_text(&printed);
        prop_assert_eq!(&printed, &again.to_string());
        prop_assert_eq!(policy.subject(), again.subject());
        prop_assert_eq!(policy.needs(), again.needs());
        let explained = |policy: &Policy| {
            let mut explanation = login.with(|request| policy.explain(request));
            explanation.reasons.rules.iter_mut().for_each(|rule| rule.place.clear());
            explanation
        };
        prop_assert_eq!(explained(&policy), explained(&again));
    }

    /// Damaged policies are either still sound or refused with errors that stand in the file.
    #[test]
    fn diagnostics_point_inside_the_file(
        rules in prop::collection::vec(rule(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}=\",.#\n\\\\a0é\u{1}-]{0,3}"), 1..4),
    ) {
        let mut text: Vec<char> = parse(&rules).to_string().chars().collect();
        for (place, inserted) in damage {
            let place = place.index(text.len());
            text.splice(place..=place, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        let lines: Vec<&str> = text.split('\n').collect();
        for found in Policy::parse(&[Source { name: "p", text: &text }], &VOCABULARY).err().unwrap_or_default() {
            prop_assert!((1..=lines.len()).contains(&found.line), "{found}");
            let width = lines[found.line - 1].chars().count();
            prop_assert!((1..=width + 1).contains(&found.column), "{found} {width}");
            prop_assert!(!found.message.is_empty() && !found.message.contains('\n'));
            prop_assert!(found.message.chars().count() < 500);
        }
    }

    #[test]
    fn any_text_at_all_is_read_or_refused(text in any::<String>()) {
        let source = Source { name: "p", text: &text };
        let refused = Policy::parse(&[source], &VOCABULARY).err();
        prop_assert!(refused.is_none_or(|found| !found.is_empty()));
        let refused = Additions::parse(source, &VOCABULARY).err();
        prop_assert!(refused.is_none_or(|found| !found.is_empty()));
    }
}

/// The effects that only explanations have are told apart.
#[test]
fn a_rule_that_is_not_reached_is_told_from_one_that_does_not_match() {
    let rule = |name: &str, user: &str| {
        format!("[[rule]]\nname = \"{name}\"\nwhen = {{ user = \"{user}\" }}\nrequire = \"none\"\n")
    };
    let policy = parse_text(
        &[
            rule("no", "bob"),
            rule("yes", "alice"),
            rule("late", "alice"),
        ]
        .concat(),
    );
    let explanation = policy.explain(&Request::new("alice", "sshd", NOW));
    let effects: Vec<Effect> = explanation
        .reasons
        .rules
        .iter()
        .map(|rule| rule.effect)
        .collect();
    assert_eq!(
        effects,
        [Effect::DidNotMatch, Effect::Decided, Effect::NotReached]
    );
    assert_eq!(
        explanation.decision,
        Decision::certain(Verdict::NotRequired, Some("yes".into()))
    );
}
