//! su: whose factor is asked is the policy's choice, and a grant holds for who switched to whom.

use mfad_protocol::{Context, Hook, State};

use crate::support::{ALICE, BOB, Bench, START, su};

const BY_CALLER: &str = "[subject]\nsu = \"caller\"\n\n[[rule]]\nname = \"su\"\nwhen = { service = \"su\" }\nrequire = { any = [\"totp\"] }\n";
const BY_TARGET: &str =
    "[[rule]]\nname = \"su\"\nwhen = { service = \"su\" }\nrequire = { any = [\"totp\"] }\n";

#[tokio::test]
async fn by_default_it_is_the_target_s_factor() {
    let bench = Bench::with_policy(BY_TARGET);
    let alices = bench.enroll(ALICE.0).await;
    let bobs = bench.enroll(BOB.0).await;
    assert_eq!(
        bench.whole(su(), &[&alices.code(START)]).await,
        State::Denied
    );
    bench.clock.advance(300);
    let code = bobs.code(START + 300);
    assert_eq!(bench.whole(su(), &[&code]).await, State::Granted);
}

#[tokio::test]
async fn the_caller_s_own_if_the_policy_says_so() {
    let bench = Bench::with_policy(BY_CALLER);
    let alices = bench.enroll(ALICE.0).await;
    let bobs = bench.enroll(BOB.0).await;
    assert_eq!(bench.whole(su(), &[&bobs.code(START)]).await, State::Denied);
    bench.clock.advance(300);
    let code = alices.code(START + 300);
    assert_eq!(bench.whole(su(), &[&code]).await, State::Granted);
}

#[tokio::test]
async fn what_one_caller_earned_for_one_target_is_nothing_for_another() {
    let bench = Bench::with_policy(BY_CALLER);
    let alices = bench.enroll(ALICE.0).await;
    let auth = bench.login(su(), &alices.code(START)).await;
    assert_eq!(auth.state, State::Granted);
    let by_bob = Context {
        real_uid: Some(BOB.1),
        ..su()
    };
    let to_root = Context {
        user: "root".into(),
        ..su()
    };
    for other in [by_bob, to_root] {
        let account = bench.follow(Hook::Account, other, &auth).await;
        assert_eq!(account.state, State::Denied);
    }
    let account = bench.follow(Hook::Account, su(), &auth).await;
    assert_eq!(account.state, State::Granted);
}

#[tokio::test]
async fn who_cannot_be_told_by_the_kernel_passes_nowhere() {
    let bench = Bench::with_policy(BY_CALLER);
    let alices = bench.enroll(ALICE.0).await;
    let nobody = Context {
        real_uid: None,
        ..su()
    };
    let code = alices.code(START);
    assert_eq!(bench.whole(nobody, &[&code]).await, State::Denied);
    let unknown = Context {
        real_uid: Some(3_999_999),
        ..su()
    };
    assert_eq!(bench.whole(unknown, &[&code]).await, State::Denied);
}

#[tokio::test]
async fn a_rule_can_tell_the_target() {
    let policy = "[subject]\nsu = \"caller\"\n\n[[rule]]\nname = \"to bob\"\nwhen = { service = \"su\", user = \"daemon\", target = \"bin\" }\nrequire = \"none\"\n\n[[rule]]\nname = \"others\"\nwhen = {}\nrequire = \"deny\"\n";
    let bench = Bench::with_policy(policy);
    bench.enroll(ALICE.0).await;
    assert_eq!(bench.whole(su(), &[]).await, State::NotRequired);
    let to_root = Context {
        user: "root".into(),
        ..su()
    };
    assert_eq!(bench.whole(to_root, &["000000"]).await, State::Denied);
}
