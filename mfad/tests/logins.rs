//! Whole logins through the engine, on a real store: what is granted, what is refused, and what is left behind.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod support;

use mfad::session::{Caller, Connection};
use mfad_protocol::{Context, EnrollmentOptions, Hook, State, Step, Style};
use support::{ALICE, BOB, Bench, Phone, START, loaded, root, ssh};

const REQUIRED: &str = "[unenrolled]\naction = \"deny\"\n";
const ENROLL: &str = "[unenrolled]\naction = \"enroll\"\n";

fn after(hook: Hook, step: &Step, context: Context) -> Context {
    Context {
        hook: Some(hook),
        grant: step.grant.clone(),
        guarded: Some(true),
        ssh_auth_info: None,
        ..context
    }
}

#[tokio::test]
async fn a_right_code_grants_once_and_the_account_and_session_phases_accept_it() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    let code = phone.code(START);
    let granted = bench.login(ssh(ALICE.0), &code).await;
    assert_eq!(granted.state, State::Granted);
    let (_, account) = bench
        .engine
        .begin(&root(1), after(Hook::Account, &granted, ssh(ALICE.0)))
        .await;
    assert_eq!(account.state, State::Granted);
    let (_, session) = bench
        .engine
        .begin(&root(2), after(Hook::Session, &account, ssh(ALICE.0)))
        .await;
    assert_eq!(session.state, State::Granted);
    let (_, again) = bench
        .engine
        .begin(&root(3), after(Hook::Session, &account, ssh(ALICE.0)))
        .await;
    assert_eq!(again.state, State::Denied, "a grant serves one session");
    assert_eq!(
        bench.login(ssh(ALICE.0), &code).await.state,
        State::Denied,
        "a code serves once"
    );
    bench.clock.advance(30);
    assert_eq!(
        bench
            .login(ssh(ALICE.0), &phone.code(START + 30))
            .await
            .state,
        State::Granted
    );
}

#[tokio::test]
async fn the_account_phase_takes_no_grant_of_another_user_service_or_caller() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    bench.enroll(BOB.0).await;
    let granted = bench.login(ssh(ALICE.0), &phone.code(START)).await;
    let bobs = after(Hook::Account, &granted, ssh(BOB.0));
    assert_eq!(
        bench.engine.begin(&root(1), bobs).await.1.state,
        State::Denied
    );
    let sudo = Context {
        service: "sudo".into(),
        ..after(Hook::Account, &granted, ssh(ALICE.0))
    };
    assert_eq!(
        bench.engine.begin(&root(1), sudo).await.1.state,
        State::Denied
    );
    let stranger = Caller {
        uid: BOB.1,
        connection: Connection::Peer(9),
    };
    let stolen = after(Hook::Account, &granted, ssh(ALICE.0));
    assert_eq!(
        bench.engine.begin(&stranger, stolen).await.1.state,
        State::Denied
    );
}

#[tokio::test]
async fn a_public_key_alone_is_stopped_at_the_gate_unless_the_policy_asks_for_nothing() {
    let bench = Bench::with_policy(
        "[[rule]]\nname = \"office\"\nwhen = { network = [\"10.0.0.0/8\"] }\nrequire = \"none\"\n\
         [unenrolled]\naction = \"deny\"\n",
    );
    bench.enroll(ALICE.0).await;
    let gate = |rhost: &str| Context {
        hook: Some(Hook::Account),
        guarded: Some(true),
        rhost: Some(rhost.into()),
        ssh_auth_info: None,
        ..ssh(ALICE.0)
    };
    assert_eq!(
        bench
            .engine
            .begin(&root(1), gate("192.0.2.1"))
            .await
            .1
            .state,
        State::Denied
    );
    let open = bench
        .engine
        .begin(&root(1), gate("::ffff:10.1.2.3"))
        .await
        .1;
    assert_eq!(open.state, State::NotRequired);
    let session = Context {
        hook: Some(Hook::Session),
        grant: open.grant.clone(),
        ..gate("10.1.2.3")
    };
    assert_eq!(
        bench.engine.begin(&root(1), session).await.1.state,
        State::Granted
    );
    let without = Context {
        hook: Some(Hook::Session),
        ..gate("192.0.2.1")
    };
    assert_eq!(
        bench.engine.begin(&root(1), without).await.1.state,
        State::Denied
    );
}

/// What somebody sees of a login, without the session's id.
async fn transcript(bench: &Bench, context: Context, answer: &[u8]) -> Vec<String> {
    let caller = root(77);
    let (session, step) = bench.engine.begin(&caller, context).await;
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
async fn a_dialogue_can_be_answered_by_nobody_else_and_once_only() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    let (session, _) = bench.engine.begin(&root(1), ssh(ALICE.0)).await;
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
    let (session, _) = bench.engine.begin(&root(1), ssh(ALICE.0)).await;
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
        let (session, step) = bench.engine.begin(&caller, locker(ALICE.0)).await;
        assert_eq!(step.state, State::Continue);
        let end = bench
            .engine
            .respond(&caller, &session, vec![phone.code(START).into_bytes()])
            .await;
        assert_eq!(end.state, state, "uid {uid}");
    }
}

/// The phone that reads the secret shown in a login.
fn phone_of(step: &Step) -> Phone {
    let line = step
        .messages
        .iter()
        .find_map(|message| message.text.split_once("into it: "));
    Phone::of(&line.unwrap().1.replace(' ', ""))
}

#[tokio::test]
async fn enrollment_in_the_login_counts_only_once_the_whole_login_has_succeeded() {
    let bench = Bench::with_policy(ENROLL);
    let (session, offered) = bench.engine.begin(&root(1), ssh(ALICE.0)).await;
    assert!(
        offered
            .messages
            .iter()
            .all(|message| message.text.is_ascii() && !message.text.contains('\u{1b}'))
    );
    assert_eq!(offered.messages.last().unwrap().style, Style::Visible);
    assert!(
        offered
            .messages
            .last()
            .unwrap()
            .text
            .ends_with("Verification code: ")
    );
    let phone = phone_of(&offered);
    let again = bench
        .engine
        .respond(&root(1), &session, vec![b"000000".to_vec()])
        .await;
    assert_eq!(
        again.state,
        State::Continue,
        "a mistyped code may be typed again"
    );
    let granted = bench
        .engine
        .respond(&root(1), &session, vec![phone.code(START).into_bytes()])
        .await;
    assert_eq!(granted.state, State::Granted);
    assert!(
        !bench.engine.show_user(ALICE.0).await.unwrap().enrolled,
        "pending until the account phase"
    );

    // The first factor was wrong: no account phase. Reconnecting shows the same secret.
    let (session, offered) = bench.engine.begin(&root(2), ssh(ALICE.0)).await;
    assert_eq!(phone_of(&offered).code(START), phone.code(START));
    let granted = bench
        .engine
        .respond(&root(2), &session, vec![phone.code(START).into_bytes()])
        .await;
    let (_, account) = bench
        .engine
        .begin(&root(3), after(Hook::Account, &granted, ssh(ALICE.0)))
        .await;
    assert_eq!(account.state, State::Granted);
    assert!(bench.engine.show_user(ALICE.0).await.unwrap().enrolled);
    assert_eq!(
        bench.login(ssh(ALICE.0), &phone.code(START)).await.state,
        State::Denied,
        "its first code is spent"
    );
    bench.clock.advance(30);
    assert_eq!(
        bench
            .login(ssh(ALICE.0), &phone.code(START + 30))
            .await
            .state,
        State::Granted
    );
}

#[tokio::test]
async fn a_pending_enrollment_is_forgotten_after_15_minutes() {
    let bench = Bench::with_policy(ENROLL);
    let (_, first) = bench.engine.begin(&root(1), ssh(ALICE.0)).await;
    bench.clock.advance(15 * 60);
    let (_, second) = bench.engine.begin(&root(2), ssh(ALICE.0)).await;
    assert_ne!(phone_of(&first).code(START), phone_of(&second).code(START));
}

#[tokio::test]
async fn those_without_a_factor_are_let_in_reminded_until_the_day_and_then_refused() {
    let bench =
        Bench::with_policy("[unenrolled]\naction = \"allow\"\nuntil = 2027-01-16T00:00:00Z\n");
    let passed = bench.login(ssh(ALICE.0), "").await;
    assert_eq!(passed.state, State::NotRequired);
    assert!(
        passed.messages[0].text.contains("2027-01-16"),
        "{:?}",
        passed.messages
    );
    bench.clock.advance(24 * 3600);
    assert_eq!(
        bench.login(ssh(ALICE.0), "123456").await.state,
        State::Denied
    );
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
    let (session, _) = bench.engine.begin(&root(1), ssh(ALICE.0)).await;
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
    let (session, _) = bench.engine.begin(&root(1), ssh(ALICE.0)).await;
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
    let (_, proven) = bench.engine.begin(&root(1), ssh(ALICE.0)).await;
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
        prompt(bench.engine.begin(&root(1), sudo).await.1).starts_with("This code has been used")
    );
    let stranger = Context {
        ssh_auth_info: None,
        after_password: Some(true),
        ..ssh(ALICE.0)
    };
    assert_eq!(
        prompt(bench.engine.begin(&root(1), stranger).await.1),
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
        bench.engine.begin(&root(1), context).await.1.state,
        State::Unavailable
    );
}

#[tokio::test]
async fn an_expired_password_is_changed_on_the_grant_of_the_login_that_found_it() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    let granted = bench.login(ssh(ALICE.0), &phone.code(START)).await;
    let change = Context {
        hook: Some(Hook::Password),
        grant: granted.grant,
        ..ssh(ALICE.0)
    };
    assert_eq!(
        bench.engine.begin(&root(1), change).await.1.state,
        State::Granted
    );
    let without = Context {
        hook: Some(Hook::Password),
        ..ssh(ALICE.0)
    };
    assert_eq!(
        bench.engine.begin(&root(1), without).await.1.state,
        State::Continue
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

#[tokio::test]
async fn whoever_comes_in_hears_how_often_somebody_failed_before() {
    let bench = Bench::with_policy(REQUIRED);
    let phone = bench.enroll(ALICE.0).await;
    bench.login(ssh(ALICE.0), "000001").await;
    bench.login(ssh(ALICE.0), "000002").await;
    let greeting = |granted: Step| {
        let bench = &bench;
        async move {
            let account = after(Hook::Account, &granted, ssh(ALICE.0));
            let (_, account) = bench.engine.begin(&root(1), account).await;
            // The login is noted in the background: the greeting must not depend on who is faster.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            let session = after(Hook::Session, &account, ssh(ALICE.0));
            bench.engine.begin(&root(2), session).await.1.messages
        }
    };
    let first = bench.login(ssh(ALICE.0), &phone.code(START)).await;
    let shown = greeting(first).await;
    assert_eq!(
        shown[0].text,
        "2 failed second factors since your last login."
    );
    bench.clock.advance(30);
    let second = bench.login(ssh(ALICE.0), &phone.code(START + 30)).await;
    assert_eq!(greeting(second).await, vec![]);
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
    let (_, step) = bench.engine.begin(&root(1), context).await;
    assert_eq!(step.state, State::Denied);
}
