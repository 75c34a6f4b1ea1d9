//! One turn of waiting for a key, in a login or in an enrollment: how long its answer is held back, and what it says. It
//! asks nobody.

use std::time::Duration;

use mfad_protocol::{Message, State, Step, Style, fido::Pin};
use zeroize::Zeroizing;

/// How long the daemon holds back its answer to whoever waits.
pub(crate) const HELD: Duration = Duration::from_secs(5);
/// Most that is kept to be told of a key; what is beyond is not told.
pub(crate) const MOST_NEWS: usize = 8;

/// The next turn is asked for at once, since its answer is held back; `told` is to be shown meanwhile.
pub(crate) fn wait(told: Option<&str>) -> Step {
    let told = told.map(|text| Message {
        style: Style::Info,
        text: text.to_owned(),
    });
    Step {
        messages: told.into_iter().collect(),
        retry_after_ms: Some(0),
        ..Step::of(State::Wait)
    }
}

/// Asks for a key's PIN, which is not echoed.
pub(crate) fn ask_for_pin(prompt: String) -> Step {
    Step {
        messages: vec![Message {
            style: Style::Secret,
            text: prompt,
        }],
        ..Step::of(State::Continue)
    }
}

/// A PIN that was typed; `None`: the person would rather not.
pub(crate) fn typed_pin(answers: &[Vec<u8>]) -> Option<Pin> {
    let [typed] = answers else {
        return None;
    };
    let typed = std::str::from_utf8(typed).ok()?;
    (!typed.is_empty()).then(|| Pin::new(Zeroizing::new(typed.to_owned())))
}
