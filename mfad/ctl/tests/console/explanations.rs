//! `policy explain`: what the daemon is asked, and how its answer is shown.

use std::fs;

use mfad_protocol::ExplainQuery;

use crate::mock::{MockDaemon, State};
use crate::program::{Outcome, mfactl, run};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/// Runs it, and says what the daemon was asked.
fn explain(arguments: &[&str]) -> (Outcome, Option<ExplainQuery>) {
    let daemon = MockDaemon::start(State::default());
    let arguments = [&["policy", "explain"], arguments].concat();
    let outcome = run(&mut mfactl(&daemon.bus.socket(), &arguments), "");
    let asked = daemon.state.lock().unwrap().explained.pop();
    (outcome, asked)
}

#[test]
fn all_that_is_said_of_a_login_reaches_the_daemon() {
    let fingerprint = format!("SHA256:{}", "A".repeat(43));
    let (outcome, asked) = explain(&[
        "--user",
        "alice",
        "--service",
        "sshd",
        "--rhost",
        "203.0.113.9",
        "--tty",
        "ssh",
        "--key",
        &fingerprint,
        "--first",
        "sk-key",
        "--country",
        "NZ",
        "--risk",
        "high",
        "--signal",
        "dormant",
        "--signal",
        "new-country",
        "--device",
        "new",
        "--last-mfa",
        "31d",
        "--at",
        "2026-12-24T02:00Z",
        "--target",
        "root",
        "--seat",
        "none",
    ]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        asked.unwrap(),
        ExplainQuery {
            audit: None,
            user: some("alice"),
            service: some("sshd"),
            target: some("root"),
            rhost: some("203.0.113.9"),
            tty: some("ssh"),
            seat: some("none"),
            first: Some(vec!["sk-key".into()]),
            key: Some(fingerprint),
            public_key: None,
            country: some("NZ"),
            device: some("new"),
            risk: some("high"),
            signals: Some(vec!["dormant".into(), "new-country".into()]),
            last_mfa: Some(31 * 86_400),
            at: Some(1_798_077_600),
        }
    );
}

#[test]
fn what_is_not_said_is_not_sent() {
    let (outcome, asked) = explain(&[
        "--user",
        "alice",
        "--service",
        "sudo",
        "--last-mfa",
        "never",
    ]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        asked.unwrap(),
        ExplainQuery {
            user: Some("alice".into()),
            service: Some("sudo".into()),
            last_mfa: Some(-1),
            ..ExplainQuery::default()
        }
    );
}

#[test]
fn of_a_key_file_the_key_is_sent_and_not_the_comment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pub");
    let run_with = |text: &str| {
        fs::write(&path, text).unwrap();
        explain(&[
            "--user",
            "a",
            "--service",
            "s",
            "--key-file",
            path.to_str().unwrap(),
        ])
    };
    let (outcome, asked) = run_with(&format!("{KEY} alice at her laptop\n"));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(asked.unwrap().public_key.as_deref(), Some(KEY));
    for wrong in ["", "-----BEGIN OPENSSH PRIVATE KEY-----\n", "ssh-ed25519\n"] {
        let (outcome, asked) = run_with(wrong);
        assert_eq!((outcome.code, asked), (2, None), "{outcome:?}");
    }
}

#[test]
fn the_answer_is_the_decision_the_steps_the_rules_and_the_login() {
    let (outcome, _) = explain(&["--user", "alice", "--service", "sshd"]);
    insta::assert_snapshot!(outcome.out, @r#"
    alice at sshd, 2026-11-24 06:00:00: asked for 2 different ones of what is enrolled and will do: totp, backup-codes
      require = { count = 2 }, by “abroad”
      not known, and it could have changed that: country
      enrolled: totp, backup-codes; who has nothing gets: deny

    Steps
      1. No rule matches, so one factor of any kind: "any"
      2. "abroad" may match (country: not known), so the stricter of both: { count = 2 }

    Rules
      rule “abroad” (/etc/mfa/policy.toml:1): may match
          require = { count = 2 }
          unknown  country = ["NZ"]; here: not known

    The login
      user     alice�[2J  as you say
      country  not known
    "#);
    let (outcome, asked) = explain(&["--audit", "7", "--json"]);
    assert_eq!(asked.unwrap().audit, Some(7));
    let told = &outcome.json()[0];
    assert_eq!(told["outcome"], "ask");
    assert_eq!(told["record"]["outcome"], "granted");
    assert_eq!(told["differences"][0], "then it demanded \"any\"");
    assert_eq!(told["reasons"]["rules"][0]["effect"], "undecided");
    assert_eq!(told["facts"][0]["value"], "alice\u{fffd}[2J");
}

#[test]
fn a_login_of_the_past_and_one_that_is_thought_of_are_not_mixed() {
    for wrong in [
        &["--user", "alice"][..],
        &["--audit", "7", "--user", "alice"],
        &["--audit", "0"],
        &["--user", "a", "--service", "s", "--first", "finger"],
        &["--user", "a", "--service", "s", "--last-mfa", "soon"],
        &["--user", "a", "--service", "s", "--at", "noon"],
    ] {
        let (outcome, asked) = explain(wrong);
        assert_eq!((outcome.code, asked), (2, None), "{wrong:?} {outcome:?}");
    }
}
