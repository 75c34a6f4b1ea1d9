//! What guessing costs, and what nobody can learn by it.

use crate::REQUIRED;
use crate::support::{ALICE, BOB, Bench, START, loaded, root, ssh};
use mfad_protocol::{Context, State};

/// What somebody sees of a login, without the session's id.
async fn transcript(bench: &Bench, context: Context, answer: &[u8]) -> Vec<String> {
    let caller = root(77);
    let (session, step) = bench.engine.begin(&caller, context, None).await;
    let mut seen = vec![format!("{:?} {:?}", step.state, step.messages)];
    if step.state == State::Continue {
        let end = bench
            .engine
            .respond(&caller, &session, vec![answer.to_vec()])
            .await;
        seen.push(format!(
            "{:?} {:?} {:?}",
            end.state, end.messages, end.grant
        ));
    }
    seen
}

#[tokio::test]
async fn before_a_first_factor_nobody_can_tell_who_exists_who_is_enrolled_or_who_is_locked() {
    let bench = Bench::with_policy("[unenrolled]\naction = \"enroll\"\n");
    bench.enroll(ALICE.0).await;
    let bare = |user: &str| Context {
        ssh_auth_info: None,
        service: "login".into(),
        rhost: None,
        ..ssh(user)
    };
    let wrong = transcript(&bench, bare(ALICE.0), b"000000").await;
    assert_eq!(wrong.len(), 2);
    let long = "x".repeat(4096);
    for user in [
        BOB.0,
        "no-such-user",
        "",
        "a\nb",
        "../etc/passwd",
        "a:b",
        &long,
    ] {
        assert_eq!(
            transcript(&bench, bare(user), b"000000").await,
            wrong,
            "{user:?}"
        );
    }
    for _ in 0..4 {
        bench.login(bare(ALICE.0), "111111").await;
    }
    assert_eq!(
        transcript(&bench, bare(ALICE.0), b"000000").await,
        wrong,
        "throttled"
    );
    for answer in [
        &b""[..],
        b"1234567",
        "١٢٣٤٥٦".as_bytes(),
        b"\x08\n\r\x7FINCORRECT",
        &vec![b'1'; 1 << 20],
    ] {
        assert_eq!(transcript(&bench, bare(ALICE.0), answer).await, wrong);
    }
}

#[tokio::test]
async fn answers_that_are_no_code_spend_no_attempt() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    for answer in [
        "",
        "correct horse",
        "\u{8}\n\r\u{7f}INCORRECT",
        "12345",
        "123456789",
    ] {
        assert_eq!(bench.login(ssh(ALICE.0), answer).await.state, State::Denied);
    }
    let shown = bench.engine.show_user(ALICE.0).await.unwrap();
    assert!(
        shown.budgets.iter().all(|budget| budget.failures == 0),
        "{:?}",
        shown.budgets
    );
    assert_eq!(
        bench.login(ssh(ALICE.0), &phone.code(START)).await.state,
        State::Granted
    );
}

#[tokio::test]
async fn a_throttled_user_is_not_let_in_by_the_right_code_and_is_again_once_the_delay_is_over() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    for wrong in ["000001", "000002", "000003"] {
        assert_eq!(bench.login(ssh(ALICE.0), wrong).await.state, State::Denied);
    }
    assert_eq!(
        bench.login(ssh(ALICE.0), &phone.code(START)).await.state,
        State::Denied,
        "delayed"
    );
    bench.clock.advance(60);
    assert_eq!(
        bench
            .login(ssh(ALICE.0), &phone.code(START + 60))
            .await
            .state,
        State::Granted
    );
}

#[tokio::test]
async fn a_decoy_prompts_alike_refuses_the_right_code_and_spends_nothing() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    let decoy = Context {
        decoy: Some(true),
        ..ssh(ALICE.0)
    };
    assert_eq!(
        transcript(&bench, decoy.clone(), phone.code(START).as_bytes()).await,
        transcript(&bench, ssh(ALICE.0), b"000000").await
    );
    let spent = |user: &mfad_protocol::UserInfo| {
        user.budgets
            .iter()
            .map(|budget| budget.failures)
            .sum::<u32>()
    };
    let before = spent(&bench.engine.show_user(ALICE.0).await.unwrap());
    assert_eq!(bench.login(decoy, "123123").await.state, State::Denied);
    assert_eq!(
        spent(&bench.engine.show_user(ALICE.0).await.unwrap()),
        before
    );
    assert_eq!(
        bench.login(ssh(ALICE.0), &phone.code(START)).await.state,
        State::Granted,
        "the code is not spent"
    );
}

#[tokio::test]
async fn another_configuration_puts_other_throttle_numbers_in_force() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    let strict = loaded(REQUIRED, |settings| settings.throttle.free = 1);
    bench.engine.replace(strict);
    for wrong in ["000001", "000002"] {
        bench.login(ssh(ALICE.0), wrong).await;
    }
    let right = bench.login(ssh(ALICE.0), &phone.code(START)).await;
    assert_eq!(right.state, State::Denied, "the second failure delays now");
}

#[tokio::test]
async fn many_wrong_codes_raise_one_alarm_and_lock_nobody() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    bench.engine.replace(loaded(REQUIRED, |settings| {
        settings.alarm.failures_per_minute = 2;
    }));
    for user in ["nobody-1", "nobody-2", "nobody-3", "nobody-4"] {
        bench.login(ssh(user), "000000").await;
    }
    let right = bench.login(ssh(ALICE.0), &phone.code(START)).await;
    assert_eq!(right.state, State::Granted);
    let everything = mfad_protocol::AuditQuery::default();
    let records = bench.engine.audit(everything).await.unwrap();
    let alarms = records
        .iter()
        .filter(|(_, _, json)| json.contains("under-attack"));
    assert_eq!(alarms.count(), 1, "{records:?}");
}
