//! What is said of a policy that has no mistakes, as tables: a policy, and the rules that are worth a second look.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, and not in what they call"
)]

use std::fmt::Write as _;

use policy::{Policy, Review, Source, Vocabulary};

const VOCABULARY: Vocabulary<'_> = Vocabulary::new(&["totp", "hotp", "backup-codes"]);

fn review(text: &str) -> Review {
    let source = Source { name: "p", text };
    let policy = Policy::parse(&[source], &VOCABULARY);
    policy
        .unwrap_or_else(|found| panic!("{text}\n{found:#?}"))
        .review()
}

/// A policy of rules written `when -> require`, named by their numbers; a `+` before one makes it a floor. Warnings are
/// written `number concern [fact, …]`.
fn warned(rules: &[&str]) -> Vec<String> {
    let mut text = String::new();
    for (number, rule) in rules.iter().enumerate() {
        let (rule, floor) = rule
            .strip_prefix('+')
            .map_or((*rule, false), |rule| (rule, true));
        let (when, require) = rule.split_once("->").unwrap();
        writeln!(text, "[[rule]]\nname = \"{number}\"\nwhen = {{ {when} }}\nrequire = {require}\nfloor = {floor}").unwrap();
    }
    let review = review(&text);
    assert!(review.complete);
    let warnings = review.warnings.iter();
    warnings
        .map(|warning| {
            let line = format!(
                "{} {} {}",
                warning.blame.rule,
                warning.concern.word(),
                warning.unknown
            );
            line.trim_end().to_owned()
        })
        .collect()
}

#[test]
fn a_rule_below_a_wider_one_never_decides() {
    for (wide, narrow) in [
        ("", "service = 'sshd'"),
        (
            "service = ['sshd', 'login']",
            "service = 'login', user = 'root'",
        ),
        ("service = 'su'", "service = 'su-l'"),
        ("service = 'su?l'", "service = 'su'"),
        ("user = 'a*'", "user = ['alice', 'a*b']"),
        (
            "network = '10.0.0.0/8'",
            "network = ['10.1.0.0/16', '::ffff:10.2.0.0/112']",
        ),
        (
            "network = ['10.0.0.0/9', '10.128.0.0/9']",
            "network = '10.0.0.0/8'",
        ),
        ("uid = '>= 1000'", "uid = '2000..3000'"),
        (
            "not = { user = 'root' }",
            "not = { user = ['root', 'toor'] }",
        ),
        ("not = { service = 'sshd' }", "service = 'login'"),
        ("any = [{ user = 'a' }, { user = 'b' }]", "user = 'b'"),
        (
            "user = ['a', 'b']",
            "any = [{ user = 'a' }, { user = 'b', service = 'su' }]",
        ),
        (
            "all = [{ user = 'a' }, { service = 'su' }]",
            "user = 'a', service = 'su'",
        ),
        ("time = 'Mon UTC'", "time = 'Mon UTC', user = 'a'"),
    ] {
        let found = warned(&[
            &format!("{wide} -> 'any'"),
            &format!("{narrow} -> {{ count = 2 }}"),
        ]);
        let [only] = found.as_slice() else {
            panic!("{wide} / {narrow}: {found:?}");
        };
        assert!(only.starts_with("1 shadowed"), "{only}");
    }
}

#[test]
fn a_rule_that_could_decide_is_not_said_never_to() {
    for (first, second) in [
        ("service = 'sshd'", ""),
        ("service = 'sshd', user = 'a'", "service = 'sshd'"),
        ("user = 'a?c'", "user = 'a*c'"),
        ("network = '10.1.0.0/16'", "network = '10.0.0.0/8'"),
        ("network = '0.0.0.0/0'", "network = '::/0'"),
        ("group = 'wheel'", "group = ['wheel', 'staff']"),
        ("not = { group = 'wheel' }", "group = 'staff'"),
        ("uid = '<= 1000'", "uid = '>= 1000'"),
        (
            "not = { user = ['root', 'toor'] }",
            "not = { user = 'root' }",
        ),
        ("time = 'Mon UTC'", "time = 'Mon..Tue UTC'"),
        ("risk = '>= high'", "risk = '>= medium'"),
        ("last-mfa = '> 30d'", "last-mfa = '> 7d'"),
        ("last-mfa = '> 30d'", "dormant = '60d'"),
    ] {
        let found = warned(&[
            &format!("{first} -> 'any'"),
            &format!("{second} -> {{ count = 2 }}"),
        ]);
        assert_eq!(found, Vec::<String>::new(), "{first} / {second}");
    }
}

#[test]
fn a_rule_that_counts_only_while_something_is_not_known_is_told_with_that() {
    assert_eq!(
        warned(&[
            "country = 'CH' -> 'none'",
            "country = 'CH', user = 'a' -> { count = 2 }"
        ]),
        ["1 shadowed country"]
    );
    // Whoever is alice for certain is never asked by the second.
    assert_eq!(
        warned(&[
            "user = 'a' -> 'none'",
            "country = 'CH', user = 'a' -> { count = 2 }"
        ]),
        ["1 shadowed"]
    );
}

#[test]
fn conditions_that_contradict_each_other_are_found() {
    for when in [
        "service = 'sshd', not = { service = ['login', 'sshd'] }",
        "user = 'a', all = [{ user = 'b' }]",
        "uid = 0, all = [{ uid = '>= 1000' }]",
        "network = '10.0.0.0/8', not = { network = '0.0.0.0/0' }",
        "service = 'su', any = [{ service = 'sudo' }, { service = 'login', user = 'a' }]",
        "service = 'su', not = { service = 'su-l' }",
        "device = 'known', all = [{ device = 'new' }]",
        "risk = 'high', all = [{ risk = '< medium' }]",
    ] {
        let found = warned(&[&format!("{when} -> 'any'")]);
        assert!(
            matches!(found.as_slice(), [only] if only.starts_with("0 never-matches")),
            "{when}: {found:?}"
        );
        let floor = warned(&[&format!("+{when} -> 'any'")]);
        assert_eq!(floor, found, "{when}");
    }
    for when in [
        "group = 'a', all = [{ group = 'b' }]",
        "user = 'a*', all = [{ user = '*b' }]",
        "user = 'a*', not = { user = 'alice' }",
        "service = 'su', any = [{ service = 'sudo' }, { user = 'a' }]",
    ] {
        assert_eq!(
            warned(&[&format!("{when} -> 'any'")]),
            Vec::<String>::new(),
            "{when}"
        );
    }
}

#[test]
fn a_policy_that_asks_nobody_is_told_where_it_does_so() {
    assert_eq!(
        warned(&["user = 'a' -> 'none'", " -> 'none'"]),
        ["1 lets-everybody-in"]
    );
    for rules in [
        &["user = 'a' -> 'none'"][..],
        &["user = 'a' -> 'any'", " -> 'none'"],
        &[" -> 'none'", "+user = 'root' -> 'any'"],
        &["user = 'a' -> 'none'", "user = 'b' -> 'deny'", " -> 'none'"],
    ] {
        assert_eq!(warned(rules), Vec::<String>::new(), "{rules:?}");
    }
}

#[test]
fn a_refusal_that_rests_on_what_may_be_unknown_is_told() {
    assert_eq!(
        warned(&["not = { country = 'CH' }, user = 'a' -> 'deny'"]),
        ["0 denies-the-unknown country"]
    );
    assert_eq!(
        warned(&["+risk = 'high', seat = 'seat0' -> 'deny'"]),
        ["0 denies-the-unknown seat, risk"]
    );
    assert_eq!(
        warned(&["country = 'CH' -> { count = 2 }"]),
        Vec::<String>::new()
    );
    assert_eq!(
        warned(&["group = 'guests', time = 'Sun UTC' -> 'deny'"]),
        Vec::<String>::new()
    );
}

#[test]
fn a_demand_that_no_factor_can_meet_is_told() {
    assert_eq!(
        warned(&["user = 'a' -> { phishing-resistant = true }"]),
        ["0 cannot-be-met"]
    );
    assert_eq!(
        warned(&[
            "user = 'a' -> { any = ['totp'] }",
            "+ -> { any = ['hotp'], count = 1 }"
        ]),
        Vec::<String>::new(),
        "both of them can be proven"
    );
    assert_eq!(
        warned(&["user = 'a' -> 'any'", "+ -> { user-verified = true }"]),
        ["0 cannot-be-met", "1 cannot-be-met"]
    );
    assert_eq!(
        warned(&["user = 'a' -> 'any'", "+ -> 'deny'"]),
        Vec::<String>::new(),
        "it says itself that it refuses everybody"
    );
}

#[test]
fn a_warning_is_a_sentence_with_the_place_of_both_rules() {
    let text = "[[rule]]\nname = 'all'\nwhen = {}\nrequire = 'any'\n\n[[rule]]\nname = 'b'\nwhen = { user = 'b' }\nrequire = 'none'\n";
    let found = review(text);
    let [warning] = found.warnings.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(warning.blame.place.to_string(), "p:6");
    assert_eq!(
        warning.to_string(),
        "it never decides: \"all\" (p:1) stands above it and matches every login that it matches"
    );
}

/// The line that each warning of a policy shows, and what is underlined in it.
fn underlined(text: &str) -> Vec<String> {
    let source = Source { name: "p", text };
    let shown = |warning: &policy::Warning| {
        let message = warning.concern.word().to_owned();
        let at = warning.blame.diagnostic(&[source], message).unwrap();
        format!("{at}\n{}", at.caret().unwrap())
    };
    review(text).warnings.iter().map(shown).collect()
}

#[test]
fn a_warning_points_at_the_part_of_the_rule_that_it_is_about() {
    for (text, shown) in [
        (
            "[[rule]]\nname = 'a'\nrequire = 'any'\nwhen = { uid = 0, not = { uid = 0 } }\n",
            "p:4:8: never-matches\n4 | when = { uid = 0, not = { uid = 0 } }\n  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        ),
        (
            "[[rule]]\nname = 'a'\nrequire = 'none'\n[rule.when]\n",
            "p:3:11: lets-everybody-in\n3 | require = 'none'\n  |           ^^^^^^",
        ),
        (
            "[[rule]]\nname = 'a'\nwhen.country = 'NZ'\nrequire = 'deny'\n",
            "p:4:11: denies-the-unknown\n4 | require = 'deny'\n  |           ^^^^^^",
        ),
        (
            "[[rule]]\nname = 'a'\nrequire = 'any'\n[rule.when]\nuser = 'a'\nnot = { user = 'a' }\n",
            "p:4:1: never-matches\n4 | [rule.when]\n  | ^^^^^^^^^^^",
        ),
        (
            "[[rule]]\nname = 'a'\nwhen = {}\nrequire = { user-verified = true }\n",
            "p:4:11: cannot-be-met\n4 | require = { user-verified = true }\n  |           ^^^^^^^^^^^^^^^^^^^^^^^^",
        ),
    ] {
        assert_eq!(underlined(text), [shown]);
    }
}

#[test]
fn so_many_rules_are_looked_at_in_bounded_time() {
    let mut text = String::new();
    for number in 0..policy::MAX_RULES {
        writeln!(text, "[[rule]]\nname = \"{number}\"\nwhen = {{ user = \"u{number}\", network = \"10.0.0.0/8\" }}\nrequire = \"any\"").unwrap();
    }
    let found = review(&text);
    assert!(!found.complete && found.warnings.is_empty());
}
