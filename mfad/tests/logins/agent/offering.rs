//! Whose agent is offered beside a code, where, and in which order.

use super::*;

#[tokio::test]
async fn a_code_may_be_typed_in_its_place() {
    let bench = Bench::with_policy(ANY);
    let phone = bench.enroll(owner().0).await;
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    assert_eq!(
        prompt(&dialogue.step),
        "Press Enter and touch your ssh key \"blue\", or Verification code: "
    );
    assert_eq!(dialogue.code(&phone).await, State::Granted);
}

#[tokio::test]
async fn what_its_owner_prefers_is_asked_first() {
    let bench = Bench::with_policy(&requiring(
        "{ any = [\"totp\", \"ssh-sk\", \"ssh-agent\"] }",
    ));
    bench.enroll(owner().0).await;
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    enroll_key(&bench, &SoftKey::plain(2), "ssh-agent", "desk").await;
    let own = Caller {
        uid: owner().1,
        connection: Connection::Bus(":1.7".into()),
    };
    for (kind, expected) in [
        (
            "",
            "Press Enter and touch your ssh key \"blue\" or \"desk\", or Verification code: ",
        ),
        (
            "totp",
            "Your totp first. Verification code, or press Enter and touch your ssh key \"blue\" or \"desk\": ",
        ),
        (
            "ssh-agent",
            "Press Enter to use your ssh key \"desk\" or \"blue\", or Verification code: ",
        ),
    ] {
        bench.engine.prefer_own(&own, kind).await.unwrap();
        let dialogue = Dialogue::begin(&bench, at_sudo()).await;
        assert_eq!(prompt(&dialogue.step), expected, "{kind}");
    }
}

#[tokio::test]
async fn it_is_offered_in_the_owner_s_own_session_alone() {
    let bench = Bench::with_policy(ANY);
    bench.enroll(owner().0).await;
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let elsewhere = [
        Context {
            agent: None,
            ..at_sudo()
        },
        Context {
            real_uid: Some(0),
            ..at_sudo()
        },
        Context {
            real_uid: Some(4711),
            ..at_sudo()
        },
        Context {
            rhost: Some("192.0.2.10".into()),
            ..at_sudo()
        },
        Context {
            decoy: Some(true),
            ..at_sudo()
        },
        Context {
            agent: Some(true),
            ..crate::support::ssh(owner().0)
        },
    ];
    for context in elsewhere {
        let mut dialogue = Dialogue::begin(&bench, context.clone()).await;
        assert_eq!(prompt(&dialogue.step), "Verification code: ", "{context:?}");
        dialogue.respond(&[""], None).await;
        assert_eq!(dialogue.step.state, State::Denied);
    }
}

#[tokio::test]
async fn a_plain_key_counts_only_where_the_policy_names_it() {
    for (policy, offered) in [
        (ANY.to_owned(), false),
        (requiring("{ any = [\"totp\", \"ssh-sk\"] }"), false),
        (requiring("{ any = [\"totp\", \"ssh-agent\"] }"), true),
    ] {
        let bench = Bench::with_policy(&policy);
        bench.enroll(owner().0).await;
        enroll_key(&bench, &SoftKey::plain(1), "ssh-agent", "laptop").await;
        let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
        if !offered {
            assert_eq!(prompt(&dialogue.step), "Verification code: ");
            continue;
        }
        assert_eq!(
            prompt(&dialogue.step),
            "Press Enter to use your ssh key \"laptop\", or Verification code: "
        );
        dialogue
            .enter(owner().1, vec![SoftKey::plain(1)], touched(0))
            .await;
        assert_eq!(dialogue.step.state, State::Granted);
    }
}

#[tokio::test]
async fn where_phishing_must_be_withstood_no_agent_is_asked() {
    let bench = Bench::with_policy(&requiring("{ phishing-resistant = true }"));
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let dialogue = Dialogue::begin(&bench, at_sudo()).await;
    assert_eq!(prompt(&dialogue.step), "Verification code: ");
}
