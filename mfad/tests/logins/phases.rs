//! The phases of one login: what each accepts of the one before.

use crate::REQUIRED;
use crate::support::{ALICE, BOB, Bench, START, root, ssh};
use mfad::session::{Caller, Connection};
use mfad_protocol::{Context, Hook, State, Step};

pub(crate) fn after(hook: Hook, step: &Step, context: Context) -> Context {
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
        .begin(&root(1), after(Hook::Account, &granted, ssh(ALICE.0)), None)
        .await;
    assert_eq!(account.state, State::Granted);
    let (_, session) = bench
        .engine
        .begin(&root(2), after(Hook::Session, &account, ssh(ALICE.0)), None)
        .await;
    assert_eq!(session.state, State::Granted);
    let (_, again) = bench
        .engine
        .begin(&root(3), after(Hook::Session, &account, ssh(ALICE.0)), None)
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
        bench.engine.begin(&root(1), bobs, None).await.1.state,
        State::Denied
    );
    let sudo = Context {
        service: "sudo".into(),
        ..after(Hook::Account, &granted, ssh(ALICE.0))
    };
    assert_eq!(
        bench.engine.begin(&root(1), sudo, None).await.1.state,
        State::Denied
    );
    let stranger = Caller {
        uid: BOB.1,
        connection: Connection::Peer(9),
    };
    let stolen = after(Hook::Account, &granted, ssh(ALICE.0));
    assert_eq!(
        bench.engine.begin(&stranger, stolen, None).await.1.state,
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
            .begin(&root(1), gate("192.0.2.1"), None)
            .await
            .1
            .state,
        State::Denied
    );
    let open = bench
        .engine
        .begin(&root(1), gate("::ffff:10.1.2.3"), None)
        .await
        .1;
    assert_eq!(open.state, State::NotRequired);
    let session = Context {
        hook: Some(Hook::Session),
        grant: open.grant.clone(),
        ..gate("10.1.2.3")
    };
    assert_eq!(
        bench.engine.begin(&root(1), session, None).await.1.state,
        State::Granted
    );
    let without = Context {
        hook: Some(Hook::Session),
        ..gate("192.0.2.1")
    };
    assert_eq!(
        bench.engine.begin(&root(1), without, None).await.1.state,
        State::Denied
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
        bench.engine.begin(&root(1), change, None).await.1.state,
        State::Granted
    );
    let without = Context {
        hook: Some(Hook::Password),
        ..ssh(ALICE.0)
    };
    assert_eq!(
        bench.engine.begin(&root(1), without, None).await.1.state,
        State::Continue
    );
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
            let (_, account) = bench.engine.begin(&root(1), account, None).await;
            // The login is noted in the background: the greeting must not depend on who is faster.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            let session = after(Hook::Session, &account, ssh(ALICE.0));
            bench.engine.begin(&root(2), session, None).await.1.messages
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
