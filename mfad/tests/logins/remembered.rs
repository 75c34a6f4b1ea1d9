//! `remember`: a device stands in for a factor where its person wanted that, and only for as long as all is as it was.

use mfad::session::{Caller, Connection};
use mfad_protocol::{Context, EnrollmentOptions, Hook, State, Step};

use crate::support::{ALICE, Bench, Phone, START, key, loaded, root, ssh};

const POLICY: &str = r#"
[[rule]]
name = "ssh"
when = { service = "sshd" }
require = { any = ["totp"] }
remember = { for = "12h", bind = ["ssh-key", "service"] }
"#;

fn with_key(number: u8) -> Context {
    Context {
        guarded: Some(true),
        ssh_auth_info: Some(key(number)),
        ..ssh(ALICE.0)
    }
}

async fn bench() -> (Bench, Phone) {
    let bench = Bench::with_policy(POLICY);
    let phone = bench.enroll(ALICE.0).await;
    (bench, phone)
}

fn question(step: &Step) -> &str {
    step.messages.last().map_or("", |message| &message.text)
}

#[tokio::test]
async fn a_device_that_was_remembered_stands_in_until_it_expires() {
    let (bench, phone) = bench().await;
    let asked = bench.login(with_key(1), &phone.code(START)).await;
    assert_eq!(
        (asked.state, question(&asked)),
        (State::Continue, "Remember this device for 12 hours? [y/N] ")
    );
    bench.clock.advance(30);
    let code = phone.code(START + 30);
    assert_eq!(
        bench.whole(with_key(1), &[&code, "y"]).await,
        State::Granted
    );
    assert_eq!(bench.whole(with_key(1), &[]).await, State::NotRequired);
    bench.clock.advance(12 * 3_600 - 1);
    assert_eq!(bench.whole(with_key(1), &[]).await, State::NotRequired);
    bench.clock.advance(1);
    assert_eq!(bench.whole(with_key(1), &[]).await, State::Continue);
}

#[tokio::test]
async fn a_login_that_stands_at_the_question_ends_when_all_devices_are_revoked() {
    let (bench, phone) = bench().await;
    let caller = root(41);
    let (session, _) = bench.engine.begin(&caller, with_key(1), None).await;
    let code = phone.code(START).into_bytes();
    let asked = bench.engine.respond(&caller, &session, vec![code]).await;
    assert_eq!(asked.state, State::Continue, "{asked:?}");
    bench
        .engine
        .revoke_of(&root(42), ALICE.0, None)
        .await
        .unwrap();
    let yes = vec![b"y".to_vec()];
    let after = bench.engine.respond(&caller, &session, yes).await;
    assert_eq!(after.state, State::Denied);
    assert!(bench.engine.devices_of(ALICE.0).await.unwrap().is_empty());
}

#[tokio::test]
async fn only_a_yes_is_one() {
    let (bench, phone) = bench().await;
    for (at, no) in [(0, ""), (30, "n"), (60, "j")] {
        let code = phone.code(START + at);
        assert_eq!(bench.whole(with_key(1), &[&code, no]).await, State::Granted);
        assert_eq!(
            bench.whole(with_key(1), &[]).await,
            State::Continue,
            "{no:?}"
        );
        bench.clock.advance(30);
    }
}

#[tokio::test]
async fn another_key_and_another_service_are_other_devices() {
    let (bench, phone) = bench().await;
    let code = phone.code(START);
    assert_eq!(
        bench.whole(with_key(1), &[&code, "yes"]).await,
        State::Granted
    );
    assert_eq!(bench.whole(with_key(2), &[]).await, State::Continue);
    let no_key = Context {
        ssh_auth_info: None,
        after_password: Some(true),
        ..with_key(1)
    };
    assert_eq!(bench.whole(no_key, &[]).await, State::Continue);
    let elsewhere = Context {
        service: "sudo".into(),
        ..with_key(1)
    };
    assert_eq!(bench.whole(elsewhere, &[]).await, State::Continue);
}

#[tokio::test]
async fn a_login_whose_account_phase_never_came_leaves_nothing() {
    let (bench, phone) = bench().await;
    let code = phone.code(START);
    let auth = bench.converse(with_key(1), &[&code, "y"]).await;
    assert_eq!(auth.state, State::Granted);
    assert_eq!(bench.whole(with_key(1), &[]).await, State::Continue);
}

#[tokio::test]
async fn nobody_is_asked_who_has_not_proven_all_of_it() {
    let (bench, _) = bench().await;
    let wrong = bench.login(with_key(1), "000000").await;
    assert_eq!(wrong.state, State::Denied);
}

#[tokio::test]
async fn a_key_that_is_remembered_opens_a_login_that_is_by_key_alone() {
    let (bench, phone) = bench().await;
    let code = phone.code(START);
    assert_eq!(
        bench.whole(with_key(1), &[&code, "y"]).await,
        State::Granted
    );
    // sshd's public-key logins have no auth phase, and show the key in the session phase.
    let account = |defer| Context {
        hook: Some(Hook::Account),
        defer: Some(defer),
        ssh_auth_info: None,
        ..with_key(1)
    };
    let refused = bench.converse(account(false), &[]).await;
    assert_eq!(refused.state, State::Denied, "no session line");
    let deferred = bench.converse(account(true), &[]).await;
    assert_eq!(deferred.state, State::NotRequired);
    let opened = bench.follow(Hook::Session, with_key(1), &deferred).await;
    assert_eq!(opened.state, State::NotRequired);
    let deferred = bench.converse(account(true), &[]).await;
    let other = bench.follow(Hook::Session, with_key(2), &deferred).await;
    assert_eq!(other.state, State::Denied, "another key");
    let deferred = bench.converse(account(true), &[]).await;
    let hidden = Context {
        ssh_auth_info: None,
        ..with_key(1)
    };
    let hidden = bench.follow(Hook::Session, hidden, &deferred).await;
    assert_eq!(hidden.state, State::Denied, "no key at all");
    // The reference that was used up, once more.
    let again = bench.follow(Hook::Session, with_key(2), &deferred).await;
    assert_eq!(again.state, State::Denied);
}

#[tokio::test]
async fn a_floor_holds_on_top_of_a_remembered_device() {
    let (bench, phone) = bench().await;
    let code = phone.code(START);
    assert_eq!(
        bench.whole(with_key(1), &[&code, "y"]).await,
        State::Granted
    );
    let floor = format!(
        "{POLICY}\n[[rule]]\nname = \"always\"\nwhen = {{}}\nfloor = true\nrequire = {{ any = [\"totp\"] }}\n"
    );
    bench.engine.replace(loaded(&floor, |_| ()));
    assert_eq!(bench.whole(with_key(1), &[]).await, State::Continue);
}

#[tokio::test]
async fn a_sign_of_risk_forgets_every_device() {
    let (bench, phone) = bench().await;
    let code = phone.code(START);
    assert_eq!(
        bench.whole(with_key(1), &[&code, "y"]).await,
        State::Granted
    );
    // Five failures of this account, from elsewhere.
    for number in 0..5 {
        let stranger = Context {
            rhost: Some(format!("198.51.100.{number}")),
            ..with_key(7)
        };
        bench.login(stranger, "000000").await;
        bench.clock.advance(120);
    }
    let risky = bench.whole(with_key(1), &[]).await;
    assert_eq!(risky, State::Continue);
    bench.clock.advance(2 * 3_600);
    let later = bench.whole(with_key(1), &[]).await;
    assert_eq!(later, State::Continue, "forgotten, not only passed over");
}

#[tokio::test]
async fn a_password_change_forgets_them_where_that_is_asked_for() {
    for asked_for in [false, true] {
        let (bench, phone) = bench().await;
        let configuration = loaded(POLICY, |settings| {
            settings.trust.revoke_on_password_change = asked_for;
        });
        bench.engine.replace(configuration);
        let code = phone.code(START);
        assert_eq!(
            bench.whole(with_key(1), &[&code, "y"]).await,
            State::Granted
        );
        bench.clock.advance(30);
        let passwd = Context {
            hook: Some(Hook::Password),
            service: "passwd".into(),
            ..crate::support::sudo(ALICE.0, ALICE.1)
        };
        let changed = bench.login(passwd, &phone.code(START + 30)).await;
        assert_eq!(changed.state, State::Granted, "and nothing is offered");
        let expected = if asked_for {
            State::Continue
        } else {
            State::NotRequired
        };
        assert_eq!(bench.whole(with_key(1), &[]).await, expected);
    }
}

/// Somebody with a stolen phone is at the question when the phone's factor is taken away.
#[tokio::test]
async fn a_dialogue_in_which_a_factor_was_proven_ends_when_that_goes() {
    for reset in [true, false] {
        let (bench, phone) = bench().await;
        let thief = root(7);
        let (session, _) = bench.engine.begin(&thief, with_key(1), None).await;
        let code = vec![phone.code(START).into_bytes()];
        let asked = bench.engine.respond(&thief, &session, code).await;
        assert!(question(&asked).starts_with("Remember"));
        let taken = if reset {
            bench.engine.reset_user(&root(0), ALICE.0).await
        } else {
            bench
                .engine
                .remove_credential_of(&root(0), ALICE.0, "totp")
                .await
        };
        taken.unwrap();
        let answer = vec![b"y".to_vec()];
        let end = bench.engine.respond(&thief, &session, answer).await;
        assert_eq!(end.state, State::Denied, "{reset}");
    }
}

/// The same with a factor of the thief's own, offered for the proof and not yet confirmed.
#[tokio::test]
async fn an_enrollment_that_a_factor_was_proven_for_ends_when_that_goes() {
    let (bench, phone) = bench().await;
    let alice = Caller {
        uid: ALICE.1,
        connection: Connection::Bus(":1.7".into()),
    };
    let context = Context {
        service: "mfactl".into(),
        ..ssh(ALICE.0)
    };
    let (session, _) = bench.engine.begin(&alice, context, None).await;
    let code = vec![phone.code(START).into_bytes()];
    let grant = bench.engine.respond(&alice, &session, code).await.grant;
    let offer = bench
        .engine
        .offer_own(
            &alice,
            "totp",
            EnrollmentOptions::default(),
            &grant.unwrap(),
        )
        .await
        .unwrap();
    bench
        .engine
        .remove_credential_of(&root(0), ALICE.0, "totp")
        .await
        .unwrap();
    let theirs = Phone::of(&offer.secret.unwrap()).code(START);
    let confirmed = bench.engine.confirm_own(&alice, &offer.id, &theirs).await;
    assert!(confirmed.is_err(), "{confirmed:?}");
}
