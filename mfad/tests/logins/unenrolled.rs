//! Those without a factor: enrolled in the login, let in until a day, or refused.

use crate::ENROLL;
use crate::phases::after;
use crate::support::{ALICE, Bench, Phone, START, root, ssh};
use mfad::{
    management::Refusal,
    session::{Caller, Connection},
};
use mfad_protocol::{Context, Hook, State, Step, Style};

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
    let (session, offered) = bench.engine.begin(&root(1), ssh(ALICE.0), None).await;
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

    // The first factor was wrong: no account phase. Who comes back may have scanned the one of before.
    let (session, _) = bench.engine.begin(&root(2), ssh(ALICE.0), None).await;
    let granted = bench
        .engine
        .respond(&root(2), &session, vec![phone.code(START).into_bytes()])
        .await;
    let (_, account) = bench
        .engine
        .begin(&root(3), after(Hook::Account, &granted, ssh(ALICE.0)), None)
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

/// Begins a login that offers a factor, and types this phone's code, or the one of the phone that is shown.
async fn offered(bench: &Bench, context: Context, phone: Option<&Phone>) -> (Phone, Step) {
    let now = bench.wall();
    let (session, shown) = bench.engine.begin(&root(1), context, None).await;
    let theirs = phone_of(&shown);
    let code = phone.unwrap_or(&theirs).code(now).into_bytes();
    let step = bench.engine.respond(&root(1), &session, vec![code]).await;
    (theirs, step)
}

#[tokio::test]
async fn a_host_that_shows_prompts_alone_shows_the_secret_in_its_prompt() {
    let bench = Bench::with_policy(ENROLL);
    let silent = Context {
        silent: Some(true),
        ..ssh(ALICE.0)
    };
    let (session, offered) = bench.engine.begin(&root(1), silent, None).await;
    let [prompt] = offered.messages.as_slice() else {
        panic!("{offered:?}");
    };
    assert!(prompt.text.is_ascii() && prompt.text.len() < 512);
    let (_, rest) = prompt.text.split_once("into it: ").unwrap();
    let (secret, rest) = rest.split_once('\n').unwrap();
    assert!(rest.ends_with("Verification code: "), "{rest}");
    let code = Phone::of(&secret.replace(' ', "")).code(START);
    let granted = bench
        .engine
        .respond(&root(1), &session, vec![code.into_bytes()])
        .await;
    assert_eq!(granted.state, State::Granted);
}

#[tokio::test]
async fn nobody_is_shown_a_secret_that_somebody_else_may_have_seen() {
    let bench = Bench::with_policy(ENROLL);
    // Whoever this was, without the password: the module is asked after a wrong one too.
    let (strangers, _) = offered(&bench, ssh(ALICE.0), None).await;
    let (own, step) = offered(&bench, ssh(ALICE.0), None).await;
    assert_ne!(strangers.code(START), own.code(START));
    let account = after(Hook::Account, &step, ssh(ALICE.0));
    let (_, account) = bench.engine.begin(&root(1), account, None).await;
    assert_eq!(account.state, State::Granted);
    bench.clock.advance(30);
    for (phone, state) in [(strangers, State::Denied), (own, State::Granted)] {
        let code = phone.code(START + 30);
        assert_eq!(bench.login(ssh(ALICE.0), &code).await.state, state);
    }
}

#[tokio::test]
async fn a_code_of_the_secret_shown_before_counts_at_that_place_for_15_minutes() {
    let bench = Bench::with_policy(ENROLL);
    let elsewhere = Context {
        rhost: Some("198.51.100.7".into()),
        ..ssh(ALICE.0)
    };
    let (first, _) = offered(&bench, ssh(ALICE.0), None).await;
    let (_, there) = offered(&bench, elsewhere, Some(&first)).await;
    assert_eq!(
        there.state,
        State::Continue,
        "whoever is there never saw it"
    );
    bench.clock.advance(15 * 60 - 1);
    let (_, again) = offered(&bench, ssh(ALICE.0), Some(&first)).await;
    assert_eq!(again.state, State::Granted);
    bench.clock.advance(1);
    let (_, late) = offered(&bench, ssh(ALICE.0), Some(&first)).await;
    assert_eq!(late.state, State::Continue);
}

#[tokio::test]
async fn offers_that_nobody_takes_up_keep_nobody_from_enrolling() {
    let bench = Bench::with_policy(ENROLL);
    for number in 0..40 {
        let strange = Context {
            rhost: Some(format!("203.0.113.{number}")),
            ..ssh(ALICE.0)
        };
        let (_, step) = offered(&bench, strange, None).await;
        assert_eq!(step.state, State::Granted);
    }
    let waiting = bench.engine.show_user(ALICE.0).await.unwrap();
    assert!(!waiting.enrolled);
    let (_, step) = offered(&bench, ssh(ALICE.0), None).await;
    let account = after(Hook::Account, &step, ssh(ALICE.0));
    let (_, account) = bench.engine.begin(&root(1), account, None).await;
    assert_eq!(account.state, State::Granted);
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
async fn at_another_place_the_secret_is_another() {
    let bench = Bench::with_policy(ENROLL);
    let (_, here) = bench.engine.begin(&root(1), ssh(ALICE.0), None).await;
    let elsewhere = Context {
        rhost: Some("198.51.100.7".into()),
        ..ssh(ALICE.0)
    };
    let (_, there) = bench.engine.begin(&root(2), elsewhere, None).await;
    assert_ne!(phone_of(&here).code(START), phone_of(&there).code(START));
}

#[tokio::test]
async fn of_two_enrollments_in_logins_the_first_completed_counts_alone() {
    let bench = Bench::with_policy(ENROLL);
    let elsewhere = Context {
        rhost: Some("198.51.100.7".into()),
        ..ssh(ALICE.0)
    };
    let mut granted = Vec::new();
    for context in [ssh(ALICE.0), elsewhere] {
        let (session, offered) = bench.engine.begin(&root(1), context.clone(), None).await;
        let code = phone_of(&offered).code(START).into_bytes();
        let step = bench.engine.respond(&root(1), &session, vec![code]).await;
        assert_eq!(step.state, State::Granted);
        granted.push(after(Hook::Account, &step, context));
    }
    let mut states = Vec::new();
    for account in granted {
        states.push(bench.engine.begin(&root(1), account, None).await.1.state);
    }
    assert_eq!(states, [State::Granted, State::Denied]);
    let alice = bench.engine.show_user(ALICE.0).await.unwrap();
    assert_eq!(alice.credentials.len(), 1);
}

#[tokio::test]
async fn an_offer_made_without_a_proof_is_void_once_there_is_something_to_prove() {
    let bench = Bench::with_policy("[unenrolled]\naction = \"allow\"\n");
    let alice = Caller {
        uid: ALICE.1,
        connection: Connection::Peer(5),
    };
    let options = mfad_protocol::EnrollmentOptions::default;
    let offer = bench.engine.offer_own(&alice, "totp", options(), "").await;
    let offer = offer.unwrap();
    let phone = Phone::of(&offer.secret.unwrap());
    bench.enroll(ALICE.0).await;
    let code = phone.code(START);
    let refused = bench.engine.confirm_own(&alice, &offer.id, &code).await;
    assert!(
        matches!(refused, Err(Refusal::NeedsGrant(_))),
        "{refused:?}"
    );

    bench.engine.reset_user(&root(0), ALICE.0).await.unwrap();
    let offer = bench.engine.offer_own(&alice, "totp", options(), "").await;
    let offer = offer.unwrap();
    bench.enroll(ALICE.0).await;
    bench.engine.reset_user(&root(0), ALICE.0).await.unwrap();
    let gone = bench.engine.confirm_own(&alice, &offer.id, "123456").await;
    assert!(matches!(gone, Err(Refusal::NotFound(_))), "{gone:?}");
}
