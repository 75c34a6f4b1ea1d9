//! Dialogues: whose they are, what answers them, what they say.

use crate::REQUIRED;
use crate::support::{ALICE, BOB, Bench, START, root, ssh};
use mfad::session::{Caller, Connection};
use mfad_protocol::{Context, EnrollmentOptions, State, Step};

#[tokio::test]
async fn a_dialogue_can_be_answered_by_nobody_else_and_once_only() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    let (session, _) = bench.engine.begin(&root(1), ssh(ALICE.0), None).await;
    let code = vec![phone.code(START).into_bytes()];
    assert_eq!(
        bench
            .engine
            .respond(&root(2), &session, code.clone())
            .await
            .state,
        State::Denied
    );
    assert_eq!(
        bench
            .engine
            .respond(&root(1), &session, code.clone())
            .await
            .state,
        State::Granted
    );
    assert_eq!(
        bench
            .engine
            .respond(&root(1), &session, code.clone())
            .await
            .state,
        State::Denied
    );
    let (session, _) = bench.engine.begin(&root(1), ssh(ALICE.0), None).await;
    assert_eq!(
        bench.engine.respond(&root(1), &session, vec![]).await.state,
        State::Denied,
        "no answer"
    );
}

#[tokio::test]
async fn an_unprivileged_caller_can_only_ask_for_itself() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    let locker = |user: &str| Context {
        service: "swaylock".into(),
        rhost: None,
        ssh_auth_info: None,
        ..ssh(user)
    };
    for (uid, state) in [(BOB.1, State::Denied), (ALICE.1, State::Granted)] {
        let caller = Caller {
            uid,
            connection: Connection::Peer(u64::from(uid)),
        };
        let (session, step) = bench.engine.begin(&caller, locker(ALICE.0), None).await;
        assert_eq!(step.state, State::Continue);
        let end = bench
            .engine
            .respond(&caller, &session, vec![phone.code(START).into_bytes()])
            .await;
        assert_eq!(end.state, state, "uid {uid}");
    }
}

#[tokio::test]
async fn backup_codes_serve_once_each_and_say_how_many_are_left() {
    let bench = Bench::with_policy(REQUIRED);
    bench.enroll(ALICE.0).await;
    let offer = bench
        .engine
        .enroll_user(
            &root(0),
            ALICE.0,
            "backup-codes",
            EnrollmentOptions::default(),
        )
        .await
        .unwrap();
    let codes = offer.codes.unwrap();
    assert_eq!(codes.len(), 10);
    let granted = bench.login(ssh(ALICE.0), &codes[3].to_lowercase()).await;
    assert_eq!(granted.state, State::Granted);
    assert_eq!(granted.messages[0].text, "9 backup codes left.");
    assert_eq!(
        bench.login(ssh(ALICE.0), &codes[3]).await.state,
        State::Denied
    );
    assert_eq!(
        bench.login(ssh(ALICE.0), &codes[4]).await.state,
        State::Granted
    );
}

#[tokio::test]
async fn two_factors_of_two_kinds_where_the_policy_wants_two() {
    let bench = Bench::with_policy(
        "[[rule]]\nname = \"two\"\nwhen = {}\nrequire = { any = [\"totp\", \"backup-codes\"], count = 2 }\n",
    );
    let phone = bench.enroll(ALICE.0).await;
    let codes = bench
        .engine
        .enroll_user(
            &root(0),
            ALICE.0,
            "backup-codes",
            EnrollmentOptions::default(),
        )
        .await
        .unwrap()
        .codes
        .unwrap();
    let (session, _) = bench.engine.begin(&root(1), ssh(ALICE.0), None).await;
    let first = bench
        .engine
        .respond(&root(1), &session, vec![phone.code(START).into_bytes()])
        .await;
    assert_eq!(first.state, State::Continue);
    let second = bench
        .engine
        .respond(&root(1), &session, vec![codes[0].clone().into_bytes()])
        .await;
    assert_eq!(second.state, State::Granted);
    let (session, _) = bench.engine.begin(&root(1), ssh(ALICE.0), None).await;
    bench
        .engine
        .respond(&root(1), &session, vec![codes[1].clone().into_bytes()])
        .await;
    let same_kind = bench
        .engine
        .respond(&root(1), &session, vec![codes[2].clone().into_bytes()])
        .await;
    assert_eq!(same_kind.state, State::Denied);
}

#[tokio::test]
async fn the_prompt_tells_a_proven_owner_when_the_next_code_comes() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    bench.login(ssh(ALICE.0), &phone.code(START)).await;
    bench.clock.advance(18);
    let prompt = |step: Step| step.messages.last().unwrap().text.clone();
    let (_, proven) = bench.engine.begin(&root(1), ssh(ALICE.0), None).await;
    assert_eq!(
        prompt(proven),
        "This code has been used; the next one comes in 12 s. Verification code: "
    );
    let sudo = Context {
        service: "sudo".into(),
        rhost: None,
        ssh_auth_info: None,
        real_uid: Some(ALICE.1),
        ..ssh(ALICE.0)
    };
    assert!(
        prompt(bench.engine.begin(&root(1), sudo, None).await.1)
            .starts_with("This code has been used")
    );
    let stranger = Context {
        ssh_auth_info: None,
        after_password: Some(true),
        ..ssh(ALICE.0)
    };
    assert_eq!(
        prompt(bench.engine.begin(&root(1), stranger, None).await.1),
        "Verification code: "
    );
}

#[tokio::test]
async fn another_protocol_is_refused_as_unavailable() {
    let bench = Bench::with_policy(REQUIRED);
    let context = Context {
        protocol: 99,
        ..ssh(ALICE.0)
    };
    assert_eq!(
        bench.engine.begin(&root(1), context, None).await.1.state,
        State::Unavailable
    );
}

#[tokio::test]
async fn decisions_that_no_answer_could_change_are_recorded_too() {
    let bench = Bench::with_policy("[unenrolled]\naction = \"allow\"\n");
    let unproven = Context {
        ssh_auth_info: None,
        ..ssh(ALICE.0)
    };
    bench.login(unproven, "123456").await;
    let decoy = Context {
        decoy: Some(true),
        ..ssh(BOB.0)
    };
    bench.login(decoy, "123456").await;
    let everything = mfad_protocol::AuditQuery::default();
    let records = bench.engine.audit(everything).await.unwrap();
    for outcome in ["not-required", "denied"] {
        let wanted = format!("\"outcome\":\"{outcome}\"");
        let found = records.iter().any(|(_, _, json)| json.contains(&wanted));
        assert!(found, "{outcome}: {records:?}");
    }
}

#[tokio::test]
async fn a_context_over_its_bounds_is_refused_and_not_excused() {
    let bench = Bench::with_policy(REQUIRED);
    let context = Context {
        ssh_auth_info: Some("x".repeat(64 * 1024)),
        ..ssh(ALICE.0)
    };
    let (_, step) = bench.engine.begin(&root(1), context, None).await;
    assert_eq!(step.state, State::Denied);
}

#[tokio::test]
async fn only_the_last_factor_that_is_needed_is_recorded_as_granted() {
    let policy = "[[rule]]\nname = \"two\"\nwhen = {}\nrequire = { any = [\"totp\", \"backup-codes\"], count = 2 }\n";
    let bench = Bench::with_policy(policy);
    let phone = bench.enroll(ALICE.0).await;
    bench.login(ssh(ALICE.0), &phone.code(START)).await;
    let everything = mfad_protocol::AuditQuery::default();
    let records = bench.engine.audit(everything).await.unwrap();
    let has = |outcome: &str| {
        let wanted = format!("\"outcome\":\"{outcome}\"");
        records.iter().any(|(_, _, json)| json.contains(&wanted))
    };
    assert!(has("accepted") && !has("granted"), "{records:?}");
}
