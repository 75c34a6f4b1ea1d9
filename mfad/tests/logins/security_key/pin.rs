//! The PIN of a security key: asked for hidden, given to the key alone, and guessed only so often.

use mfad_protocol::Style;

use super::*;

#[tokio::test]
async fn a_pin_is_asked_for_hidden_and_goes_to_the_key_alone() {
    let (bench, desk) = bench_with(ANY, "+presence+pin").await;
    let mut dialogue = Dialogue::begin(&bench, at_console()).await;
    desk.then(&[Act::Fail(Failure::PinNeeded { tries: Some(8) })]);
    desk.then(&[Act::Fail(Failure::PinWrong { tries: Some(7) })]);
    desk.then(&[Act::Sign(PRESENT | VERIFIED, 3)]);
    assert_eq!(dialogue.answer("").await, State::Continue);
    let asked = dialogue.step.messages.last().unwrap();
    assert_eq!(
        (asked.style, asked.text.as_str()),
        (Style::Secret, "PIN of your security key \"blue\": ")
    );
    assert_eq!(dialogue.answer("314159").await, State::Continue);
    assert_eq!(
        text(&dialogue.step),
        "Wrong PIN; 7 tries left. PIN of your security key \"blue\": "
    );
    assert_eq!(dialogue.answer("271828").await, State::Granted);
    let Request::Assert(asked) = desk.last() else {
        panic!("another question");
    };
    assert_eq!(
        asked.pin.map(|pin| pin.reveal().to_owned()).as_deref(),
        Some("271828")
    );
    let filter = mfad::store::AuditFilter {
        limit: 50,
        ..Default::default()
    };
    let records = bench.engine.store.audit(filter).await.unwrap();
    assert!(
        records
            .iter()
            .all(|(_, _, json)| !json.contains("271828") && !json.contains("314159"))
    );
}

#[tokio::test]
async fn no_pin_is_a_way_back_and_guessing_it_has_an_end() {
    let (bench, desk) = bench_with(ANY, "+presence+pin").await;
    bench.enroll(ALICE.0).await;
    let mut dialogue = Dialogue::begin(&bench, at_console()).await;
    desk.then(&[Act::Fail(Failure::PinNeeded { tries: None })]);
    dialogue.answer("").await;
    assert_eq!(dialogue.answer("").await, State::Continue);
    assert!(text(&dialogue.step).ends_with(", or Verification code: "));
    for _ in 0..20 {
        desk.then(&[Act::Fail(Failure::PinWrong { tries: None })]);
    }
    let before = desk.asked();
    for _ in 0..20 {
        if dialogue.answer("").await == State::Denied {
            break;
        }
        dialogue.answer("314159").await;
    }
    assert!(desk.asked() - before <= 8, "{}", desk.asked());
}

#[tokio::test]
async fn of_two_keys_the_one_that_wants_its_pin_is_named_and_it_alone_is_given_it() {
    let (bench, desk) = bench_with(ANY, "+presence+pin").await;
    // Another key, by the first letter of its credential's id.
    let other = desk.record("+presence+pin").replacen('H', "I", 1);
    import(&bench, "red", other).await;
    let mut dialogue = Dialogue::begin(&bench, at_console()).await;
    desk.then(&[Act::Decline(1, Failure::PinNeeded { tries: Some(8) })]);
    desk.then(&[Act::Decline(0, Failure::PinWrong { tries: Some(7) })]);
    desk.then(&[Act::Fail(Failure::PinNeeded { tries: Some(8) })]);
    dialogue.answer("").await;
    let Request::Assert(both) = desk.last() else {
        panic!("another question");
    };
    assert_eq!(both.wanted.len(), 2);
    assert_eq!(text(&dialogue.step), "PIN of your security key \"red\": ");
    dialogue.answer("314159").await;
    let Request::Assert(asked) = desk.last() else {
        panic!("another question");
    };
    let given: Vec<_> = asked.wanted.iter().map(|one| &one.credential).collect();
    assert_eq!(given, [&both.wanted[1].credential]);
    assert!(text(&dialogue.step).ends_with("tries left. PIN of your security key \"red\": "));
    // No PIN leads back, and a helper that does not say whose it wants gets none.
    dialogue.answer("").await;
    let before = desk.asked();
    dialogue.answer("").await;
    assert_eq!(desk.asked(), before + 1);
    assert!(text(&dialogue.step).starts_with("The security key cannot be asked. "));
    desk.then(&[Act::Decline(2, Failure::PinNeeded { tries: Some(8) })]);
    dialogue.answer("").await;
    assert!(text(&dialogue.step).starts_with("The security key cannot be asked. "));
}
