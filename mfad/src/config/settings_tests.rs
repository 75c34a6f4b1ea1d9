//! Every setting: its default, that it can be changed, and what is refused.

use std::time::Duration;

use policy::Source;

use super::{IDLE_EXIT, Settings};
use crate::{factor::otp::Hash, throttle::Limits};

const A_QUESTION: &str = "`text` must be a few words, a colon and a blank, as in \"Verification code: \": clients match on it";
const NO_DURATION: &str = "`dialogue` must be a duration such as \"30s\", \"10m\", \"12h\" or \"30d\", not a whole number";
const BAD_DURATION: &str =
    "`dialogue` must be a duration such as \"30s\", \"10m\", \"12h\" or \"30d\", 10s to 5m";

fn settings(text: &str) -> Result<Settings, Vec<String>> {
    let parsed = Settings::parse(
        Source {
            name: "m.toml",
            text,
        },
        "host.example",
    );
    parsed.map_err(|found| found.iter().map(ToString::to_string).collect())
}

/// Checks lines of a section, each against what is said about the value in it.
fn check(section: &str, table: &[(&str, &str)]) {
    for (line, expected) in table {
        let column = line.find("= ").unwrap() + 3;
        let found = settings(&format!("[{section}]\n{line}\n")).unwrap_err();
        assert_eq!(found, [format!("m.toml:2:{column}: {expected}")], "{line}");
    }
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let settings = Settings::defaults("host.example");
    assert_eq!(settings.otp.issuer, "host.example");
    assert_eq!(
        (
            settings.otp.algorithm,
            settings.otp.digits,
            settings.otp.period
        ),
        (Hash::Sha1, 6, 30)
    );
    assert_eq!((settings.otp.skew, settings.otp.look_ahead), (1, 5));
    assert_eq!(settings.throttle, Limits::default());
    let days = |number: u64| Duration::from_secs(number * 86_400);
    assert_eq!(
        (
            settings.audit.keep,
            settings.audit.max_records,
            settings.audit.syslog
        ),
        (days(90), 100_000, true)
    );
    assert_eq!(
        (settings.session.dialogue, settings.session.max),
        (Duration::from_secs(45), 256)
    );
    assert_eq!(settings.daemon.idle_exit, IDLE_EXIT);
    assert_eq!(
        (
            settings.alarm.failures_per_minute,
            settings.alarm.users_per_10_minutes
        ),
        (60, 10)
    );
    // The example in the documentation spells them all out.
    let page = include_str!("../../../docs/configuration.md");
    let example = page
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    assert_eq!(self::settings(example).unwrap(), settings);
    assert!(
        example.lines().filter(|line| line.contains(" = ")).count() >= 25,
        "{example}"
    );
}

#[test]
fn every_setting_can_be_changed() {
    let text = r#"
        [prompt]
        text = "Code der App: "
        tries = 3
        [otp]
        issuer = "Example on %h"
        algorithm = "SHA256"
        digits = 8
        period = 60
        skew = 0
        look-ahead = 10
        [session]
        dialogue = "2m"
        max = 512
        [throttle]
        free = 0
        first-delay = "1m"
        max-delay = "12h"
        limit = 50
        window = "7d"
        reserve-trusted = 5
        reserve-local = 0
        source-per-hour = 5
        source-entries = 1024
        alarm-failures-per-minute = 30
        alarm-users-per-10-minutes = 5
        [audit]
        keep = "365d"
        max-records = 5000
        syslog = false
        [daemon]
        idle-exit = "10m"
    "#;
    let settings = settings(text).unwrap();
    assert_eq!(
        (settings.prompt.text.as_str(), settings.prompt.tries),
        ("Code der App: ", 3)
    );
    assert_eq!(settings.otp.issuer, "Example on host.example");
    assert_eq!(
        (
            settings.otp.algorithm,
            settings.otp.digits,
            settings.otp.period
        ),
        (Hash::Sha256, 8, 60)
    );
    assert_eq!((settings.otp.skew, settings.otp.look_ahead), (0, 10));
    assert_eq!(
        (settings.session.dialogue, settings.session.max),
        (Duration::from_mins(2), 512)
    );
    let expected = Limits {
        free: 0,
        first_delay: 60,
        max_delay: 12 * 3600,
        limit: 50,
        window: 7 * 86_400,
        reserve_trusted: 5,
        reserve_local: 0,
        source_per_hour: 5,
        source_entries: 1024,
    };
    assert_eq!(settings.throttle, expected);
    assert_eq!(
        (
            settings.alarm.failures_per_minute,
            settings.alarm.users_per_10_minutes
        ),
        (30, 5)
    );
    assert_eq!(settings.audit.keep, Duration::from_hours(365 * 24));
    assert_eq!(
        (settings.audit.max_records, settings.audit.syslog),
        (5000, false)
    );
    assert_eq!(settings.daemon.idle_exit, Duration::from_mins(10));
}

#[test]
fn a_bad_setting_is_refused_with_its_place_and_its_range() {
    check(
        "prompt",
        &[
            ("text = \"Code\"", A_QUESTION),
            ("text = \": \"", A_QUESTION),
            ("text = 1", "`text` must be a string, not a whole number"),
            (
                "text = \"a\\nb: \"",
                "`text` holds control or invisible characters, or is too long",
            ),
            ("tries = 0", "`tries` is 0; it must be 1 to 3"),
            ("tries = 4", "`tries` is 4; it must be 1 to 3"),
            ("tries = -1", "`tries` is -1; it must be 1 to 3"),
        ],
    );
    check(
        "otp",
        &[
            (
                "issuer = \"a:b\"",
                "`issuer` must not hold a colon: in otpauth:// URIs it ends the issuer",
            ),
            (
                "issuer = \"\"",
                "`issuer` must be text that can be seen, with no blanks at its ends",
            ),
            (
                "algorithm = \"MD5\"",
                "`algorithm` must be \"SHA1\", \"SHA256\" or \"SHA512\"",
            ),
            ("digits = 9", "`digits` is 9; it must be 6 to 8"),
            ("period = 14", "`period` is 14; it must be 15 to 120"),
            ("skew = 3", "`skew` is 3; it must be 0 to 2"),
            ("look-ahead = 0", "`look-ahead` is 0; it must be 1 to 10"),
        ],
    );
    check(
        "session",
        &[
            (
                "dialogue = \"0s\"",
                "`dialogue` is \"0s\"; it must be 10s to 5m",
            ),
            ("dialogue = 45", NO_DURATION),
            ("dialogue = \"-45s\"", BAD_DURATION),
            ("max = 0", "`max` is 0; it must be 8 to 1024"),
        ],
    );
}

#[test]
fn a_bad_limit_is_refused_with_its_place_and_its_range() {
    check(
        "throttle",
        &[
            ("free = 11", "`free` is 11; it must be 0 to 10"),
            (
                "first-delay = \"2h\"",
                "`first-delay` is \"2h\"; it must be 1s to 1h",
            ),
            (
                "max-delay = \"59s\"",
                "`max-delay` is \"59s\"; it must be 1m to 1d",
            ),
            ("limit = 0", "`limit` is 0; it must be 1 to 100"),
            ("limit = 101", "`limit` is 101; it must be 1 to 100"),
            (
                "window = \"1h\"",
                "`window` is \"1h\"; it must be 1d to 365d",
            ),
            (
                "reserve-trusted = 51",
                "`reserve-trusted` is 51; it must be 0 to 50",
            ),
            (
                "reserve-local = -1",
                "`reserve-local` is -1; it must be 0 to 50",
            ),
            (
                "source-per-hour = 0",
                "`source-per-hour` is 0; it must be 1 to 1000",
            ),
            (
                "source-entries = 10",
                "`source-entries` is 10; it must be 1024 to 1048576",
            ),
        ],
    );
    check(
        "audit",
        &[
            (
                "keep = \"12h\"",
                "`keep` is \"12h\"; it must be 1d to 3650d",
            ),
            (
                "max-records = 0",
                "`max-records` is 0; it must be 1000 to 10000000",
            ),
            (
                "syslog = \"yes\"",
                "`syslog` must be true or false, not a string",
            ),
        ],
    );
    check(
        "trust",
        &[
            (
                "revoke-at = \"none\"",
                "`revoke-at` must be \"low\", \"medium\", \"high\" or \"never\"",
            ),
            (
                "revoke-on-password-change = \"yes\"",
                "`revoke-on-password-change` must be true or false, not a string",
            ),
        ],
    );
    check(
        "daemon",
        &[(
            "idle-exit = \"1s\"",
            "`idle-exit` is \"1s\"; it must be 5s to 1d",
        )],
    );
}

#[test]
fn unknown_keys_and_settings_that_contradict_each_other_are_refused() {
    assert_eq!(
        settings("[prompt]\ntires = 1\n").unwrap_err(),
        [
            "m.toml:2:1: unknown key `tires` in [prompt] (did you mean tries?); known are text, tries"
        ]
    );
    assert_eq!(
        settings("[promt]\ntries = 1\n").unwrap_err(),
        [
            "m.toml:1:2: unknown key `promt` in mfad.toml (did you mean prompt?); known are prompt, otp, fido2, session, throttle, risk, trust, audit, daemon"
        ]
    );
    assert_eq!(
        settings("[throttle]\nlimit = 20\n").unwrap_err(),
        [
            "m.toml:1:1: `reserve-trusted` and `reserve-local` together leave nothing of `limit` for other sources"
        ]
    );
    let long = format!("[prompt]\ntext = \"{}: \"\n", "x".repeat(79));
    assert_eq!(
        settings(&long).unwrap_err(),
        ["m.toml:2:8: `text` is longer than 80 characters; many clients show one line"]
    );
    let crossed = "[throttle]\nfirst-delay = \"1h\"\nmax-delay = \"1m\"\n";
    assert_eq!(
        settings(crossed).unwrap_err(),
        ["m.toml:1:1: `first-delay` is longer than `max-delay`"]
    );
    assert_eq!(
        settings("prompt = 1\n").unwrap_err(),
        ["m.toml:1:10: `prompt` must be a table, not a whole number"]
    );
}
