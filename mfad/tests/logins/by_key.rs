//! Logins by public key alone: what no key could change is decided in the account phase, the rest where the key is visible.

use mfad_protocol::{Context, Hook, State};

use crate::support::{ALICE, Bench, key, loaded, ssh};

fn account(defer: bool) -> Context {
    Context {
        hook: Some(Hook::Account),
        guarded: Some(true),
        defer: Some(defer),
        ssh_auth_info: None,
        ..ssh(ALICE.0)
    }
}

fn with_key(number: u8) -> Context {
    Context {
        guarded: Some(true),
        ssh_auth_info: Some(key(number)),
        ..ssh(ALICE.0)
    }
}

fn policy_for_key(number: u8) -> String {
    let told = key(number);
    let keys = mfad::session::ssh_keys::read(&told).unwrap();
    format!(
        "[[rule]]\nname = \"this key\"\nwhen = {{ key = \"{}\" }}\nrequire = \"none\"\n\n[[rule]]\nname = \"others\"\nwhen = {{}}\nrequire = \"any\"\n",
        keys[0].fingerprint.as_ref().unwrap()
    )
}

#[tokio::test]
async fn a_rule_about_a_key_waits_for_the_session_phase_if_there_is_one() {
    let bench = Bench::with_policy(&policy_for_key(1));
    bench.enroll(ALICE.0).await;
    assert_eq!(
        bench.converse(account(false), &[]).await.state,
        State::Denied
    );
    for (number, expected) in [(1, State::NotRequired), (2, State::Denied)] {
        let deferred = bench.converse(account(true), &[]).await;
        assert_eq!(deferred.state, State::NotRequired);
        let opened = bench
            .follow(Hook::Session, with_key(number), &deferred)
            .await;
        assert_eq!(opened.state, expected, "{number}");
    }
}

#[tokio::test]
async fn what_no_key_could_change_is_refused_at_once() {
    let bench = Bench::with_policy("[[rule]]\nname = \"all\"\nwhen = {}\nrequire = \"any\"\n");
    bench.enroll(ALICE.0).await;
    assert_eq!(
        bench.converse(account(true), &[]).await.state,
        State::Denied
    );
}

#[tokio::test]
async fn a_login_that_waits_keeps_the_policy_it_began_with() {
    let bench = Bench::with_policy(&policy_for_key(1));
    bench.enroll(ALICE.0).await;
    let deferred = bench.converse(account(true), &[]).await;
    bench.engine.replace(loaded(&policy_for_key(2), |_| ()));
    let opened = bench.follow(Hook::Session, with_key(1), &deferred).await;
    assert_eq!(opened.state, State::NotRequired);
    let next = bench.converse(account(true), &[]).await;
    let next = bench.follow(Hook::Session, with_key(1), &next).await;
    assert_eq!(next.state, State::Denied);
}

#[tokio::test]
async fn a_risk_that_the_key_is_part_of_is_not_taken_for_none() {
    let risk = "[[rule]]\nname = \"strange\"\nwhen = { risk = \">= low\" }\nrequire = \"deny\"\n\n[[rule]]\nname = \"usual\"\nwhen = {}\nrequire = \"none\"\n";
    let bench = Bench::with_policy(risk);
    bench.enroll(ALICE.0).await;
    assert_eq!(
        bench.converse(account(false), &[]).await.state,
        State::Denied
    );
    let deferred = bench.converse(account(true), &[]).await;
    let opened = bench.follow(Hook::Session, with_key(1), &deferred).await;
    assert_eq!(opened.state, State::NotRequired);
}
