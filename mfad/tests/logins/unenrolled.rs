//! Those without a factor: enrolled in the login, let in until a day, or refused.

use crate::ENROLL;
use crate::phases::after;
use crate::support::{ALICE, Bench, Phone, START, root, ssh};
use mfad_protocol::{Hook, State, Step, Style};

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
