//! Strong factors, old proofs, remembered devices, and what users demand of themselves, as tables.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, and not in what they call"
)]

mod support;

use policy::{Additions, Effect, Fact, Policy, Source, SuSubject};
use support::{VOCABULARY, decide, parse, with};

const KEY: &str = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn rule(name: &str, when: &str, rest: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\nwhen = {{ {when} }}\n{rest}\n")
}

/// `verdict <- rule`, and if a device may be remembered, what is left then.
fn shown(policy: &Policy, login: &str) -> String {
    let decision = decide(policy, login);
    let rule = decision.rule.as_deref().unwrap_or("(none)");
    let left = decision.trust.map_or(String::new(), |trust| {
        format!("; remembered by {}: {}", trust.rule, trust.left)
    });
    format!("{} <- {rule}{left}", decision.verdict)
}

#[test]
fn a_floor_tightens_each_part_of_a_requirement() {
    for (rule_, floor, expected) in [
        (
            "\"any\"",
            "{ phishing-resistant = true }",
            "{ any = [\"fido2\"], count = 1, phishing-resistant = true }",
        ),
        (
            "{ any = [\"totp\", \"fido2\"] }",
            "{ user-verified = true }",
            "{ any = [\"fido2\"], count = 1, user-verified = true }",
        ),
        // No factor is in both: nobody gets in.
        (
            "{ any = [\"totp\"] }",
            "{ phishing-resistant = true }",
            "\"deny\"",
        ),
        ("{ count = 2 }", "{ phishing-resistant = true }", "\"deny\""),
        // The shorter age, and none at all is the shortest.
        (
            "{ max-age = \"1h\" }",
            "{ max-age = \"15m\" }",
            "{ count = 1, max-age = \"15m\" }",
        ),
        ("{ max-age = \"1h\" }", "\"any\"", "\"any\""),
        ("\"any\"", "{ max-age = \"1h\" }", "\"any\""),
        (
            "\"none\"",
            "{ max-age = \"1h\" }",
            "{ count = 1, max-age = \"1h\" }",
        ),
        (
            "{ any = [\"totp\"], max-age = \"2h\" }",
            "{ any = [\"hotp\"], max-age = \"60m\" }",
            "{ any = [\"totp\", \"hotp\"], count = 2, max-age = \"1h\" }",
        ),
    ] {
        let policy = parse(&format!(
            "{}{}",
            rule("r", "", &format!("require = {rule_}")),
            rule("f", "", &format!("require = {floor}\nfloor = true"))
        ));
        assert_eq!(
            decide(&policy, "alice sshd").verdict.to_string(),
            expected,
            "{rule_} {floor}"
        );
    }
}

#[test]
fn a_demand_that_no_factor_meets_refuses_and_the_explanation_says_so() {
    let source = Source {
        name: "p",
        text: &rule("strong", "", "require = { phishing-resistant = true }"),
    };
    let policy = Policy::parse(&[source], &policy::Vocabulary::new(&["totp"])).unwrap();
    let explanation = with("alice sshd", |request| policy.explain(request));
    assert_eq!(explanation.decision.verdict.to_string(), "\"deny\"");
    let steps: Vec<String> = explanation
        .reasons
        .steps
        .iter()
        .map(|step| step.text.clone())
        .collect();
    assert_eq!(
        steps,
        [
            "The first rule that matches is \"strong\": { count = 1, phishing-resistant = true }",
            "There are not enough factors that are so strong: \"deny\"",
        ]
    );
}

#[test]
fn a_remembered_device_stands_in_for_its_own_rule_and_for_no_floor() {
    let policy = parse(
        &[
            rule("office", "country = \"CH\"", "require = \"none\""),
            rule("abroad", "country = \"JP\"", "require = \"any\""),
            rule("ssh", "service = \"sshd\"", "require = { any = [\"totp\", \"hotp\"] }\nremember = { for = \"12h\", bind = [\"ssh-key\", \"service\"] }"),
            rule("root", "user = \"root\"", "require = \"any\"\nfloor = true"),
            rule("risk", "risk = \">= high\"", "require = { count = 2 }\nfloor = true"),
        ]
        .concat(),
    );
    for (login, expected) in [
        (
            "alice sshd country=US risk=none",
            "{ any = [\"totp\", \"hotp\"], count = 1 } <- ssh; remembered by ssh: \"none\"",
        ),
        // Floors hold for remembered devices too.
        (
            "root sshd country=US risk=none",
            "{ any = [\"totp\", \"hotp\"], count = 1 } <- ssh; remembered by ssh: \"any\"",
        ),
        (
            "alice sshd country=US risk=high",
            "{ any = [\"totp\", \"hotp\"], count = 2 } <- risk; remembered by ssh: { count = 2 }",
        ),
        // Nothing known of the risk: the floor holds.
        (
            "alice sshd country=US",
            "{ any = [\"totp\", \"hotp\"], count = 2 } <- risk; remembered by ssh: { count = 2 }",
        ),
        // The country is not known: the rule for abroad, which allows no remembering, may be the one.
        (
            "alice sshd risk=none",
            "{ any = [\"totp\", \"hotp\"], count = 1 } <- ssh",
        ),
        // Other rules have no `remember`.
        ("alice sudo country=US risk=none", "\"any\" <- (none)"),
        ("alice sshd country=CH risk=none", "\"none\" <- office"),
    ] {
        assert_eq!(shown(&policy, login), expected, "{login}");
    }
    let asked = policy.needs();
    assert!(asked.contains(Fact::Remembered) && !asked.contains(Fact::Proofs));
}

#[test]
fn an_exemption_that_may_apply_takes_no_remembering_away() {
    let policy = parse(
        &[
            rule("sk", "first-factor = \"sk-key\"", "require = \"none\""),
            rule(
                "ssh",
                "service = \"sshd\"",
                "require = \"any\"\nremember = { for = \"1h\", bind = \"ssh-key\" }",
            ),
        ]
        .concat(),
    );
    // sshd's account phase: who has the key may be let in later, so what is not known is named.
    assert_eq!(
        shown(&policy, "alice sshd"),
        "\"any\" <- ssh; remembered by ssh: \"none\""
    );
    assert!(decide(&policy, "alice sshd").unknown.contains(Fact::First));
    let with_key = format!("alice sshd key={KEY},sk");
    assert_eq!(shown(&policy, &with_key), "\"none\" <- sk");
    assert!(decide(&policy, &with_key).unknown.is_empty());
}

#[test]
fn what_is_not_known_is_named_only_if_it_could_change_the_decision() {
    let policy = parse(
        &[
            rule("same", "device = \"new\"", "require = { count = 2 }"),
            rule("rest", "", "require = { count = 2 }"),
            rule(
                "weak floor",
                "seat = \"seat0\"",
                "require = \"any\"\nfloor = true",
            ),
        ]
        .concat(),
    );
    let decision = decide(&policy, "alice sshd");
    assert_eq!(decision.verdict.to_string(), "{ count = 2 }");
    assert!(decision.unknown.is_empty(), "{:?}", decision.unknown);
}

#[test]
fn an_explanation_tells_every_rule_its_place_and_how_the_decision_came_about() {
    let policy = parse(
        &[
            rule(
                "robots",
                "user = [\"ci-*\", \"backup\"]",
                "require = \"none\"",
            ),
            rule(
                "office",
                "country = \"CH\", any = [{ time = \"08:00-18:00 UTC\" }, { seat = \"*\" }]",
                "require = \"none\"",
            ),
            rule("rest", "", "require = \"any\""),
            rule("late", "", "require = \"deny\""),
            rule(
                "risky",
                "risk = \">= medium\"",
                "require = { count = 2 }\nfloor = true",
            ),
        ]
        .concat(),
    );
    let explanation = with("alice sshd from=203.0.113.9 risk=high", |request| {
        policy.explain(request)
    });
    let rules: Vec<String> = explanation
        .reasons
        .rules
        .iter()
        .map(|rule| {
            format!(
                "{} {} {} {:?}",
                rule.place,
                rule.name,
                rule.applies.word(),
                rule.effect
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            "policy.toml:1 robots no DidNotMatch",
            "policy.toml:5 office unknown Undecided",
            "policy.toml:9 rest yes Decided",
            "policy.toml:13 late yes NotReached",
            "policy.toml:17 risky yes Tightened",
        ]
    );
    let steps: Vec<String> = explanation
        .reasons
        .steps
        .iter()
        .map(|step| step.text.clone())
        .collect();
    assert_eq!(
        steps,
        [
            "The first rule that matches is \"rest\": \"any\"",
            "\"office\" may match (country: not known), so the stricter of both: \"any\"",
            "The floor \"risky\" holds on top: { count = 2 }",
        ]
    );
    let office = &explanation.reasons.rules[1].conditions;
    assert_eq!(
        (office[0].text.as_str(), office[0].found.as_str()),
        ("country = [\"CH\"]", "not known")
    );
    let window = &office[1].parts[0];
    assert_eq!(
        (
            window.text.as_str(),
            window.found.as_str(),
            window.holds.word()
        ),
        (
            "time = [\"08:00-18:00 UTC\"]",
            "2027-01-15T12:00:00Z",
            "yes"
        )
    );
    assert_eq!(explanation.reasons.rules[4].effect, Effect::Tightened);
}

#[test]
fn a_user_demands_more_of_themselves_and_never_less() {
    let policy = parse(&rule("all", "", "require = \"none\""));
    let read = |text: &str| Additions::parse(Source { name: "own", text }, &VOCABULARY);
    let own = read(&rule(
        "mine",
        "not = { network = \"10.0.0.0/8\" }",
        "require = { any = [\"totp\"] }",
    ))
    .unwrap();
    let decide_with = |login| with(login, |request| policy.decide_with(request, &own));
    let decision = decide_with("alice sshd from=203.0.113.9");
    assert_eq!(
        decision.verdict.to_string(),
        "{ any = [\"totp\"], count = 1 }"
    );
    assert_eq!(decision.rule.as_deref(), Some("mine"));
    assert_eq!(
        decide_with("alice sshd from=10.0.0.1").verdict.to_string(),
        "\"none\""
    );
    assert!(own.needs().contains(Fact::Network) && own.len() == 1);

    for (text, why) in [
        (
            rule("m", "user = \"bob\"", "require = \"any\""),
            "own:3:17: additions are for one user's logins; there is no `user`",
        ),
        (
            rule(
                "m",
                "any = [{ not = { group = \"g\" } }]",
                "require = \"any\"",
            ),
            "own:3:35: additions are for one user's logins; there is no `group`",
        ),
        (
            rule("m", "", "require = \"none\""),
            "own:4:11: additions only tighten, and \"none\" demands nothing",
        ),
        (
            rule("m", "", "require = \"deny\""),
            "own:4:11: this would refuse every login of yours; give the rule a condition",
        ),
        (
            rule("m", "", "require = \"any\"\nfloor = false"),
            "own:5:9: additions only tighten; each is a floor",
        ),
        (
            rule(
                "m",
                "",
                "require = { count = 2, phishing-resistant = true }",
            ),
            "own:4:11: there are not enough factors that are so strong: nobody could meet it",
        ),
        (
            rule(
                "m",
                "",
                "require = \"any\"\nremember = { for = \"1h\", bind = \"ssh-key\" }",
            ),
            "own:5:12: additions only tighten; there is no `remember`",
        ),
        (
            rule("m", "", "require = \"any\"") + &rule("m", "", "require = \"any\""),
            "own:5:1: own:1 has a rule of this name",
        ),
        (
            "[unenrolled]\naction = \"allow\"\n".to_owned(),
            "own:1:2: unknown key `unenrolled` in additions to the policy; known are rule",
        ),
        (
            "#".repeat(policy::MAX_OWN_SOURCE + 1),
            "own:1:1: the file is larger than the 16384 bytes that are read",
        ),
    ] {
        let found = read(&text).unwrap_err();
        assert_eq!(found[0].to_string(), why);
        assert_eq!(found.len(), 1, "{found:?}");
    }
    let many: String = (0..33)
        .map(|n| rule(&n.to_string(), "", "require = \"any\""))
        .collect();
    assert_eq!(
        read(&many).unwrap_err()[0].to_string(),
        "own:129:1: this rule is one more than the 32 that are read"
    );
}

#[test]
fn the_first_file_with_a_subject_gives_it() {
    assert_eq!(parse("").subject().su, SuSubject::Target);
    let [first, second] = ["caller", "target"].map(|su| format!("[subject]\nsu = \"{su}\"\n"));
    let sources = [("1", &first), ("2", &second)].map(|(name, text)| Source { name, text });
    assert_eq!(
        Policy::parse(&sources, &VOCABULARY).unwrap().subject().su,
        SuSubject::Caller
    );
}
