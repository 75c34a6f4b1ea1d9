//! Agents that lie, hang or are somebody else's, and what is said of them.

use super::*;

#[tokio::test]
async fn no_hostile_agent_gets_in_or_holds_anybody_up() {
    let old = SoftKey::sk(1).sign(
        &Purpose {
            nonce: [0; 32],
            host: [0; 16],
            user: owner().0.into(),
            service: "sudo".into(),
        }
        .envelope(),
        TOUCHED,
        100,
    );
    let untouched = Manner::Signs {
        flags: 0,
        counter: 100,
    };
    let manners = [
        ("replay", Manner::Replays(old), None),
        (
            "another key",
            Manner::SignsWith(Box::new(SoftKey::sk(9))),
            None,
        ),
        ("no touch", untouched, None),
        ("refusal", Manner::Refuses, Some("is it plugged in?")),
        ("4 GiB", Manner::Huge, Some("makes no sense")),
        ("endless", Manner::Endless, Some("makes no sense")),
        ("trickle", Manner::Trickles, Some("not touched in time")),
        ("hang up", Manner::Leaves, Some("broke off")),
        ("list", Manner::ListsWhatIsNotThere, Some("makes no sense")),
        ("silence", Manner::Silent, Some("did not answer in time")),
    ];
    for (name, manner, sentence) in manners {
        let bench = Bench::with_policy(ANY);
        let phone = bench.enroll(owner().0).await;
        enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
        let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
        let begun = Instant::now();
        dialogue
            .enter(owner().1, vec![SoftKey::sk(1)], manner)
            .await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{name}: {took:?}");
        match sentence {
            None => assert_eq!(dialogue.step.state, State::Denied, "{name}"),
            Some(sentence) => {
                let text = prompt(&dialogue.step).to_owned();
                assert!(text.contains(sentence), "{name}: {text}");
                assert!(text.ends_with(", or Verification code: "), "{name}: {text}");
                assert_eq!(dialogue.code(&phone).await, State::Granted, "{name}");
            }
        }
        println!("{name}: over after {} ms", took.as_millis());
    }
}

#[tokio::test]
async fn an_agent_of_somebody_else_is_not_spoken_with() {
    let bench = Bench::with_policy(ANY);
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let others: &[u32] = if nix::unistd::getuid().is_root() {
        &[0, 2]
    } else {
        // Others cannot be made out of nobody's rights; the descriptor below is no agent's either.
        &[]
    };
    for uid in others {
        let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
        dialogue.enter(*uid, vec![SoftKey::sk(1)], touched(1)).await;
        assert!(
            prompt(&dialogue.step)
                .starts_with("SSH_AUTH_SOCK names an SSH agent of somebody else.")
        );
    }
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    dialogue.respond(&[""], None).await;
    let null = std::fs::File::open("/dev/null").unwrap();
    dialogue.respond(&[], Some(null.into())).await;
    assert!(prompt(&dialogue.step).starts_with("SSH_AUTH_SOCK names"));
}

#[tokio::test]
async fn what_the_module_met_instead_of_an_agent_is_said() {
    let bench = Bench::with_policy(ANY);
    let phone = bench.enroll(owner().0).await;
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    for (word, sentence) in [
        ("stale", "is gone. In tmux or screen"),
        ("denied", "that you may not use"),
        ("foreign", "of somebody else"),
        ("unset", "names no SSH agent"),
        ("what", "does not answer"),
    ] {
        dialogue.respond(&[""], None).await;
        dialogue.respond(&[word], None).await;
        let text = prompt(&dialogue.step);
        assert!(text.contains(sentence), "{word}: {text}");
    }
    assert_eq!(dialogue.code(&phone).await, State::Granted);
}
