//! What people demand for themselves beyond the policy, and which factor they prefer.

use std::time::Duration;

use mfad::session::{Caller, Connection, facts::SELF_SERVICE};
use mfad_protocol::{Context, Hook, State};

use crate::support::{ALICE, Bench, Phone, START, root, ssh, sudo};

const OPEN: &str = "[[rule]]\nname = \"open\"\nwhen = {}\nrequire = \"none\"\n";
const MINE: &str =
    "[[rule]]\nname = \"mine\"\nwhen = { service = \"sudo\" }\nrequire = { any = [\"totp\"] }\n";

fn alice() -> Caller {
    Caller {
        uid: ALICE.1,
        connection: Connection::Bus(":1.7".into()),
    }
}

/// A proof, as `mfactl` makes one.
async fn grant(bench: &Bench, phone: &Phone, at: i64) -> String {
    let context = Context {
        service: SELF_SERVICE.into(),
        ..sudo(ALICE.0, ALICE.1)
    };
    let (session, step) = bench.engine.begin(&alice(), context, None).await;
    assert_eq!(step.state, State::Continue);
    let answer = vec![phone.code(at).into_bytes()];
    let step = bench.engine.respond(&alice(), &session, answer).await;
    step.grant.unwrap()
}

#[tokio::test]
async fn a_demand_tightens_and_takes_a_proof_to_make_and_to_end() {
    let bench = Bench::with_policy(OPEN);
    let phone = bench.enroll(ALICE.0).await;
    let whole = async || bench.whole(sudo(ALICE.0, ALICE.1), &[]).await;
    assert_eq!(whole().await, State::NotRequired);
    let unproven = bench.engine.require_own(&alice(), MINE, "").await;
    assert!(unproven.is_err());
    assert_eq!(whole().await, State::NotRequired);
    let proof = grant(&bench, &phone, START).await;
    bench
        .engine
        .require_own(&alice(), MINE, &proof)
        .await
        .unwrap();
    assert_eq!(whole().await, State::Continue);
    let elsewhere = bench.whole(ssh(ALICE.0), &[]).await;
    assert_eq!(elsewhere, State::NotRequired);
    let again = bench.engine.require_own(&alice(), "", &proof).await;
    assert!(again.is_err(), "a proof serves once");
    bench.clock.advance(30);
    let proof = grant(&bench, &phone, START + 30).await;
    bench
        .engine
        .require_own(&alice(), "", &proof)
        .await
        .unwrap();
    assert_eq!(whole().await, State::NotRequired);
}

#[tokio::test]
async fn a_demand_never_loosens() {
    let bench = Bench::with_policy("[[rule]]\nname = \"all\"\nwhen = {}\nrequire = \"any\"\n");
    let phone = bench.enroll(ALICE.0).await;
    let proof = grant(&bench, &phone, START).await;
    let looser = "[[rule]]\nname = \"mine\"\nwhen = {}\nrequire = \"none\"\n";
    // Refused or without effect: the policy's word is which.
    let _refused = bench.engine.require_own(&alice(), looser, &proof).await;
    let login = bench.whole(sudo(ALICE.0, ALICE.1), &[]).await;
    assert_eq!(login, State::Continue);
}

#[tokio::test]
async fn nonsense_is_refused_by_line_and_column_and_spends_no_proof() {
    let bench = Bench::with_policy(OPEN);
    let phone = bench.enroll(ALICE.0).await;
    let proof = grant(&bench, &phone, START).await;
    let nonsense = "[[rule]]\nname = \"mine\"\nwhen = {}\nrequire = { any = [\"luck\"] }\n";
    let refusal = bench
        .engine
        .require_own(&alice(), nonsense, &proof)
        .await
        .unwrap_err();
    assert!(
        format!("{refusal:?}").contains("additions:4:"),
        "{refusal:?}"
    );
    bench
        .engine
        .require_own(&alice(), MINE, &proof)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_demand_that_cannot_be_read_any_more_keeps_its_user_out() {
    let bench = Bench::with_policy(OPEN);
    bench.enroll(ALICE.0).await;
    let person = bench.engine.store.find_person("local", ALICE.0).await;
    let person = person.unwrap().unwrap();
    let record = mfad::audit::Record::new(START, mfad::audit::Event::Administration, "test");
    let broken = Some("[[rule]]\nof another version\n".to_owned());
    bench
        .engine
        .store
        .set_requirement(person.id, broken, record)
        .await
        .unwrap();
    let login = bench.login(sudo(ALICE.0, ALICE.1), "000000").await;
    assert_eq!(login.state, State::Denied);
    let root = crate::support::root(1);
    bench
        .engine
        .clear_requirement_of(&root, ALICE.0)
        .await
        .unwrap();
    let login = bench.whole(sudo(ALICE.0, ALICE.1), &[]).await;
    assert_eq!(login, State::NotRequired);
}

#[tokio::test]
async fn a_preference_is_told_to_its_owner_alone() {
    let bench = Bench::with_policy("[[rule]]\nname = \"all\"\nwhen = {}\nrequire = \"any\"\n");
    bench.enroll(ALICE.0).await;
    let unknown = bench.engine.prefer_own(&alice(), "hotp").await;
    assert!(unknown.is_err(), "they have none");
    bench.engine.prefer_own(&alice(), "totp").await.unwrap();
    let prompt = async |context| {
        let step = bench.converse(context, &[]).await;
        step.messages.last().unwrap().text.clone()
    };
    assert_eq!(
        prompt(sudo(ALICE.0, ALICE.1)).await,
        "Your totp first. Verification code: "
    );
    let by_password = Context {
        ssh_auth_info: None,
        after_password: Some(true),
        ..ssh(ALICE.0)
    };
    assert_eq!(prompt(by_password).await, "Verification code: ");
}

#[tokio::test]
async fn what_a_user_alone_calls_a_login_teaches_nothing_of_their_habits() {
    let bench = Bench::with_policy(OPEN);
    bench.enroll(ALICE.0).await;
    let locker = Context {
        service: "swaylock".into(),
        ..sudo(ALICE.0, ALICE.1)
    };
    let last_login = async |caller: &Caller| {
        let (_, auth) = bench.engine.begin(caller, locker.clone(), None).await;
        assert_eq!(auth.state, State::NotRequired);
        let account = Context {
            hook: Some(Hook::Account),
            grant: auth.grant,
            ..locker.clone()
        };
        let (_, account) = bench.engine.begin(caller, account, None).await;
        assert_eq!(account.state, State::Granted);
        // Written beside the answer.
        tokio::time::sleep(Duration::from_millis(200)).await;
        bench.engine.show_user(ALICE.0).await.unwrap().last_login
    };
    assert_eq!(last_login(&alice()).await, None);
    // A host of the system's. A disk may take its time.
    let mut rounds = 0;
    while last_login(&root(7)).await.is_none() {
        rounds += 1;
        assert!(rounds < 100, "no login was recorded");
    }
}
