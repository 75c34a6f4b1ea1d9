//! How a policy is printed, and whether those that are shipped are sound.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, and not in what they call"
)]

mod plain;

use policy::{Policy, UnenrolledAction};

fn parse(text: &str) -> Policy {
    plain::read(text).unwrap_or_else(|found| panic!("{found:#?}"))
}

#[test]
fn a_policy_prints_in_its_canonical_spelling() {
    let policy = parse(
        r#"
        unenrolled = { until = 2027-01-31T01:00:00+01:00, action = "enroll" }
        [[rule]] # comments go
        require.any = "totp"
        name = 'the "office" \ é'
        floor = true
        when = { network = ["LOCAL", "::ffff:10.0.0.0/104"], service = "SSHD" }
        [[rule]]
        name = "everything"
        when.not = { any = [{ uid = [0, "1000..2000"] }, { all = [{ country = "ch" }, { time = "fri,SAT 22:00-06:00 UTC" }] }] }
        when.last-mfa = ">30d"
        when.risk = "=high"
        when.dormant = "2160h"
        remember = { bind = ["seat", "ssh-key"], for = "60m" }
        require = { user-verified = false, distinct = true, max-age = "900s", count = 2 }
        [[rule]]
        name = "rest"
        when = {}
        floor = false
        require = "any"
        "#
        .replace("LOCAL", "local")
        .as_str(),
    );
    let printed = r#"[[rule]]
name = "the \"office\" \\ é"
when = { service = ["sshd"], network = ["local", "10.0.0.0/8"] }
require = { any = ["totp"], count = 1 }
floor = true

[[rule]]
name = "everything"
when = { risk = "high", last-mfa = "> 30d", dormant = "90d", not = { any = [{ uid = ["0", "1000..2000"] }, { all = [{ country = ["CH"] }, { time = ["Fri..Sat 22:00-06:00 UTC"] }] }] } }
require = { count = 2, max-age = "15m" }
remember = { for = "1h", bind = ["ssh-key", "seat"] }

[[rule]]
name = "rest"
when = {}
require = "any"

[unenrolled]
action = "enroll"
until = 2027-01-31T00:00:00Z
"#;
    assert_eq!(policy.to_string(), printed);
    assert_eq!(parse(printed).to_string(), printed);
}

#[test]
fn what_is_shipped_is_sound() {
    let vendor = parse(include_str!("../../packaging/policy/vendor.toml"));
    assert_eq!(vendor.rules(), 0);
    assert_eq!(vendor.unenrolled().action, UnenrolledAction::Allow);
    assert_eq!(vendor.unenrolled().until, None);

    // As installed, the example changes nothing; with its examples uncommented, it is a policy.
    let example = include_str!("../../packaging/policy/policy.toml");
    assert_eq!(parse(example).rules(), 0);
    let uncommented: Vec<&str> = example
        .lines()
        .map(|line| line.strip_prefix("#| ").unwrap_or(line))
        .collect();
    let policy = parse(&uncommented.join("\n"));
    assert!(policy.rules() >= 4, "{policy}");
    assert_eq!(policy.unenrolled().action, UnenrolledAction::Enroll);
}
