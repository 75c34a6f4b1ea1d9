//! Factors that are not like the others: some are strong, and some count only where they are named.

use policy::{Policy, Request, Source, Verdict, Vocabulary};

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    phishing_resistant: &["ssh-sk"],
    only_named: &["ssh-agent"],
    ..Vocabulary::new(&["totp", "ssh-sk", "ssh-agent"])
};

fn parse(text: &str) -> Result<Policy, String> {
    let source = Source {
        name: "policy.toml",
        text,
    };
    Policy::parse(&[source], &VOCABULARY)
        .map_err(|found| found.iter().map(ToString::to_string).collect())
}

/// What is required, as it is written.
fn required(text: &str) -> String {
    let verdict =
        parse(text).map(|policy| policy.decide(&Request::new("alice", "sudo", 0)).verdict);
    match verdict {
        Ok(Verdict::Require(requirement)) => requirement.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn any_factor_is_none_that_must_be_named() {
    assert_eq!(
        required("[[rule]]\nname = \"r\"\nwhen = {}\nrequire = \"any\""),
        "\"any\""
    );
    let named = "[[rule]]\nname = \"r\"\nwhen = {}\nrequire = { any = [\"totp\", \"ssh-agent\"] }";
    assert_eq!(
        required(named),
        "{ any = [\"totp\", \"ssh-agent\"], count = 1 }"
    );
}

#[test]
fn a_floor_on_top_of_any_factor_names_none_of_them() {
    let two_of_any = "[[rule]]\nname = \"r\"\nwhen = {}\nrequire = { count = 2 }\n[[rule]]\nname = \"f\"\nwhen = {}\nfloor = true\nrequire = { any = [\"totp\"] }";
    assert_eq!(
        required(two_of_any),
        "{ any = [\"totp\", \"ssh-sk\"], count = 2 }"
    );
    let strong = "[[rule]]\nname = \"r\"\nwhen = {}\nrequire = { phishing-resistant = true }";
    assert_eq!(
        required(strong),
        "{ any = [\"ssh-sk\"], count = 1, phishing-resistant = true }"
    );
}

#[test]
fn as_many_factors_can_be_demanded_as_count_unnamed() {
    let error = parse("[[rule]]\nname = \"r\"\nwhen = {}\nrequire = { count = 3 }").unwrap_err();
    assert!(error.contains("only 2 factors"), "{error}");
    assert!(parse("[[rule]]\nname = \"r\"\nwhen = {}\nrequire = { any = [\"totp\", \"ssh-sk\", \"ssh-agent\"], count = 3 }").is_ok());
}
