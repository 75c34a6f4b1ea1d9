//! `max-age`: what was proven in a login session stands in for a later proof in it, and nowhere else.

use mfad::session::whereabouts::Whereabouts;
use mfad_protocol::{Hook, State};

use crate::support::{ALICE, BOB, Bench, START, session, ssh, sudo};

const POLICY: &str = r#"
[[rule]]
name = "sudo"
when = { service = ["sudo", "su"] }
require = { any = ["totp"], max-age = "15m" }

[[rule]]
name = "ssh"
when = {}
require = { any = ["totp"] }
"#;

const SESSION: &str = "3";

#[tokio::test]
async fn sudo_asks_once_in_a_session_and_again_when_the_proof_is_old() {
    let bench = Bench::with_policy(POLICY);
    let phone = bench.enroll(ALICE.0).await;
    bench.sessions.say(session(SESSION, ALICE.1));
    let sudo = || sudo(ALICE.0, ALICE.1);
    let code = phone.code(START);
    assert_eq!(bench.whole(sudo(), &[&code]).await, State::Granted);
    assert_eq!(bench.whole(sudo(), &[]).await, State::NotRequired);
    bench.clock.advance(900);
    assert_eq!(bench.whole(sudo(), &[]).await, State::NotRequired);
    bench.clock.advance(1);
    assert_eq!(bench.whole(sudo(), &[]).await, State::Continue);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_proof_young() {
    let bench = Bench::with_policy(POLICY);
    let phone = bench.enroll(ALICE.0).await;
    bench.sessions.say(session(SESSION, ALICE.1));
    let sudo = || sudo(ALICE.0, ALICE.1);
    let code = phone.code(START);
    assert_eq!(bench.whole(sudo(), &[&code]).await, State::Granted);
    bench.clock.advance(900);
    bench.clock.set(-899);
    assert_eq!(bench.whole(sudo(), &[]).await, State::NotRequired);
    bench.clock.advance(1);
    assert_eq!(bench.whole(sudo(), &[]).await, State::Continue);
}

#[tokio::test]
async fn what_stood_in_does_not_renew_the_proof() {
    let bench = Bench::with_policy(POLICY);
    let phone = bench.enroll(ALICE.0).await;
    bench.sessions.say(session(SESSION, ALICE.1));
    let sudo = || sudo(ALICE.0, ALICE.1);
    let code = phone.code(START);
    assert_eq!(bench.whole(sudo(), &[&code]).await, State::Granted);
    for _ in 0..3 {
        bench.clock.advance(300);
        assert_eq!(bench.whole(sudo(), &[]).await, State::NotRequired);
    }
    bench.clock.advance(1);
    assert_eq!(bench.whole(sudo(), &[]).await, State::Continue);
}

#[tokio::test]
async fn a_login_over_ssh_proves_for_the_session_that_it_begins() {
    let bench = Bench::with_policy(POLICY);
    let phone = bench.enroll(ALICE.0).await;
    let ssh = || mfad_protocol::Context {
        guarded: Some(true),
        ..ssh(ALICE.0)
    };
    // The session is there when our session line is asked, not before.
    let auth = bench.login(ssh(), &phone.code(START)).await;
    assert_eq!(auth.state, State::Granted);
    let account = bench.follow(Hook::Account, ssh(), &auth).await;
    bench.sessions.say(session(SESSION, ALICE.1));
    let opened = bench.follow(Hook::Session, ssh(), &account).await;
    assert_eq!(opened.state, State::Granted);
    let sudo = || sudo(ALICE.0, ALICE.1);
    assert_eq!(bench.whole(sudo(), &[]).await, State::NotRequired);
    // The rule for ssh has no max-age, and so asks always.
    assert_eq!(bench.whole(ssh(), &[]).await, State::Continue);
}

#[tokio::test]
async fn a_proof_counts_in_no_other_session_and_in_an_unknown_one_never() {
    let bench = Bench::with_policy(POLICY);
    let phone = bench.enroll(ALICE.0).await;
    let sudo = || sudo(ALICE.0, ALICE.1);
    bench.sessions.say(Whereabouts::Unknown);
    let code = phone.code(START);
    assert_eq!(bench.whole(sudo(), &[&code]).await, State::Granted);
    assert_eq!(bench.whole(sudo(), &[]).await, State::Continue, "unknown");
    bench.clock.advance(30);
    bench.sessions.say(session(SESSION, ALICE.1));
    let code = phone.code(START + 30);
    assert_eq!(bench.whole(sudo(), &[&code]).await, State::Granted);
    for other in [session("4", ALICE.1), Whereabouts::Unknown] {
        bench.sessions.say(other);
        assert_eq!(bench.whole(sudo(), &[]).await, State::Continue);
    }
}

#[tokio::test]
async fn nobody_s_proof_counts_for_another_in_the_same_session() {
    let bench = Bench::with_policy(POLICY);
    let alices = bench.enroll(ALICE.0).await;
    let bobs = bench.enroll(BOB.0).await;
    bench.sessions.say(session(SESSION, ALICE.1));
    let code = alices.code(START);
    let alice = bench.whole(sudo(ALICE.0, ALICE.1), &[&code]).await;
    assert_eq!(alice, State::Granted);
    // Bob, through `su` in alice's session: it is not his.
    let bob = || sudo(BOB.0, BOB.1);
    assert_eq!(bench.whole(bob(), &[]).await, State::Continue);
    assert_eq!(
        bench.whole(bob(), &[&bobs.code(START)]).await,
        State::Granted
    );
    assert_eq!(bench.whole(bob(), &[]).await, State::Continue);
    // Nor is it his when he comes back with a session of the same name.
    bench.sessions.say(session(SESSION, BOB.1));
    assert_eq!(bench.whole(bob(), &[]).await, State::Continue);
}

#[tokio::test]
async fn a_wrong_password_leaves_no_proof() {
    let bench = Bench::with_policy(POLICY);
    let phone = bench.enroll(ALICE.0).await;
    bench.sessions.say(session(SESSION, ALICE.1));
    let sudo = || sudo(ALICE.0, ALICE.1);
    // The auth phase alone: the host's stack failed, and the account phase never came.
    let auth = bench.login(sudo(), &phone.code(START)).await;
    assert_eq!(auth.state, State::Granted);
    assert_eq!(bench.whole(sudo(), &[]).await, State::Continue);
}

#[tokio::test]
async fn an_unprivileged_caller_cannot_name_a_session() {
    let bench = Bench::with_policy(POLICY);
    let phone = bench.enroll(ALICE.0).await;
    bench.sessions.say(session(SESSION, ALICE.1));
    let code = phone.code(START);
    assert_eq!(
        bench.whole(sudo(ALICE.0, ALICE.1), &[&code]).await,
        State::Granted
    );
    let alice = mfad::session::Caller {
        uid: ALICE.1,
        connection: mfad::session::Connection::Peer(1),
    };
    let (_, step) = bench
        .engine
        .begin(
            &alice,
            sudo(ALICE.0, ALICE.1),
            Some(crate::support::process()),
        )
        .await;
    assert_eq!(step.state, State::Continue);
}
