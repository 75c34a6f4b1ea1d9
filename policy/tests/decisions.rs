//! The semantics of a policy as tables: a policy, then logins and what each of them needs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, and not in what they call"
)]

mod plain;

use std::net::IpAddr;

use policy::{Fact, Known, Policy, Request, Source, UnenrolledAction};

fn parse(text: &str) -> Policy {
    plain::read(text).unwrap_or_else(|found| panic!("{found:#?}"))
}

/// Decides on a login written `user[:group,group] service [address | local]`; without the last word the far end's
/// address is unknown. The answer is written `require-value <- rule`.
fn decide(policy: &Policy, login: &str) -> String {
    let mut words = login.split_whitespace();
    let (who, service, place) = (words.next().unwrap(), words.next().unwrap(), words.next());
    let (user, groups) = who.split_once(':').unwrap_or((who, ""));
    let groups: Vec<String> = groups.split(',').map(str::to_owned).collect();
    let decision = policy.decide(&Request {
        groups: Known::Is(&groups),
        address: place
            .filter(|word| *word != "local")
            .map(|word| word.parse::<IpAddr>().unwrap()),
        local: place == Some("local"),
        ..Request::new(user, service, 0)
    });
    let rule = decision.rule.as_deref().unwrap_or("(none)");
    format!("{} <- {rule}", decision.verdict)
}

fn check(policy: &str, table: &[(&str, &str)]) {
    let policy = parse(policy);
    for (login, expected) in table {
        assert_eq!(decide(&policy, login), *expected, "{login}");
    }
}

#[test]
fn without_a_matching_rule_any_enrolled_factor_is_required() {
    check("", &[("alice sshd 203.0.113.9", r#""any" <- (none)"#)]);
}

#[test]
fn the_first_rule_that_matches_decides() {
    check(
        r#"
        [[rule]]
        name = "robots"
        when = { user = "ci-*" }
        require = "none"

        [[rule]]
        name = "operators"
        when = { group = ["wheel", "sudo"] }
        require = { any = ["totp", "backup-codes"] }

        [[rule]]
        name = "nobody else"
        when = {}
        require = "deny"
        "#,
        &[
            ("ci-7:wheel sshd", r#""none" <- robots"#),
            (
                "alice:users,wheel sshd",
                r#"{ any = ["totp", "backup-codes"], count = 1 } <- operators"#,
            ),
            ("alice:users sshd", r#""deny" <- nobody else"#),
            ("alice:wheelers sshd", r#""deny" <- nobody else"#),
        ],
    );
}

#[test]
fn all_conditions_of_a_rule_must_hold_and_one_value_of_each() {
    check(
        r#"
        [[rule]]
        name = "both"
        when = { service = ["sshd", "login"], user = ["alice", "b?b"] }
        require = "none"
        "#,
        &[
            ("alice sshd", r#""none" <- both"#),
            ("bob login", r#""none" <- both"#),
            ("boob login", r#""any" <- (none)"#),
            ("alice sudo", r#""any" <- (none)"#),
            ("carol sshd", r#""any" <- (none)"#),
        ],
    );
}

#[test]
fn services_ignore_case_and_match_with_their_aliases_while_users_and_groups_do_not_ignore_case() {
    check(
        r#"
        [[rule]]
        name = "su"
        when = { service = "su" }
        require = { any = ["totp"] }

        [[rule]]
        name = "sudo"
        when = { service = "SUDO-I" }
        require = { any = ["hotp"] }

        [[rule]]
        name = "runuser"
        when = { service = "runuser-?" }
        require = "none"

        [[rule]]
        name = "alice"
        when = { user = "alice" }
        require = "deny"

        [[rule]]
        name = "wheel"
        when = { group = "wheel" }
        require = "deny"
        "#,
        &[
            ("bob su", r#"{ any = ["totp"], count = 1 } <- su"#),
            ("bob su-l", r#"{ any = ["totp"], count = 1 } <- su"#),
            ("bob SU-L", r#"{ any = ["totp"], count = 1 } <- su"#),
            ("bob sudo", r#"{ any = ["hotp"], count = 1 } <- sudo"#),
            ("bob sudo-i", r#"{ any = ["hotp"], count = 1 } <- sudo"#),
            ("bob runuser", r#""none" <- runuser"#),
            ("bob sudo-critical", r#""any" <- (none)"#),
            ("alice sshd", r#""deny" <- alice"#),
            ("Alice sshd", r#""any" <- (none)"#),
            ("bob:Wheel sshd", r#""any" <- (none)"#),
        ],
    );
}

#[test]
fn a_network_matches_known_far_ends_only_and_local_only_logins_without_one() {
    check(
        r#"
        [[rule]]
        name = "office"
        when = { network = ["10.20.0.0/16", "2001:db8::/32", "::ffff:192.0.2.0/120"] }
        require = "none"

        [[rule]]
        name = "console"
        when = { network = "local" }
        require = { any = ["totp"] }

        [[rule]]
        name = "anywhere on IPv4"
        when = { network = "0.0.0.0/0" }
        require = "deny"
        "#,
        &[
            ("alice sshd 10.20.255.255", r#""none" <- office"#),
            ("alice sshd ::ffff:10.20.0.1", r#""none" <- office"#),
            ("alice sshd 192.0.2.77", r#""none" <- office"#),
            ("alice sshd 2001:db8:1::1", r#""none" <- office"#),
            ("alice sshd 10.21.0.0", r#""deny" <- anywhere on IPv4"#),
            (
                "alice sshd ::ffff:10.21.0.1",
                r#""deny" <- anywhere on IPv4"#,
            ),
            ("alice sshd 2001:db9::1", r#""any" <- (none)"#),
            ("alice sshd 127.0.0.1", r#""deny" <- anywhere on IPv4"#),
            (
                "alice login local",
                r#"{ any = ["totp"], count = 1 } <- console"#,
            ),
            // A far end whose address nobody knows is in no network, and not local either.
            ("alice sshd", r#""any" <- (none)"#),
        ],
    );
}

#[test]
fn a_login_that_names_a_far_end_is_not_local_whatever_else_it_says() {
    let policy =
        parse("[[rule]]\nname = \"l\"\nwhen = { network = \"local\" }\nrequire = \"none\"\n");
    let decision = policy.decide(&Request {
        address: Some([203, 0, 113, 9].into()),
        local: true,
        ..Request::new("alice", "sshd", 0)
    });
    assert_eq!(decision.rule, None);
}

#[test]
fn floors_hold_on_top_of_whatever_decides_and_only_tighten() {
    check(
        r#"
        [[rule]]
        name = "exempt"
        when = { group = "exempt" }
        require = "none"

        [[rule]]
        name = "closed"
        when = { group = "closed" }
        require = "deny"

        [[rule]]
        name = "strict"
        when = { group = "strict" }
        require = { any = ["totp", "backup-codes"], count = 2 }

        [[rule]]
        name = "codes"
        when = { group = "codes" }
        require = { any = ["backup-codes"] }

        # Stands last and is looked at all the same.
        [[rule]]
        name = "root needs something"
        when = { user = "root" }
        require = "any"
        floor = true

        [[rule]]
        name = "root over ssh needs a clock or a counter"
        when = { user = "root", service = "sshd" }
        require = { any = ["totp", "hotp"] }
        floor = true

        [[rule]]
        name = "never from there"
        when = { network = "192.0.2.0/24" }
        require = "deny"
        floor = true
        "#,
        &[
            // No floor matches: the rule alone.
            ("alice:exempt sshd", r#""none" <- exempt"#),
            // none < any
            ("root:exempt login", r#""any" <- root needs something"#),
            // any < certain factors; the name is that of the last floor that made a difference
            (
                "root:exempt sshd",
                r#"{ any = ["totp", "hotp"], count = 1 } <- root over ssh needs a clock or a counter"#,
            ),
            (
                "root sshd",
                r#"{ any = ["totp", "hotp"], count = 1 } <- root over ssh needs a clock or a counter"#,
            ),
            // anything < deny
            (
                "root:exempt sshd 192.0.2.1",
                r#""deny" <- never from there"#,
            ),
            ("root:closed sshd", r#""deny" <- closed"#),
            // A floor that demands less than the rule changes nothing.
            (
                "root:strict login",
                r#"{ any = ["totp", "backup-codes"], count = 2 } <- strict"#,
            ),
            // Nothing in common: both.
            (
                "root:codes sshd",
                r#"{ any = ["backup-codes", "totp", "hotp"], count = 3 } <- root over ssh needs a clock or a counter"#,
            ),
        ],
    );
}

#[test]
fn a_floor_alone_does_not_decide() {
    check(
        r#"
        [[rule]]
        name = "floor"
        when = {}
        require = "any"
        floor = true
        "#,
        &[("alice sshd", r#""any" <- (none)"#)],
    );
}

#[test]
fn conditions_that_are_not_there_do_not_matter_and_an_empty_when_matches_all() {
    check(
        "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = { count = 2 }\n",
        &[
            ("alice sshd", "{ count = 2 } <- all"),
            ("bob x local", "{ count = 2 } <- all"),
        ],
    );
}

#[test]
fn sources_are_consulted_in_order_and_the_first_unenrolled_wins_as_a_whole() {
    let rule = |name: &str, require: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nwhen = {{ user = \"{name}*\" }}\nrequire = \"{require}\"\n"
        )
    };
    let first = rule("al", "none");
    let second = rule("a", "deny") + "[unenrolled]\naction = \"enroll\"\n";
    let third = "[unenrolled]\naction = \"allow\"\nuntil = 2027-01-31T00:00:00Z\n";
    let sources = [("1", first.as_str()), ("2", &second), ("3", third)]
        .map(|(name, text)| Source { name, text });
    let policy = Policy::parse(&sources, &plain::VOCABULARY).unwrap();

    assert_eq!(decide(&policy, "alice sshd"), r#""none" <- al"#);
    assert_eq!(decide(&policy, "anna sshd"), r#""deny" <- a"#);
    assert_eq!(policy.rules(), 2);
    assert_eq!(policy.unenrolled().action, UnenrolledAction::Enroll);
    assert_eq!(policy.unenrolled().until, None);
}

#[test]
fn the_unenrolled_are_denied_unless_somebody_says_otherwise() {
    for (text, action, until) in [
        ("", UnenrolledAction::Deny, None),
        (
            "[unenrolled]\naction = \"deny\"",
            UnenrolledAction::Deny,
            None,
        ),
        (
            "[unenrolled]\naction = \"allow\"",
            UnenrolledAction::Allow,
            None,
        ),
        (
            "[unenrolled]\naction = \"enroll\"\nuntil = 2027-01-31T00:00:00Z",
            UnenrolledAction::Enroll,
            Some(1_801_353_600),
        ),
        (
            "[unenrolled]\naction = \"allow\"\nuntil = 2027-01-31 01:00:00.75+01:00",
            UnenrolledAction::Allow,
            Some(1_801_353_600),
        ),
    ] {
        let unenrolled = parse(text).unenrolled();
        assert_eq!(
            (unenrolled.action, unenrolled.until),
            (action, until),
            "{text}"
        );
    }
}

#[test]
fn groups_are_needed_only_where_a_rule_asks_for_them() {
    let rule = |when: &str| {
        parse(&format!(
            "[[rule]]\nname = \"r\"\nwhen = {when}\nrequire = \"any\"\n"
        ))
    };
    let asks = |policy: Policy| policy.needs().contains(Fact::Groups);
    assert!(!asks(parse("")));
    assert!(!asks(rule("{ user = \"alice\", network = \"local\" }")));
    assert!(asks(rule("{ user = \"alice\", group = \"wheel\" }")));
}
