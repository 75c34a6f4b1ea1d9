//! The mock's dialogue: one secret question, and one right answer.

use mfad_protocol::{Context, Message, State as DialogueState, Step, Style};
use zbus::OwnedFd;

use super::{PROOF, Shared};

pub(super) struct MockAuthentication(pub(super) Shared);

#[zbus::interface(name = "org.mfad.Mfad1.Authentication")]
impl MockAuthentication {
    fn begin(&self, context: Context, fds: Vec<OwnedFd>) -> (String, Step) {
        let mut state = self.0.lock().unwrap();
        state.calls.push(format!("Dialogue {}", context.service));
        assert_eq!(fds.len(), 1, "a console names its own process");
        if state.open_service.as_ref() == Some(&context.service) {
            return ("dialogue-1".into(), Step::of(DialogueState::NotRequired));
        }
        let messages = vec![
            Message {
                style: Style::Info,
                text: "Codes of the mock.".into(),
            },
            Message {
                style: Style::Secret,
                text: "Verification code: ".into(),
            },
        ];
        let step = Step {
            messages,
            ..Step::of(DialogueState::Continue)
        };
        ("dialogue-1".into(), step)
    }

    fn respond(&self, session: &str, answers: Vec<Vec<u8>>, fds: Vec<OwnedFd>) -> Step {
        let mut state = self.0.lock().unwrap();
        state.calls.push("Respond".into());
        let known = session == "dialogue-1" && fds.is_empty();
        if known && answers == [PROOF.as_bytes().to_vec()] {
            Step {
                grant: Some("grant".into()),
                ..Step::of(DialogueState::Granted)
            }
        } else {
            Step::of(DialogueState::Denied)
        }
    }

    fn cancel(&self, session: &str) {
        self.0
            .lock()
            .unwrap()
            .calls
            .push(format!("Cancel {session}"));
    }
}
