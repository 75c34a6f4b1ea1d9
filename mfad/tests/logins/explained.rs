//! What `policy explain` says of a login is what becomes of it, and saying so changes nothing.

mod past;

use mfad::management::Refusal;
use mfad_protocol::{AuditQuery, ExplainQuery, PolicyExplanation, State};
use policy::{Effect, Reasons, Truth};

use crate::support::{ALICE, BOB, Bench, START, key, loaded, root, ssh, sudo};

const POLICY: &str = r#"
[[rule]]
name = "this key"
when = { key = "KEY", service = "sshd" }
require = "none"

[[rule]]
name = "risky"
when = { risk = ">= medium" }
require = { count = 2 }

[[rule]]
name = "ssh"
when = { service = "sshd" }
require = "any"
remember = { for = "12h", bind = ["ssh-key"] }

[[rule]]
name = "su"
when = { service = "su" }
require = "deny"

[[rule]]
name = "far"
when = { network = "192.0.2.0/24", service = "login" }
require = { any = ["totp"] }
floor = true

[unenrolled]
action = "enroll"
"#;

fn fingerprint(number: u8) -> String {
    let keys = mfad::session::ssh_keys::read(&key(number)).unwrap();
    keys[0].fingerprint.clone().unwrap()
}

fn bench() -> Bench {
    Bench::with_policy(&POLICY.replace("KEY", &fingerprint(1)))
}

fn asked(user: &str, service: &str) -> ExplainQuery {
    ExplainQuery {
        user: Some(user.into()),
        service: Some(service.into()),
        ..ExplainQuery::default()
    }
}

fn from_afar(user: &str, number: u8) -> ExplainQuery {
    let line = key(number);
    ExplainQuery {
        rhost: Some("192.0.2.10".into()),
        tty: Some("ssh".into()),
        public_key: line.trim().strip_prefix("publickey ").map(str::to_owned),
        ..asked(user, "sshd")
    }
}

async fn explain(bench: &Bench, query: ExplainQuery) -> PolicyExplanation {
    bench.engine.explain_policy(&root(0), query).await.unwrap()
}

fn reasons(explained: &PolicyExplanation) -> Reasons {
    serde_json::from_str(&explained.reasons).unwrap()
}

fn fact<'e>(explained: &'e PolicyExplanation, key: &str) -> (&'e str, &'e str) {
    let row = explained.facts.iter().find(|(found, ..)| found == key);
    row.map(|(_, value, from)| (value.as_str(), from.as_str()))
        .unwrap()
}

#[tokio::test]
async fn what_is_explained_is_what_becomes_of_the_login() {
    let bench = bench();
    bench.enroll(ALICE.0).await;
    let with_key = |number| mfad_protocol::Context {
        ssh_auth_info: Some(key(number)),
        ..ssh(ALICE.0)
    };
    let su = mfad_protocol::Context {
        service: "su".into(),
        ..sudo(ALICE.0, ALICE.1)
    };
    let new = mfad_protocol::Context {
        ssh_auth_info: Some(key(2)),
        ..ssh(BOB.0)
    };
    let after_password = ExplainQuery {
        first: Some(vec!["password".into()]),
        ..asked(ALICE.0, "sudo")
    };
    for (query, context, outcome, rule) in [
        (
            from_afar(ALICE.0, 1),
            with_key(1),
            "not-required",
            Some("this key"),
        ),
        (from_afar(ALICE.0, 2), with_key(2), "ask", Some("ssh")),
        (asked(ALICE.0, "su"), su, "deny", Some("su")),
        (after_password, sudo(ALICE.0, ALICE.1), "ask", None),
        (from_afar(BOB.0, 2), new, "enroll", Some("ssh")),
    ] {
        let explained = explain(&bench, query).await;
        assert_eq!(
            (explained.outcome.as_str(), explained.rule.as_deref()),
            (outcome, rule)
        );
        let step = bench.converse(context, &[]).await;
        // A refusal looks like any question.
        let state = if outcome == "not-required" {
            State::NotRequired
        } else {
            State::Continue
        };
        assert_eq!(step.state, state, "{outcome} {explained:?}");
    }
}

#[tokio::test]
async fn what_is_not_said_is_looked_up_or_not_known_and_told_apart() {
    let bench = bench();
    bench.enroll(ALICE.0).await;
    let explained = explain(&bench, asked(ALICE.0, "sshd")).await;
    assert_eq!(fact(&explained, "user"), (ALICE.0, "given"));
    assert_eq!(fact(&explained, "uid"), ("1", "looked-up"));
    assert_eq!(fact(&explained, "group"), ("daemon", "looked-up"));
    assert_eq!(fact(&explained, "key"), ("not known", "unknown"));
    assert_eq!(fact(&explained, "risk"), ("not known", "unknown"));
    assert_eq!(fact(&explained, "country"), ("not known", "not-asked"));
    // It may be the key that is exempt, and it may look risky: the strictest of all.
    assert_eq!(explained.require, "{ count = 2 }");
    assert_eq!(explained.unknown, ["first-factor", "risk"]);
    assert_eq!(explained.enrolled, ["totp"]);
    let rules = reasons(&explained).rules;
    let effects: Vec<(Truth, Effect)> = rules
        .iter()
        .map(|rule| (rule.applies, rule.effect))
        .collect();
    assert_eq!(
        effects[..3],
        [
            (Truth::Unknown, Effect::Undecided),
            (Truth::Unknown, Effect::Undecided),
            (Truth::Yes, Effect::Decided),
        ]
    );
    // Of a key it is said which one, or not.
    let of_a_key = ExplainQuery {
        first: Some(vec!["publickey".into()]),
        risk: Some("none".into()),
        ..asked(ALICE.0, "sshd")
    };
    let explained = explain(&bench, of_a_key.clone()).await;
    assert_eq!(
        (explained.require.as_str(), &explained.unknown[..]),
        ("\"any\"", &["first-factor".to_owned()][..])
    );
    let exempt = ExplainQuery {
        key: Some(fingerprint(1)),
        ..of_a_key
    };
    assert_eq!(explain(&bench, exempt).await.outcome, "not-required");
}

#[tokio::test]
async fn what_is_said_stands_in_for_what_would_be_looked_up() {
    let bench = bench();
    bench.enroll(ALICE.0).await;
    let calm = explain(&bench, from_afar(ALICE.0, 2)).await;
    assert_eq!(fact(&calm, "risk"), ("none", "looked-up"));
    let signals = |words: &[&str]| ExplainQuery {
        signals: Some(words.iter().map(|word| (*word).to_owned()).collect()),
        ..from_afar(ALICE.0, 2)
    };
    // The signals weigh what they weigh in a login: 40 and more is medium.
    let light = explain(&bench, signals(&["new-device"])).await;
    assert_eq!(
        (fact(&light, "risk").0, light.rule.as_deref()),
        ("low", Some("ssh"))
    );
    let heavy = explain(&bench, signals(&["new-device", "new-country"])).await;
    assert_eq!(
        (fact(&heavy, "risk"), heavy.rule.as_deref()),
        (("medium", "given"), Some("risky"))
    );
    let from_desk = ExplainQuery {
        tty: Some("tty1".into()),
        ..asked(ALICE.0, "login")
    };
    assert_eq!(fact(&explain(&bench, from_desk).await, "seat").0, "seat0");
    let later = ExplainQuery {
        at: Some(START + 86_400),
        ..from_afar(ALICE.0, 2)
    };
    assert_eq!(explain(&bench, later).await.at, START + 86_400);
}

#[tokio::test]
async fn a_remembered_device_is_recognized_and_survives_the_question() {
    let bench = bench();
    let phone = bench.enroll(ALICE.0).await;
    let context = mfad_protocol::Context {
        ssh_auth_info: Some(key(2)),
        ..ssh(ALICE.0)
    };
    let new = explain(&bench, from_afar(ALICE.0, 2)).await;
    assert!(
        new.remember
            .unwrap()
            .ends_with("is not remembered, and can be once all is proven")
    );
    assert_eq!(
        bench
            .whole(context.clone(), &[&phone.code(START), "y"])
            .await,
        State::Granted
    );
    let known = explain(&bench, from_afar(ALICE.0, 2)).await;
    assert_eq!(known.outcome, "not-required");
    assert!(
        known.detail.contains("remembered device"),
        "{}",
        known.detail
    );
    // A login that looks so would end the trust; the question does not.
    let risky = ExplainQuery {
        risk: Some("high".into()),
        ..from_afar(ALICE.0, 2)
    };
    assert_eq!(explain(&bench, risky).await.rule.as_deref(), Some("risky"));
    assert_eq!(bench.whole(context, &[]).await, State::NotRequired);
}

#[tokio::test]
async fn a_question_leaves_nothing_behind() {
    let bench = bench();
    bench.enroll(ALICE.0).await;
    let trail = || async {
        bench
            .engine
            .audit(AuditQuery::default())
            .await
            .unwrap()
            .len()
    };
    let before = trail().await;
    for user in [ALICE.0, BOB.0, "nobody-of-that-name"] {
        explain(&bench, from_afar(user, 2)).await;
    }
    assert_eq!(trail().await, before);
    let nobody = explain(&bench, from_afar("nobody-of-that-name", 2)).await;
    assert_eq!(
        (nobody.outcome.as_str(), nobody.enrolled.len()),
        ("deny", 0)
    );
    assert!(nobody.detail.contains("no such user"), "{}", nobody.detail);
}

#[tokio::test]
async fn nonsense_is_refused_by_name() {
    let bench = bench();
    let base = || asked(ALICE.0, "sshd");
    let some = |text: &str| Some(text.to_owned());
    for (query, said) in [
        (ExplainQuery::default(), "name a user and a service"),
        (
            ExplainQuery {
                user: some("a:b"),
                ..base()
            },
            "login name",
        ),
        (
            ExplainQuery {
                service: some(""),
                ..base()
            },
            "a service has",
        ),
        (
            ExplainQuery {
                rhost: some("192.0.2.1"),
                seat: some("seat0"),
                ..base()
            },
            "no seat",
        ),
        (
            ExplainQuery {
                first: Some(vec!["finger".into()]),
                ..base()
            },
            "first factor finger",
        ),
        (
            ExplainQuery {
                key: some("MD5:00"),
                ..base()
            },
            "no fingerprint",
        ),
        (
            ExplainQuery {
                public_key: some("ssh-ed25519 AAAA"),
                ..base()
            },
            "no public key",
        ),
        (
            ExplainQuery {
                country: some("Swiss"),
                ..base()
            },
            "two letters",
        ),
        (
            ExplainQuery {
                device: some("old"),
                ..base()
            },
            "known or new",
        ),
        (
            ExplainQuery {
                risk: some("great"),
                ..base()
            },
            "a risk is",
        ),
        (
            ExplainQuery {
                signals: Some(vec!["drums".into()]),
                ..base()
            },
            "no signal drums",
        ),
        (
            ExplainQuery {
                last_mfa: Some(-2),
                ..base()
            },
            "negative",
        ),
        (
            ExplainQuery {
                at: Some(i64::MAX),
                ..base()
            },
            "the time",
        ),
    ] {
        match bench.engine.explain_policy(&root(0), query.clone()).await {
            Err(Refusal::Invalid(why)) => assert!(why.contains(said), "{why}"),
            other => unreachable!("{query:?} {other:?}"),
        }
    }
}
