//! Files of expectations: what they hold, what is refused in them, and what a failed one says.
#![allow(clippy::panic, reason = "a test ends at what it did not expect")]

use policy::{Expectation, Policy, Source, Vocabulary};

const VOCABULARY: Vocabulary<'_> = Vocabulary::new(&["totp", "backup-codes", "fido2"]);

fn parse(text: &str) -> Policy {
    let name = "policy.toml";
    Policy::parse(&[Source { name, text }], &VOCABULARY)
        .unwrap_or_else(|found| panic!("{found:#?}"))
}

const POLICY: &str = r#"
[[rule]]
name    = "office"
when    = { service = "sshd", network = "10.20.0.0/16", time = "Mon..Fri 08:00-18:00 UTC" }
require = "none"

[[rule]]
name    = "administrators"
when    = { group = "wheel" }
require = { any = ["totp", "fido2"], count = 2 }

[[rule]]
name    = "our keys"
when    = { ca = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }
require = "any"
remember = { for = "12h", bind = ["ssh-key"] }

[[rule]]
name    = "strange"
when    = { any = [{ signal = "impossible-travel" }, { dormant = "90d" }] }
require = "deny"
floor   = true

[unenrolled]
action = "enroll"
until  = 2027-02-01T00:00:00Z
"#;

fn read(text: &str) -> Result<Vec<Expectation>, Vec<String>> {
    let source = Source {
        name: "e.toml",
        text,
    };
    let read = Expectation::parse(source, &VOCABULARY);
    read.map_err(|found| found.iter().map(ToString::to_string).collect())
}

/// What is not as expected in one expectation, written as the keys of its table besides the name.
fn faults(policy: &Policy, keys: &str) -> Vec<String> {
    let text = format!("[[expect]]\nname = \"it\"\n{keys}\n");
    let expected = read(&text).unwrap_or_else(|found| panic!("{found:#?}\n{text}"));
    expected[0].try_on(policy).faults
}

#[test]
fn a_policy_that_does_what_is_expected_has_no_fault() {
    let policy = parse(POLICY);
    let calm = "risk = \"none\"\nlast-login = \"1d\"";
    for keys in [
        "rhost = \"10.20.1.1\"\nat = 2027-01-15T12:00:00Z\ndecision = \"none\"\nrule = \"office\"",
        "rhost = \"203.0.113.9\"\ngroups = []\nfirst-factor = \"password\"\nat = 2027-01-15T12:00:00Z\ndecision = \"any\"\nrule = \"\"",
        "rhost = \"203.0.113.9\"\ngroups = [\"users\", \"wheel\"]\nat = 2027-01-15T12:00:00Z\n\
         decision = { count = 2, any = [\"totp\", \"fido2\"] }",
        "groups = \"wheel\"\nat = 2027-02-01T00:00:00Z\ndecision = \"ask\"\nunenrolled = \"deny\"",
        "groups = \"users\"\nat = 2027-01-31T23:59:59Z\ndecision = \"ask\"\nunenrolled = \"enroll\"",
        "groups = []\nca = \"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\nat = 2027-01-15T20:00:00Z\ndecision = \"any\"\nrule = \"our keys\"",
    ] {
        let keys = format!("user = \"alice\"\nservice = \"sshd\"\n{calm}\n{keys}");
        assert_eq!(faults(&policy, &keys), [""; 0], "{keys}");
    }
}

#[test]
fn what_is_not_as_expected_is_said_in_a_sentence_each() {
    let policy = parse(POLICY);
    let keys = "user = \"alice\"\nservice = \"sshd\"\ngroups = []\nfirst-factor = \"password\"\nrhost = \"203.0.113.9\"\nrisk = \"high\"\n\
        signals = [\"impossible-travel\"]\nat = 2027-03-01T12:00:00Z\ndecision = \"none\"\nrule = \"office\"\nunenrolled = \"enroll\"";
    assert_eq!(
        faults(&policy, keys),
        [
            "expected \"none\", and it is \"deny\"",
            "expected the rule \"office\" to decide, and \"strange\" does",
            "expected \"enroll\" for whoever has no factor, and it is \"deny\"",
        ]
    );
}

#[test]
fn what_an_expectation_does_not_name_is_not_known_and_never_loosens() {
    let policy = parse(
        "[[rule]]\nname = \"swiss\"\nwhen = { country = \"CH\" }\nrequire = \"none\"\n\n\
         [[rule]]\nname = \"key\"\nwhen = { key = \"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\" }\nrequire = \"none\"\n",
    );
    let base = "user = \"alice\"\nservice = \"sshd\"\nrhost = \"203.0.113.9\"";
    for (keys, decision) in [
        ("", "any"),
        ("country = \"CH\"", "none"),
        ("country = \"none\"", "any"),
        // A public key, but which?
        ("first-factor = \"publickey\"", "any"),
        (
            "key = \"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
            "none",
        ),
    ] {
        let keys = format!("{base}\n{keys}\ndecision = \"{decision}\"");
        assert_eq!(faults(&policy, &keys), [""; 0], "{keys}");
    }
    let text = format!(
        "[[expect]]\nname = \"it\"\n{base}\nfirst-factor = \"publickey\"\ndecision = \"any\"\n"
    );
    let explanation = read(&text).unwrap()[0].try_on(&policy).explanation;
    assert_eq!(
        explanation.decision.unknown.to_string(),
        "country, first-factor"
    );
}

#[test]
fn where_a_login_comes_from_tells_what_it_tells_the_daemon() {
    let policy = parse(
        "[[rule]]\nname = \"desk\"\nwhen = { seat = \"seat0\", network = \"local\" }\nrequire = \"none\"\n\n\
         [[rule]]\nname = \"abroad\"\nwhen = { not = { country = \"CH\" } }\nrequire = \"deny\"\n",
    );
    let base = "user = \"alice\"\nservice = \"login\"";
    for (keys, decision, rule) in [
        // A seat is at this machine, and this machine is in no country.
        ("seat = \"seat0\"", "none", "desk"),
        ("rhost = \"local\"\nseat = \"none\"", "deny", "abroad"),
        // A far end has no seat.
        ("rhost = \"192.0.2.1\"\ncountry = \"CH\"", "any", ""),
    ] {
        let keys = format!("{base}\n{keys}\ndecision = \"{decision}\"\nrule = \"{rule}\"");
        assert_eq!(faults(&policy, &keys), [""; 0], "{keys}");
    }
}

#[test]
fn the_time_must_be_said_where_the_policy_looks_at_it() {
    let keys = "user = \"alice\"\nservice = \"sshd\"\ndecision = \"ask\"";
    let [fault] = &faults(&parse(POLICY), keys)[..] else {
        panic!()
    };
    assert!(fault.starts_with("the policy looks at the time"), "{fault}");
    let timeless = parse("[[rule]]\nname = \"all\"\nwhen = {}\nrequire = \"any\"\n");
    assert_eq!(faults(&timeless, keys), [""; 0]);
    let keys = "user = \"alice\"\nservice = \"sshd\"\nrisk = \"none\"\nlast-login = \"1d\"\ndecision = \"ask\"";
    let above = format!("at = 2027-01-15T12:00:00Z\n[[expect]]\nname = \"it\"\n{keys}\n");
    assert_eq!(
        read(&above).unwrap()[0].try_on(&parse(POLICY)).faults,
        [""; 0]
    );
}

#[test]
fn ages_count_back_from_the_time_of_the_login() {
    let policy = parse(
        "[[rule]]\nname = \"fresh\"\nwhen = { last-mfa = \"< 30d\", not = { dormant = \"90d\" } }\nrequire = \"none\"\n",
    );
    let base = "user = \"alice\"\nservice = \"sshd\"";
    for (keys, decision) in [
        ("last-mfa = \"29d\"\nlast-login = \"89d\"", "none"),
        ("last-mfa = \"30d\"\nlast-login = \"89d\"", "any"),
        ("last-mfa = \"29d\"\nlast-login = \"90d\"", "any"),
        ("last-mfa = \"0s\"\nlast-login = \"never\"", "none"),
        ("last-mfa = \"never\"\nlast-login = \"1d\"", "any"),
    ] {
        let keys = format!("{base}\n{keys}\ndecision = \"{decision}\"");
        assert_eq!(faults(&policy, &keys), [""; 0], "{keys}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_all_at_once_with_its_place() {
    let text = r#"
[[expect]]
name = "one"
user = "al*"
servce = "sshd"
decision = "perhaps"

[[expect]]
name = "two"
user = "alice"
service = "sshd"
rhost = "example.org"
first-factor = ["none", "password"]
key = "MD5:00"
country = "Swiss"
device = "nwe"
signals = ["dormant"]
risk = "hgh"
last-mfa = "soon"
at = 2027-01-15
decision = { any = ["totpp"] }

[[expect]]
name = "three"
user = "alice"
service = "sshd"
rhost = "192.0.2.1"
seat = "seat0"
signals = ["new-device"]
unenrolled = "perhaps"

[[expect]]
name = "four"
user = "alice"
service = "sshd"
decision = "ask"

[[expect]]
name = "four"
user = "alice"
service = "sshd"
decision = "deny"
"#;
    assert_begins(
        &read(text).unwrap_err(),
        &[
            "e.toml:2:1: an expectation has no `service`",
            "e.toml:4:8: `user` is one name, and \"al*\" is a pattern of several",
            "e.toml:5:1: unknown key `servce` in an expectation (did you mean service?); known are name, user, service, \
             rhost, seat, country, uid, groups, target, tty, first-factor, key, ca, device, risk, signals, last-mfa, \
             last-login, at, decision, rule, unenrolled",
            "e.toml:6:12: `decision` cannot be \"perhaps\"",
            "e.toml:12:9: `rhost` cannot be \"example.org\"; write an address, or \"local\"",
            "e.toml:13:16: `first-factor` is \"none\", and something else besides",
            "e.toml:14:7: `key` cannot be \"MD5:00\"; write a fingerprint",
            "e.toml:15:11: `country` cannot be \"Swiss\"; write two letters",
            "e.toml:16:10: `device` cannot be \"nwe\" (did you mean new?); it is known, new",
            "e.toml:18:8: `risk` cannot be \"hgh\" (did you mean high?)",
            "e.toml:19:12: `last-mfa` cannot be \"soon\"; write a whole number and s, m, h or d",
            "e.toml:20:6: `at` needs date, time and offset",
            "e.toml:21:21: there is no factor \"totpp\" (did you mean totp?)",
            "e.toml:23:1: an expectation has no `decision`",
            "e.toml:28:8: a login with a far end sits at no seat of this machine",
            "e.toml:29:11: `signals` needs `risk` beside it",
            "e.toml:30:14: `unenrolled` cannot be \"perhaps\"; it is",
            "e.toml:38:1: e.toml:32 has an expectation of the name \"four\"",
        ],
    );
    for (text, fault) in [
        ("", "e.toml:1:1: the file has no [[expect]]"),
        (
            "expect = 3\n",
            "e.toml:1:10: an expectation begins with [[expect]]",
        ),
        (
            "at = 5\n[[expect]]\n",
            "e.toml:1:6: `at` must be a date and time",
        ),
        ("[[expect]\n", "e.toml:1:"),
    ] {
        let found = read(text).unwrap_err();
        assert!(found[0].starts_with(fault), "{found:?}");
    }
}

/// Each error begins as it should.
fn assert_begins(found: &[String], wanted: &[&str]) {
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.starts_with(wanted), "{found}\nis not\n{wanted}");
    }
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
}
