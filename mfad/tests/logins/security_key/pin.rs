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
