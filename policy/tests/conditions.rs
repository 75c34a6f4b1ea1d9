//! Every condition as a table: how it is written, and which logins it holds for.
//!
//! `yes`: the rule that has only this condition decides. `no`: it does not. `unknown`: it may, so the stricter of both
//! is taken, and the decision names the fact that would have told.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy allows these in test functions, and not in what they call"
)]

mod support;

use policy::Verdict;
use support::{decide, parse};

const KEY: &str = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const OTHER: &str = "SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

/// Checks a condition with an exemption and with a refusal: what is unknown must keep the one from loosening and the
/// other in force.
fn check(when: &str, table: &[(&str, &str)]) {
    let when = when.replace("KEY", KEY).replace("OTHER", OTHER);
    let rule = |require: &str| {
        parse(&format!(
            "[[rule]]\nname = \"r\"\nwhen = {{ {when} }}\nrequire = \"{require}\"\n"
        ))
    };
    let (exempt, refuse) = (rule("none"), rule("deny"));
    for (login, expected) in table {
        let login = login.replace("KEY", KEY).replace("OTHER", OTHER);
        let (exempted, refused) = (decide(&exempt, &login), decide(&refuse, &login));
        let outcome = match (exempted.verdict, refused.verdict) {
            (Verdict::NotRequired, Verdict::Deny) => "yes".to_owned(),
            (Verdict::Require(_), Verdict::Require(_)) => "no".to_owned(),
            (Verdict::Require(_), Verdict::Deny) => format!("unknown: {}", refused.unknown),
            other => panic!("{when} {login}: {other:?}"),
        };
        assert_eq!(outcome, *expected, "{when} {login}");
        assert_eq!(exempted.unknown, refused.unknown, "{when} {login}");
    }
}

#[test]
fn uid() {
    let table = [
        ("alice sshd uid=999", "no"),
        ("alice sshd uid=1000", "yes"),
        ("alice sshd uid=59999", "yes"),
        ("alice sshd uid=60000", "no"),
        ("alice sshd", "unknown: uid"),
    ];
    check("uid = \"1000..59999\"", &table);
    check("uid = [0, \"5\", \"1000..59999\"]", &table);
    check(
        "uid = 0",
        &[("root sshd uid=0", "yes"), ("toor sshd uid=1", "no")],
    );
    check(
        "uid = \">= 1000\"",
        &[("a sshd uid=4294967294", "yes"), ("a sshd uid=999", "no")],
    );
    check(
        "uid = \"<= 999\"",
        &[("a sshd uid=0", "yes"), ("a sshd uid=1000", "no")],
    );
}

#[test]
fn group() {
    check(
        "group = \"wheel\"",
        &[
            ("alice sshd group=users,wheel", "yes"),
            ("alice sshd group=users", "no"),
            // The name service did not answer.
            ("alice sshd", "unknown: groups"),
        ],
    );
}

#[test]
fn time() {
    check(
        "time = \"Mon..Fri 08:00-18:00 Europe/Zurich\"",
        &[
            // UTC+1 in winter, UTC+2 in summer.
            ("alice sshd at=2027-01-15T07:00:00Z", "yes"),
            ("alice sshd at=2027-01-15T06:59:59Z", "no"),
            ("alice sshd at=2027-07-15T06:00:00Z", "yes"),
            ("alice sshd at=2027-07-15T16:00:00Z", "no"),
            ("alice sshd at=2027-01-16T10:00:00Z", "no"),
        ],
    );
    // Begins on Friday, ends on Saturday.
    check(
        "time = [\"Fri 22:00-06:00 Europe/Zurich\", \"Sun Pacific/Kiritimati\"]",
        &[
            ("alice sshd at=2027-01-15T21:00:00Z", "yes"),
            ("alice sshd at=2027-01-16T04:59:59Z", "yes"),
            ("alice sshd at=2027-01-16T05:00:00Z", "no"),
            ("alice sshd at=2027-01-15T04:00:00Z", "no"),
            ("alice sshd at=2027-01-16T10:00:00Z", "yes"),
        ],
    );
}

#[test]
fn tty() {
    check(
        "tty = \"tty?\"",
        &[
            ("alice login tty=tty1", "yes"),
            ("alice login tty=/dev/tty1", "yes"),
            ("alice login tty=pts/1", "no"),
            ("alice polkit-1", "no"),
        ],
    );
    // Whoever names no terminal is not thereby known to be on another one.
    check(
        "not = { tty = \"tty?\" }",
        &[
            ("alice login tty=tty1", "no"),
            ("alice login tty=pts/1", "yes"),
            ("alice polkit-1", "unknown: tty"),
        ],
    );
}

#[test]
fn seat() {
    check(
        "seat = \"seat*\"",
        &[
            ("alice gdm seat=seat0", "yes"),
            ("alice sshd seat=none", "no"),
            // cron, or no logind.
            ("alice sudo", "unknown: seat"),
        ],
    );
    check(
        "not = { seat = \"*\" }",
        &[
            ("alice gdm seat=seat0", "no"),
            ("alice sshd seat=none", "yes"),
            ("alice sudo", "unknown: seat"),
        ],
    );
}

#[test]
fn network_below_not() {
    // A far end whose address nobody knows is in no network, but that is not to be outside of one.
    check(
        "not = { network = \"10.0.0.0/8\" }",
        &[
            ("alice sshd from=10.1.2.3", "no"),
            ("alice sshd from=203.0.113.9", "yes"),
            ("alice login local", "yes"),
            ("alice sshd", "unknown: network"),
        ],
    );
    check(
        "not = { not = { network = \"10.0.0.0/8\" } }",
        &[("alice sshd from=10.1.2.3", "yes"), ("alice sshd", "no")],
    );
}

#[test]
fn country() {
    check(
        "country = [\"CH\", \"li\"]",
        &[
            ("alice sshd country=CH", "yes"),
            ("alice sshd country=LI", "yes"),
            ("alice sshd country=JP", "no"),
            ("alice sshd country=none", "no"),
            // No database, or one that is too old.
            ("alice sshd", "unknown: country"),
        ],
    );
}

#[test]
fn first_factor() {
    for (when, password, key, certified, sk) in [
        ("password", "yes", "no", "no", "no"),
        ("publickey", "no", "yes", "yes", "yes"),
        ("certificate", "no", "no", "yes", "no"),
        ("sk-key", "no", "no", "no", "yes"),
    ] {
        check(
            &format!("first-factor = \"{when}\""),
            &[
                ("alice sshd first=password", password),
                ("alice sshd key=KEY", key),
                ("alice sshd key=KEY,cert~OTHER", certified),
                ("alice sshd key=KEY,sk", sk),
                ("alice sudo first=none", "no"),
                // sshd's account phase, where the key is not visible yet.
                ("alice sshd", "unknown: first-factor"),
            ],
        );
    }
}

#[test]
fn key_and_ca() {
    check(
        "key = \"KEY\"",
        &[
            ("alice sshd key=KEY", "yes"),
            ("alice sshd key=KEY,cert~OTHER", "yes"),
            ("alice sshd key=OTHER,cert~KEY", "no"),
            ("alice sshd first=password", "no"),
            ("alice sshd", "unknown: first-factor"),
        ],
    );
    check(
        "ca = [\"KEY\"]",
        &[
            ("alice sshd key=OTHER,cert~KEY", "yes"),
            ("alice sshd key=KEY,cert~OTHER", "no"),
            ("alice sshd key=KEY", "no"),
            ("alice sshd", "unknown: first-factor"),
        ],
    );
}

#[test]
fn device() {
    check(
        "device = \"known\"",
        &[
            ("alice sshd device=known", "yes"),
            ("alice sshd device=new", "no"),
            ("alice sshd", "unknown: device"),
        ],
    );
}

#[test]
fn risk_and_signal() {
    let unknown = ("alice sshd", "unknown: risk");
    check(
        "risk = \">= medium\"",
        &[
            ("alice sshd risk=low", "no"),
            ("alice sshd risk=medium", "yes"),
            ("alice sshd risk=high", "yes"),
            unknown,
        ],
    );
    check(
        "risk = \"none\"",
        &[
            ("a sshd risk=none", "yes"),
            ("a sshd risk=low", "no"),
            unknown,
        ],
    );
    check(
        "risk = \"< high\"",
        &[
            ("a sshd risk=medium", "yes"),
            ("a sshd risk=high", "no"),
            unknown,
        ],
    );
    check(
        "signal = [\"impossible-travel\", \"new-country\"]",
        &[
            ("alice sshd risk=low,new-country", "yes"),
            ("alice sshd risk=high,new-device,dormant", "no"),
            ("alice sshd risk=none", "no"),
            unknown,
        ],
    );
}

#[test]
fn last_mfa_and_dormant() {
    check(
        "last-mfa = \"> 30d\"",
        &[
            ("alice sshd last-mfa=31d", "yes"),
            ("alice sshd last-mfa=30d", "no"),
            ("alice sshd last-mfa=never", "yes"),
            ("alice sshd", "unknown: last-mfa"),
            // In the future: the clock was set back.
            ("alice sshd last-mfa=-1h", "unknown: last-mfa"),
        ],
    );
    check(
        "last-mfa = \"<= 12h\"",
        &[
            ("alice sshd last-mfa=12h", "yes"),
            ("alice sshd last-mfa=13h", "no"),
            ("alice sshd last-mfa=never", "no"),
            ("alice sshd last-mfa=-1h", "unknown: last-mfa"),
        ],
    );
    check(
        "dormant = \"90d\"",
        &[
            ("alice sshd last-login=90d", "yes"),
            ("alice sshd last-login=89d", "no"),
            // A new account is not a dormant one.
            ("alice sshd last-login=never", "no"),
            ("alice sshd", "unknown: last-login"),
        ],
    );
}

#[test]
fn target() {
    check(
        "service = \"su\", target = \"root\"",
        &[
            ("alice su-l target=root", "yes"),
            ("alice su target=bob", "no"),
            ("alice su", "no"),
        ],
    );
    check(
        "not = { target = \"root\" }",
        &[
            ("alice su target=root", "no"),
            ("alice su target=bob", "yes"),
            ("alice sudo", "unknown: target"),
        ],
    );
}

#[test]
fn any_all_and_not() {
    check(
        "service = \"sshd\", any = [{ country = \"CH\" }, { device = \"known\", uid = \">= 1000\" }]",
        &[
            ("alice sshd country=CH", "yes"),
            ("alice sshd country=JP device=known uid=1000", "yes"),
            ("alice sshd country=JP device=known uid=0", "no"),
            ("alice sshd country=JP device=known", "unknown: uid"),
            ("alice sshd uid=0", "unknown: country"),
            ("alice sudo country=CH", "no"),
        ],
    );
    check(
        "all = [{ user = \"a*\" }, { user = \"*e\" }]",
        &[("alice sshd", "yes"), ("anna sshd", "no")],
    );
    // `not` turns all of its table round, together.
    check(
        "not = { user = \"alice\", service = \"sshd\" }",
        &[
            ("alice sshd", "no"),
            ("alice sudo", "yes"),
            ("bob sshd", "yes"),
        ],
    );
}
