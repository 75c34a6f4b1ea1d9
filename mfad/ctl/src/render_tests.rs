//! What people and scripts read, from fixed data.

use super::*;

fn alice() -> UserInfo {
    UserInfo {
        user: "alice".into(),
        uid: 1000,
        enrolled: true,
        credentials: vec![
            CredentialInfo {
                id: "c1".into(),
                kind: "totp".into(),
                name: "phone".into(),
                created: 1_793_500_000,
                last_used: Some(1_795_511_564),
                detail: Some("SHA1, 6 digits, 30 s".into()),
                left: None,
            },
            CredentialInfo {
                id: "c2".into(),
                kind: "backup-codes".into(),
                name: "backup-codes".into(),
                created: 1_793_500_100,
                last_used: None,
                detail: None,
                left: Some(7),
            },
        ],
        budgets: vec![budget_of("otp", 0), budget_of("backup-codes", 0)],
        preferred: None,
        requirement: None,
        last_login: Some(1_795_511_564),
    }
}

fn budget_of(class: &str, failures: u32) -> BudgetInfo {
    BudgetInfo {
        class: class.into(),
        failures,
        limit: 100,
        delayed_until: None,
        disabled: false,
    }
}

#[test]
fn a_user_with_two_factors() {
    insta::assert_snapshot!(user(&alice(), &TimeZone::UTC), @r#"
    alice (uid 1000) has a second factor.
    Last login with it: 2026-11-24 09:12:44

    FACTOR        KIND          ENROLLED             LAST USED            DETAILS
    phone         totp          2026-11-01 02:26:40  2026-11-24 09:12:44  SHA1, 6 digits, 30 s
    backup-codes  backup-codes  2026-11-01 02:28:20  never                7 left
    "#);
}

#[test]
fn spent_budgets_say_until_when_and_who_can_help() {
    let mut info = alice();
    info.credentials.clear();
    info.enrolled = false;
    info.last_login = None;
    info.budgets = vec![
        budget_of("otp", 3),
        BudgetInfo {
            delayed_until: Some(1_795_511_600),
            ..budget_of("otp", 5)
        },
        BudgetInfo {
            disabled: true,
            delayed_until: Some(1_795_511_600),
            ..budget_of("otp", 100)
        },
    ];
    insta::assert_snapshot!(user(&info, &TimeZone::UTC), @r#"
    alice (uid 1000) has no second factor.

    Failures: otp, 3 of 100 failures in 30 days.
    Delayed: otp until 2026-11-24 09:13:20 (5 of 100 failures in 30 days).
    Disabled: otp (100 of 100 failures in 30 days). An administrator unlocks it: sudo mfactl user unlock alice
    "#);
}

#[test]
fn pages_of_users_have_one_heading() {
    let mut locked = alice();
    locked.user = "bob".into();
    locked.budgets[0].disabled = true;
    locked.last_login = None;
    let mut delayed = alice();
    delayed.user = "carol".into();
    delayed.budgets[1].delayed_until = Some(1_795_511_600);
    insta::assert_snapshot!(users(&[alice(), locked, delayed], true, &TimeZone::UTC), @r#"
    USER   UID   FACTORS             LAST LOGIN           STATE
    alice  1000  phone,backup-codes  2026-11-24 09:12:44  ok
    bob    1000  phone,backup-codes  never                disabled
    carol  1000  phone,backup-codes  2026-11-24 09:12:44  delayed
    "#);
    insta::assert_snapshot!(users(&[alice()], false, &TimeZone::UTC), @"alice  1000  phone,backup-codes  2026-11-24 09:12:44  ok");
}

#[test]
fn a_user_for_scripts() {
    insta::assert_snapshot!(user_json(&alice()), @r#"{"budgets":[{"class":"otp","delayed_until":null,"disabled":false,"failures":0,"limit":100},{"class":"backup-codes","delayed_until":null,"disabled":false,"failures":0,"limit":100}],"credentials":[{"created":1793500000,"detail":"SHA1, 6 digits, 30 s","id":"c1","kind":"totp","last_used":1795511564,"left":null,"name":"phone"},{"created":1793500100,"detail":null,"id":"c2","kind":"backup-codes","last_used":null,"left":7,"name":"backup-codes"}],"enrolled":true,"last_login":1795511564,"uid":1000,"user":"alice"}"#);
}

#[test]
fn a_reload_says_what_is_in_force() {
    let applied = ReloadReport {
        applied: true,
        errors: Vec::new(),
    };
    insta::assert_snapshot!(reload(&applied), @"Reloaded: the files on disk are in force.");
    let refused = ReloadReport {
        applied: false,
        errors: vec!["/etc/mfa/policy.toml:3:1: unknown key `reqiure`".into()],
    };
    insta::assert_snapshot!(reload(&refused), @r#"
    Not reloaded: the policy that was in force stays in force.
      /etc/mfa/policy.toml:3:1: unknown key `reqiure`
    Correct the files and check them with: mfactl policy check
    "#);
    insta::assert_snapshot!(reload_json(&refused), @r#"{"applied":false,"errors":["/etc/mfa/policy.toml:3:1: unknown key `reqiure`"]}"#);
}

#[test]
fn the_daemon_in_one_line() {
    let mut status = DaemonStatus {
        version: "0.1.0".into(),
        protocol: 1,
        started: 1_795_511_564,
        enrolled: Some(12),
        sessions: 0,
        rules: Some(3),
        problems: Vec::new(),
        shadow_rules: None,
        shadow_problems: None,
    };
    insta::assert_snapshot!(daemon(&status, &TimeZone::UTC), @"mfad 0.1.0 answers (protocol 1), started 2026-11-24 09:12:44, 12 enrolled, 3 rules");
    // Without its key it has no store to count in, and no policy in force.
    (status.enrolled, status.rules) = (None, None);
    insta::assert_snapshot!(daemon(&status, &TimeZone::UTC), @"mfad 0.1.0 answers (protocol 1), started 2026-11-24 09:12:44");
}

#[test]
fn nothing_from_the_daemon_moves_the_cursor() {
    let hostile = "\u{1b}[2J\r\nroot\u{202e}".to_owned();
    let mut info = alice();
    info.user.clone_from(&hostile);
    for credential in &mut info.credentials {
        credential.id.clone_from(&hostile);
        credential.kind.clone_from(&hostile);
        credential.name.clone_from(&hostile);
        credential.detail = Some(hostile.clone());
    }
    for budget in &mut info.budgets {
        budget.class.clone_from(&hostile);
        budget.failures = 1;
        budget.disabled = true;
    }
    let report = ReloadReport {
        applied: false,
        errors: vec![hostile],
    };
    for text in [
        user(&info, &TimeZone::UTC),
        users(&[info.clone()], true, &TimeZone::UTC),
        user_json(&info).to_string(),
        reload(&report),
        reload_json(&report).to_string(),
    ] {
        let foreign = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(foreign), "{text:?}");
        assert!(!text.contains("\\u001b"), "{text:?}");
    }
    assert_eq!(users(&[info], false, &TimeZone::UTC).lines().count(), 1);
}

#[test]
fn a_long_sentence_is_shown_whole_and_an_endless_one_is_not() {
    let sentence = "x".repeat(1000);
    assert_eq!(shown(&sentence), sentence);
    assert_eq!(shown(&"x".repeat(1_000_000)).len(), LONGEST);
}

#[test]
fn a_time_outside_of_the_calendar_is_a_question_mark() {
    assert_eq!(moment(i64::MAX, &TimeZone::UTC), "?");
    assert_eq!(
        moment(0, &TimeZone::fixed(jiff::tz::offset(1))),
        "1970-01-01 01:00:00"
    );
}
