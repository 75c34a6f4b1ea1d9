//! A policy in the shadow: it decides nothing, costs the real decision nothing, and its difference is noted.

use std::{future::Future, os::fd::OwnedFd, pin::Pin, sync::Arc, time::Duration};

use mfad::{logind::Sessions, session::whereabouts::Whereabouts};
use mfad_protocol::{AuditQuery, Context, State};

use crate::support::{ALICE, BOB, Bench, START, session, ssh, su, sudo};

const OPEN: &str = "[[rule]]\nname = \"open\"\nwhen = {}\nrequire = \"none\"\n";
const STRICT: &str = "[[rule]]\nname = \"strict\"\nwhen = {}\nrequire = \"deny\"\n";
const ANY: &str = "[[rule]]\nname = \"ask\"\nwhen = {}\nrequire = \"any\"\n";

#[tokio::test]
async fn a_login_that_the_shadow_would_have_changed_is_what_it_is_and_noted() {
    let step_up = "[[rule]]\nname = \"aged\"\nwhen = { service = \"sshd\" }\nrequire = { max-age = \"1h\" }\n";
    let stronger =
        "[[rule]]\nname = \"two\"\nwhen = {}\nrequire = { any = [\"totp\", \"hotp\"] }\n";
    for (policy, shadow, state, would, rule) in [
        (OPEN, STRICT, State::NotRequired, "deny", Some("strict")),
        (OPEN, ANY, State::NotRequired, "ask", Some("ask")),
        (OPEN, "", State::NotRequired, "ask", None),
        (ANY, OPEN, State::Granted, "not-ask", Some("open")),
        (ANY, STRICT, State::Granted, "deny", Some("strict")),
        (ANY, stronger, State::Granted, "ask-otherwise", Some("two")),
        (ANY, ANY, State::Granted, "", None),
        (ANY, step_up, State::Granted, "", None),
        (OPEN, OPEN, State::NotRequired, "", None),
    ] {
        let bench = Bench::with_policy(policy);
        let phone = bench.enroll(ALICE.0).await;
        bench.shadowed_by(policy, shadow);
        let step = bench.login(ssh(ALICE.0), &phone.code(START)).await;
        assert_eq!(step.state, state, "{policy} {shadow}");
        let record = bench.last_record().await;
        assert_eq!(
            record["shadow"].as_str().unwrap_or_default(),
            would,
            "{record}"
        );
        assert_eq!(record["shadow-rule"].as_str(), rule, "{record}");
    }
}

#[tokio::test]
async fn a_refusal_that_the_shadow_would_not_have_made_is_noted_too() {
    let bench = Bench::with_policy(STRICT);
    bench.enroll(ALICE.0).await;
    bench.shadowed_by(STRICT, OPEN);
    let step = bench.login(ssh(ALICE.0), "123456").await;
    assert_eq!(step.state, State::Denied);
    let record = bench.last_record().await;
    assert_eq!(record["shadow"], "not-ask", "{record}");
}

#[tokio::test]
async fn what_happens_to_the_unenrolled_is_the_shadows_own_word() {
    let allow = "[unenrolled]\naction = \"allow\"\n";
    let bench = Bench::with_policy(allow);
    bench.shadowed_by(allow, "");
    let step = bench.login(ssh(BOB.0), "").await;
    assert_eq!(step.state, State::NotRequired);
    assert_eq!(bench.last_record().await["shadow"], "deny");
    bench.shadowed_by(allow, "[unenrolled]\naction = \"enroll\"\n");
    bench.login(ssh(BOB.0), "").await;
    assert_eq!(bench.last_record().await["shadow"], "enroll");
}

/// Facts that only the shadow asks for are looked up for it, and the real login learns nothing of them.
#[tokio::test]
async fn what_only_the_shadow_asks_for_is_found_out_for_it_alone() {
    let far =
        "[[rule]]\nname = \"far\"\nwhen = { network = \"192.0.2.0/24\" }\nrequire = \"deny\"\n";
    let bench = Bench::with_policy(OPEN);
    bench.enroll(ALICE.0).await;
    bench.sessions.say(session("3", ALICE.1));
    bench.shadowed_by(OPEN, far);
    let step = bench.login(sudo(ALICE.0, ALICE.1), "").await;
    assert_eq!(step.state, State::NotRequired);
    let record = bench.last_record().await;
    assert_eq!(
        (&record["shadow"], &record["shadow-rule"]),
        (&"deny".into(), &"far".into())
    );
    assert!(
        record.get("session").is_none() && record.get("rhost").is_none(),
        "{record}"
    );
}

/// A logind that never answers.
struct Silent;

impl Sessions for Silent {
    fn whereabouts<'a>(
        &'a self,
        _process: OwnedFd,
    ) -> Pin<Box<dyn Future<Output = Whereabouts> + Send + 'a>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_look_up_that_only_the_shadow_wants_holds_a_login_up_no_longer_than_its_bound() {
    let seated = "[[rule]]\nname = \"seated\"\nwhen = { seat = \"seat0\" }\nrequire = \"deny\"\n";
    let mut bench = Bench::with_policy(OPEN);
    bench.engine = bench.engine.asking(Arc::new(Silent));
    bench.shadowed_by(OPEN, seated);
    let login = bench.login(sudo(ALICE.0, ALICE.1), "");
    let step = tokio::time::timeout(Duration::from_secs(1), login)
        .await
        .unwrap();
    assert_eq!(step.state, State::NotRequired);
    assert_eq!(bench.last_record().await["shadow"], "undecided");
}

#[tokio::test]
async fn a_proof_of_ones_own_before_changing_factors_is_no_login() {
    let bench = Bench::with_policy(OPEN);
    let phone = bench.enroll(ALICE.0).await;
    bench.shadowed_by(OPEN, STRICT);
    let context = Context {
        service: mfad::session::facts::SELF_SERVICE.into(),
        ..sudo(ALICE.0, ALICE.1)
    };
    bench.login(context, &phone.code(START)).await;
    assert!(bench.last_record().await.get("shadow").is_none());
}

/// A rule with an age in the shadow finds the proofs that were made since it stands there.
#[tokio::test]
async fn proofs_are_kept_for_the_shadow_to_see() {
    let aged = "[[rule]]\nname = \"aged\"\nwhen = {}\nrequire = { max-age = \"1h\" }\n";
    let bench = Bench::with_policy(ANY);
    let phone = bench.enroll(ALICE.0).await;
    bench.sessions.say(session("3", ALICE.1));
    bench.shadowed_by(ANY, aged);
    let whole = async |code: String| bench.whole(sudo(ALICE.0, ALICE.1), &[&code]).await;
    assert_eq!(whole(phone.code(START)).await, State::Granted);
    assert!(bench.last_record().await.get("shadow").is_none());
    bench.clock.advance(60);
    assert_eq!(whole(phone.code(START + 60)).await, State::Granted);
    assert_eq!(bench.last_record().await["shadow"], "not-ask");
}

/// What a report counts from: every record once, however the pages fall.
#[tokio::test]
async fn the_trail_is_read_backwards_page_by_page() {
    let bench = Bench::with_policy(OPEN);
    for _ in 0..5 {
        bench.login(ssh(ALICE.0), "").await;
    }
    bench.last_record().await;
    let page = async |before, limit| {
        let query = AuditQuery {
            before,
            limit: Some(limit),
            ..AuditQuery::default()
        };
        bench.engine.audit(query).await.unwrap()
    };
    let all = page(None, 1000).await;
    assert_eq!(all.len(), 5);
    let (mut read, mut before) = (Vec::new(), None);
    loop {
        let records = page(before, 2).await;
        let Some(oldest) = records.first().map(|(sequence, ..)| *sequence) else {
            break;
        };
        before = Some(oldest);
        read.splice(0..0, records);
    }
    assert_eq!(read, all);
}

/// Who is asked at su is the shadow's own choice: the account that is switched to, or who switches.
#[tokio::test]
async fn a_shadow_that_asks_somebody_else_at_su_is_compared_by_them() {
    let by_caller = |rest: &str| format!("[subject]\nsu = \"caller\"\n\n{rest}");
    let bobs = "[[rule]]\nname = \"bob's\"\nwhen = { user = \"bin\" }\nrequire = \"deny\"\n\n";
    for (policy, shadow, enrolled, would, rule) in [
        // Both ask, each somebody else.
        (ANY, by_caller(ANY), true, "ask-otherwise", Some("ask")),
        // Whom the rule names is the target of one, and not the subject of the other.
        (
            ANY,
            by_caller(&format!("{bobs}{ANY}")),
            true,
            "ask-otherwise",
            Some("ask"),
        ),
        (ANY, format!("{bobs}{ANY}"), true, "deny", Some("bob's")),
        // alice has nothing, and is refused.
        (ANY, by_caller(ANY), false, "deny", Some("ask")),
        (OPEN, by_caller(OPEN), true, "", None),
        (ANY, by_caller(OPEN), true, "not-ask", Some("open")),
    ] {
        let bench = Bench::with_policy(policy);
        let phone = bench.enroll(BOB.0).await;
        if enrolled {
            bench.enroll(ALICE.0).await;
        }
        bench.shadowed_by(policy, &shadow);
        let step = bench.login(su(), &phone.code(START)).await;
        let expected = if policy == OPEN {
            State::NotRequired
        } else {
            State::Granted
        };
        assert_eq!(step.state, expected, "{shadow}");
        let record = bench.last_record().await;
        let word = record["shadow"].as_str().unwrap_or_default();
        assert_eq!(word, would, "{policy} {shadow} {record}");
        assert_eq!(record["shadow-rule"].as_str(), rule, "{record}");
    }
}

#[tokio::test]
async fn a_shadow_that_asks_the_target_where_the_policy_asks_the_caller_is_compared_too() {
    let policy = format!("[subject]\nsu = \"caller\"\n\n{ANY}");
    let bench = Bench::with_policy(&policy);
    let phone = bench.enroll(ALICE.0).await;
    bench.shadowed_by(&policy, ANY);
    let step = bench.login(su(), &phone.code(START)).await;
    assert_eq!(step.state, State::Granted);
    let record = bench.last_record().await;
    assert_eq!(
        (&record["shadow"], &record["user"]),
        (&"deny".into(), &ALICE.0.into())
    );
}
