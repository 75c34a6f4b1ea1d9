//! The key that opened an ssh login counts if an authenticator keeps it and its person has enrolled it.

use mfad::store::Person;
use mfad_protocol::{Context, EnrollmentOptions, Hook, State};

use crate::{
    signer::SoftKey,
    support::{ALICE, BOB, Bench, START, root, ssh},
};

const ANY: &str = "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = \"any\"\n";
const STRONG: &str =
    "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = { phishing-resistant = true }\n";

async fn enroll(bench: &Bench, user: &str, key: &SoftKey, kind: &str) {
    let options = EnrollmentOptions {
        key: Some(key.line()),
        ..EnrollmentOptions::default()
    };
    let administrator = root(0);
    let enrolled = bench
        .engine
        .enroll_user(&administrator, user, kind, options);
    enrolled.await.unwrap();
}

/// An ssh login by this key, as sshd tells it.
fn by(key: &SoftKey) -> Context {
    Context {
        ssh_auth_info: Some(format!("publickey {}\n", key.line())),
        guarded: Some(true),
        ..ssh(ALICE.0)
    }
}

/// Its account phase, in which sshd does not show the key.
fn account(defer: bool) -> Context {
    Context {
        hook: Some(Hook::Account),
        guarded: Some(true),
        defer: Some(defer),
        ssh_auth_info: None,
        ..ssh(ALICE.0)
    }
}

async fn alice(bench: &Bench) -> Person {
    // What a login leaves behind may lag; a write after it does not come before.
    bench.engine.store.probe().await.unwrap();
    let found = bench.engine.store.find_person("local", ALICE.0).await;
    found.unwrap().unwrap()
}

#[tokio::test]
async fn after_the_key_nothing_more_is_asked() {
    for policy in [ANY, STRONG] {
        let bench = Bench::with_policy(policy);
        enroll(&bench, ALICE.0, &SoftKey::sk(1), "ssh-sk").await;
        assert_eq!(bench.whole(by(&SoftKey::sk(1)), &[]).await, State::Granted);
        let person = alice(&bench).await;
        assert_eq!(person.credentials[0].last_used, Some(START));
        assert_eq!(person.credentials[0].moving, 0, "sshd tells no counter");
        assert_eq!(person.last_mfa, Some(START));
    }
}

#[tokio::test]
async fn no_other_key_counts() {
    let bench = Bench::with_policy(ANY);
    enroll(&bench, ALICE.0, &SoftKey::sk(1), "ssh-sk").await;
    enroll(&bench, ALICE.0, &SoftKey::plain(2), "ssh-agent").await;
    enroll(&bench, BOB.0, &SoftKey::sk(3), "ssh-sk").await;
    for key in [
        SoftKey::sk(2),
        SoftKey::plain(1),
        SoftKey::plain(2),
        SoftKey::sk(3),
        SoftKey::sk_ecdsa(),
    ] {
        let step = bench.converse(by(&key), &[]).await;
        assert_eq!(step.state, State::Continue, "{}", key.line());
        assert_eq!(step.messages[0].text, "Verification code: ");
    }
    let decoy = Context {
        decoy: Some(true),
        ..by(&SoftKey::sk(1))
    };
    assert_eq!(
        bench.converse(decoy, &["123456"]).await.state,
        State::Denied
    );
    let claimed_by_a_user = mfad::session::Caller {
        uid: ALICE.1,
        ..root(5)
    };
    let (_, step) = bench
        .engine
        .begin(&claimed_by_a_user, by(&SoftKey::sk(1)), None)
        .await;
    assert_eq!(step.state, State::Continue, "sshd is root");
}

#[tokio::test]
async fn it_is_one_factor_of_two() {
    let two = "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = { any = [\"ssh-sk\", \"totp\"], count = 2 }\n";
    let bench = Bench::with_policy(two);
    let phone = bench.enroll(ALICE.0).await;
    enroll(&bench, ALICE.0, &SoftKey::sk(1), "ssh-sk").await;
    let code = phone.code(START);
    assert_eq!(
        bench.whole(by(&SoftKey::sk(1)), &[&code]).await,
        State::Granted
    );
    let code = phone.code(START + 30);
    bench.clock.advance(30);
    assert_eq!(
        bench.converse(by(&SoftKey::sk(2)), &[&code]).await.state,
        State::Continue,
        "one more is asked for"
    );
}

#[tokio::test]
async fn it_says_nothing_of_who_touched_it() {
    let verified = "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = { user-verified = true }\n";
    let bench = Bench::with_policy(verified);
    enroll(&bench, ALICE.0, &SoftKey::sk(1), "ssh-sk").await;
    assert_eq!(
        bench.converse(by(&SoftKey::sk(1)), &[]).await.state,
        State::Continue
    );
}

#[tokio::test]
async fn by_public_key_alone_it_counts_in_the_session_phase() {
    let bench = Bench::with_policy(ANY);
    enroll(&bench, ALICE.0, &SoftKey::sk(1), "ssh-sk").await;
    assert_eq!(
        bench.converse(account(false), &[]).await.state,
        State::Denied
    );
    for (key, expected) in [
        (SoftKey::sk(1), State::Granted),
        (SoftKey::sk(2), State::Denied),
        (SoftKey::plain(1), State::Denied),
    ] {
        let deferred = bench.converse(account(true), &[]).await;
        assert_eq!(deferred.state, State::NotRequired);
        let opened = bench.follow(Hook::Session, by(&key), &deferred).await;
        assert_eq!(opened.state, expected, "{}", key.line());
    }
    assert_eq!(alice(&bench).await.last_mfa, Some(START));
}

#[tokio::test]
async fn where_no_key_could_suffice_the_account_phase_refuses() {
    let two = "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = { any = [\"ssh-sk\", \"totp\"], count = 2 }\n";
    let codes = "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = { any = [\"totp\"] }\n";
    for policy in [two, codes] {
        let bench = Bench::with_policy(policy);
        bench.enroll(ALICE.0).await;
        enroll(&bench, ALICE.0, &SoftKey::sk(1), "ssh-sk").await;
        assert_eq!(
            bench.converse(account(true), &[]).await.state,
            State::Denied
        );
    }
}

#[tokio::test]
async fn a_key_that_was_removed_counts_no_more() {
    let bench = Bench::with_policy(ANY);
    bench.enroll(ALICE.0).await;
    enroll(&bench, ALICE.0, &SoftKey::sk(1), "ssh-sk").await;
    let removed = bench
        .engine
        .remove_credential_of(&root(0), ALICE.0, "ssh-sk")
        .await;
    removed.unwrap();
    assert_eq!(
        bench.converse(by(&SoftKey::sk(1)), &[]).await.state,
        State::Continue
    );
}

#[tokio::test]
async fn a_proof_by_the_agent_stands_in_for_no_stronger_one() {
    let ages = "[[rule]]\nname = \"strong\"\nwhen = { service = \"su\" }\nrequire = { phishing-resistant = true, max-age = \"15m\" }\n\n\
                [[rule]]\nname = \"all\"\nwhen = {}\nrequire = { any = [\"ssh-sk\"], max-age = \"15m\" }\n";
    let bench = Bench::with_policy(ages);
    enroll(&bench, ALICE.0, &SoftKey::sk(1), "ssh-sk").await;
    bench.sessions.say(crate::support::session("1", ALICE.1));
    // The login by the key: phishing-resistant, noted in its session, and good for both.
    assert_eq!(bench.whole(by(&SoftKey::sk(1)), &[]).await, State::Granted);
    for service in ["sudo", "su"] {
        let step_up = Context {
            service: service.into(),
            ..crate::support::sudo(ALICE.0, ALICE.1)
        };
        let step = bench.converse(step_up, &[]).await;
        assert_eq!(step.state, State::NotRequired, "{service}");
    }
}

/// A policy in the shadow counts the key of the login as the policy in force does.
#[tokio::test]
async fn it_counts_for_the_shadow_too() {
    let two = "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = { any = [\"ssh-sk\", \"totp\"], count = 2 }\n";
    let open = "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = \"none\"\n";
    let code = "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = { any = [\"totp\"] }\n";
    for (policy, shadow, would) in [
        (open, ANY, ""),
        (ANY, open, ""),
        (ANY, STRONG, ""),
        (open, two, "ask"),
        (ANY, code, "ask"),
        (ANY, two, "ask"),
    ] {
        let bench = Bench::with_policy(policy);
        bench.enroll(ALICE.0).await;
        enroll(&bench, ALICE.0, &SoftKey::sk(1), "ssh-sk").await;
        bench.shadowed_by(policy, shadow);
        bench.whole(by(&SoftKey::sk(1)), &[]).await;
        let record = bench.last_record().await;
        let word = record["shadow"].as_str().unwrap_or_default();
        assert_eq!(word, would, "{policy} {shadow} {record}");
    }
    // By the key alone, it is known in the session phase; before, nobody can say.
    for (shadow, would) in [(STRONG, ""), (open, ""), (two, "deny"), (code, "deny")] {
        let bench = Bench::with_policy(ANY);
        enroll(&bench, ALICE.0, &SoftKey::sk(1), "ssh-sk").await;
        bench.shadowed_by(ANY, shadow);
        let deferred = bench.converse(account(true), &[]).await;
        let opened = bench
            .follow(Hook::Session, by(&SoftKey::sk(1)), &deferred)
            .await;
        assert_eq!(opened.state, State::Granted);
        let record = bench.last_record().await;
        let word = record["shadow"].as_str().unwrap_or_default();
        assert_eq!(word, would, "{shadow} {record}");
    }
}
