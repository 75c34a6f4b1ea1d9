//! Logins of the past, explained from their audit records.

use super::*;

/// The newest record of a login, and its number.
async fn newest(bench: &Bench) -> (i64, serde_json::Value) {
    // Records that go with no change are written beside the login.
    for _ in 0..100 {
        let records = bench.engine.audit(AuditQuery::default()).await.unwrap();
        let login = records.iter().rev().find_map(|(sequence, _, json)| {
            let record: serde_json::Value = serde_json::from_str(json).unwrap();
            (record["event"] == "authentication").then_some((*sequence, record))
        });
        if let Some(login) = login {
            return login;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    unreachable!("no login was recorded");
}

fn of_record(sequence: i64) -> ExplainQuery {
    ExplainQuery {
        audit: Some(sequence),
        ..ExplainQuery::default()
    }
}

#[tokio::test]
async fn a_login_of_the_past_is_explained_by_the_facts_of_then() {
    let bench = bench();
    let phone = bench.enroll(ALICE.0).await;
    let context = mfad_protocol::Context {
        ssh_auth_info: Some(key(2)),
        ..ssh(ALICE.0)
    };
    let state = bench.whole(context, &[&phone.code(START), "n"]).await;
    assert_eq!(state, State::Granted);
    let (sequence, record) = newest(&bench).await;
    assert_eq!(record["require"], "\"any\"");
    assert_eq!(record["groups"], serde_json::json!(["daemon"]));
    assert_eq!(record["first-factor"], serde_json::json!(["publickey"]));

    bench.clock.advance(86_400);
    let explained = explain(&bench, of_record(sequence)).await;
    assert_eq!(explained.differences.as_deref(), Some(&[][..]));
    assert_eq!((explained.at, explained.outcome.as_str()), (START, "ask"));
    assert_eq!(explained.rule.as_deref(), Some("ssh"));
    for (condition, value) in [
        ("user", ALICE.0),
        ("uid", "1"),
        ("group", "daemon"),
        ("network", "192.0.2.10"),
        ("tty", "ssh"),
        ("key", &fingerprint(2)),
        ("device", "new"),
        ("risk", "none"),
        ("last-mfa", "never"),
        ("time", "2027-01-15T08:00:00Z"),
    ] {
        assert_eq!(
            fact(&explained, condition),
            (value, "recorded"),
            "{condition}"
        );
    }
    // What nobody had looked up is not known of the past.
    assert_eq!(fact(&explained, "country").0, "not known");
    assert!(
        explained
            .record
            .unwrap()
            .contains("\"outcome\":\"granted\"")
    );
}

#[tokio::test]
async fn where_the_policy_of_now_decides_differently_that_is_said() {
    let bench = bench();
    let phone = bench.enroll(ALICE.0).await;
    let context = mfad_protocol::Context {
        ssh_auth_info: Some(key(2)),
        ..ssh(ALICE.0)
    };
    bench.whole(context, &[&phone.code(START), "n"]).await;
    let (sequence, _) = newest(&bench).await;
    let strict = "[[rule]]\nname = \"group\"\nwhen = { group = \"daemon\", first-factor = \"publickey\" }\nrequire = \"deny\"\n";
    bench.engine.replace(loaded(strict, |_| ()));
    let explained = explain(&bench, of_record(sequence)).await;
    let differences = explained.differences.unwrap();
    assert_eq!(
        differences[..2],
        [
            "then it demanded \"any\", now \"deny\"",
            "then “ssh” decided, now “group”"
        ]
    );
    assert!(
        differences[2].starts_with("then it was granted, now: refused"),
        "{differences:?}"
    );
    // The country was not asked for then, and so may be any: the stricter of both.
    let abroad = "[[rule]]\nname = \"swiss\"\nwhen = { country = \"CH\" }\nrequire = \"none\"\n";
    bench.engine.replace(loaded(abroad, |_| ()));
    let explained = explain(&bench, of_record(sequence)).await;
    assert_eq!(
        (explained.require.as_str(), &explained.unknown[..]),
        ("\"any\"", &["country".to_owned()][..])
    );
    // Who was taken out of the store meanwhile was enrolled then.
    bench.engine.reset_user(&root(0), ALICE.0).await.unwrap();
    let explained = explain(&bench, of_record(sequence)).await;
    let differences = explained.differences.unwrap();
    assert!(
        differences.contains(&"then totp was enrolled, now nothing".to_owned()),
        "{differences:?}"
    );
}

#[tokio::test]
async fn a_record_that_is_no_login_is_refused_and_a_missing_one_not_found() {
    let bench = bench();
    bench.enroll(ALICE.0).await;
    let enrollment = bench.engine.audit(AuditQuery::default()).await.unwrap()[0].0;
    let refusal = refused(&bench, enrollment).await;
    assert!(matches!(refusal, Refusal::Invalid(why) if why.contains("not of a login")));
    for missing in [enrollment + 1000, i64::MAX] {
        let refusal = refused(&bench, missing).await;
        assert!(matches!(refusal, Refusal::NotFound(_)), "{refusal:?}");
    }
}

async fn refused(bench: &Bench, sequence: i64) -> Refusal {
    let answer = bench
        .engine
        .explain_policy(&root(0), of_record(sequence))
        .await;
    answer.unwrap_err()
}
