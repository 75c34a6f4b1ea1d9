//! What holds for every policy and every login, tried on random ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, and not in what they call"
)]

use std::{collections::BTreeSet, net::IpAddr};

use policy::{Known, Policy, Request, Requirement, Source, Verdict, Vocabulary};
use proptest::{prelude::*, sample::subsequence};

const FACTORS: [&str; 4] = ["totp", "hotp", "backup-codes", "fido2"];
const VOCABULARY: Vocabulary<'_> = Vocabulary::new(&FACTORS);

/// A rule as its author writes it.
#[derive(Debug, Clone)]
struct Written {
    when: String,
    require: String,
    floor: bool,
}

fn parse(rules: &[Written]) -> Policy {
    let spell = |(
        number,
        Written {
            when,
            require,
            floor,
        },
    ): (usize, &Written)| {
        format!(
            "[[rule]]\nname = \"{number}\"\nwhen = {when}\nrequire = {require}\nfloor = {floor}\n"
        )
    };
    let text = rules
        .iter()
        .enumerate()
        .map(spell)
        .collect::<Vec<_>>()
        .concat();
    let source = Source {
        name: "p",
        text: &text,
    };
    Policy::parse(&[source], &VOCABULARY).unwrap_or_else(|found| panic!("{text}\n{found:#?}"))
}

fn list(words: &[&str]) -> String {
    format!("{words:?}")
}

fn when() -> impl Strategy<Value = String> {
    let condition = |key: &'static str, values: &'static [&'static str]| {
        prop::option::of(subsequence(values, 1..=values.len()))
            .prop_map(move |chosen| chosen.map(|words| format!("{key} = {}", list(&words))))
    };
    (
        condition("service", &["sshd", "su-l", "SUDO", "s*", "?u"]),
        condition("user", &["alice", "bob", "a*", "*", "?ob"]),
        condition("group", &["wheel", "staff", "w*"]),
        condition(
            "network",
            &[
                "local",
                "10.0.0.0/8",
                "::ffff:10.1.0.0/112",
                "2001:db8::/32",
                "::1",
            ],
        ),
    )
        .prop_map(|(a, b, c, d)| {
            let conditions: Vec<String> = [a, b, c, d].into_iter().flatten().collect();
            format!("{{ {} }}", conditions.join(", "))
        })
}

fn require() -> impl Strategy<Value = String> {
    let table = subsequence(&FACTORS[..], 0..=FACTORS.len()).prop_flat_map(|any| {
        let most = if any.is_empty() { 3 } else { any.len().min(3) };
        (1..=most).prop_map(move |count| match any.as_slice() {
            [] => format!("{{ count = {count} }}"),
            any => format!("{{ any = {}, count = {count} }}", list(any)),
        })
    });
    prop_oneof![
        1 => Just("\"none\"".to_owned()),
        1 => Just("\"any\"".to_owned()),
        1 => Just("\"deny\"".to_owned()),
        5 => table,
    ]
}

fn rule() -> impl Strategy<Value = Written> {
    (when(), require(), any::<bool>()).prop_map(|(when, require, floor)| Written {
        floor: floor && require != "\"none\"",
        when,
        require,
    })
}

/// A login, owning what a [`Request`] borrows.
#[derive(Debug, Clone)]
struct Login {
    user: String,
    groups: Vec<String>,
    service: String,
    address: Option<IpAddr>,
    local: bool,
}

impl Login {
    fn request(&self) -> Request<'_> {
        Request {
            groups: Known::Is(&self.groups),
            address: self.address,
            local: self.local,
            ..Request::new(&self.user, &self.service, 0)
        }
    }
}

fn login() -> impl Strategy<Value = Login> {
    let name = |usual: &'static [&'static str]| prop_oneof![4 => prop::sample::select(usual).prop_map(str::to_owned), 1 => any::<String>()];
    let address = prop_oneof![
        4 => prop::sample::select(&["10.1.0.1", "::ffff:10.1.0.9", "2001:db8::1", "::1", "203.0.113.9"][..])
            .prop_map(|text| text.parse().unwrap()),
        1 => any::<IpAddr>(),
    ];
    (
        name(&["alice", "bob", "root", ""]),
        prop::collection::vec(name(&["wheel", "staff", "users"]), 0..4),
        name(&["sshd", "su", "su-l", "sudo", "sudo-i", "login"]),
        prop::option::of(address),
        any::<bool>(),
    )
        .prop_map(|(user, groups, service, address, local)| Login {
            user,
            groups,
            service,
            address,
            local,
        })
}

/// Whether somebody who has proven exactly these factors meets the verdict.
fn met(verdict: &Verdict, proven: &BTreeSet<&str>) -> bool {
    match verdict {
        Verdict::NotRequired => true,
        Verdict::Deny => false,
        Verdict::Require(Requirement { any, count, .. }) => {
            let counted = proven
                .iter()
                .filter(|word| any.is_empty() || any.iter().any(|one| one == *word));
            counted.count() >= usize::from(*count)
        }
    }
}

/// Every set of factors that somebody can have proven.
fn subsets() -> impl Iterator<Item = BTreeSet<&'static str>> {
    (0..1_u32 << FACTORS.len()).map(|bits| {
        let chosen = FACTORS
            .iter()
            .enumerate()
            .filter(|(place, _)| bits & (1 << place) != 0);
        chosen.map(|(_, word)| *word).collect()
    })
}

/// The rule without its condition and its floor: what it demands.
fn demand(rule: &Written) -> Verdict {
    let alone = Written {
        when: "{}".into(),
        floor: false,
        ..rule.clone()
    };
    parse(&[alone]).decide(&Request::new("", "", 0)).verdict
}

/// Whether the rule's condition holds.
fn applies(rule: &Written, login: &Login) -> bool {
    let alone = Written {
        floor: false,
        ..rule.clone()
    };
    parse(&[alone]).decide(&login.request()).rule.is_some()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever meets the decision meets the rule that matched first and every floor that matched.
    #[test]
    fn a_floor_never_loosens(rules in prop::collection::vec(rule(), 0..8), login in login()) {
        let decision = parse(&rules).decide(&login.request());
        let without: Vec<Written> = rules.iter().filter(|rule| !rule.floor).cloned().collect();
        let base = parse(&without).decide(&login.request());
        let floors: Vec<Verdict> = rules
            .iter()
            .filter(|rule| rule.floor && applies(rule, &login))
            .map(demand)
            .collect();
        for proven in subsets() {
            if met(&decision.verdict, &proven) {
                prop_assert!(met(&base.verdict, &proven), "{proven:?} {decision:?} {base:?}");
                for floor in &floors {
                    prop_assert!(met(floor, &proven), "{proven:?} {decision:?} {floor:?}");
                }
            }
        }
        // And it asks for nothing that can not be given, unless it denies on purpose.
        if base.verdict != Verdict::Deny && !floors.contains(&Verdict::Deny) {
            prop_assert!(met(&decision.verdict, &FACTORS.into()), "{decision:?}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides(rules in prop::collection::vec(rule(), 0..8), login in login()) {
        let rules: Vec<Written> = rules.into_iter().map(|rule| Written { floor: false, ..rule }).collect();
        let decision = parse(&rules).decide(&login.request());
        let first = rules.iter().position(|rule| applies(rule, &login));
        prop_assert_eq!(decision.rule, first.map(|number| number.to_string()));
        let expected = first.map_or(Verdict::Require(Requirement::any_factor()), |number| demand(&rules[number]));
        prop_assert_eq!(decision.verdict, expected);
    }

    /// Whatever a decision demands, some factor counts towards it: no number of zero lets anybody in.
    #[test]
    fn every_login_gets_a_decision_that_means_something(
        rules in prop::collection::vec(rule(), 0..20),
        login in login(),
    ) {
        let decision = parse(&rules).decide(&login.request());
        if let Verdict::Require(requirement) = &decision.verdict {
            prop_assert!(requirement.count >= 1);
            let distinct: BTreeSet<&String> = requirement.any.iter().collect();
            prop_assert_eq!(distinct.len(), requirement.any.len());
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
            format!("\n[unenrolled]\naction = \"enroll\"\nuntil = {until}\n")
        });
        let text = parse(&rules).to_string() + &unenrolled;
        let policy = Policy::parse(&[Source { name: "p", text: &text }], &VOCABULARY).unwrap();
        prop_assert_eq!(policy.unenrolled().until, until);
        let printed = policy.to_string();
        let again = Policy::parse(&[Source { name: "p", text: &printed }], &VOCABULARY).unwrap();
        prop_assert_eq!(format!("{policy:?}"), format!("{again:?}"));
        prop_assert_eq!(&printed, &again.to_string());
        prop_assert_eq!(policy.decide(&login.request()), again.decide(&login.request()));
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
        let refused = Policy::parse(&[Source { name: "p", text: &text }], &VOCABULARY).err();
        prop_assert!(refused.is_none_or(|found| !found.is_empty()));
    }
}
