//! "Remember this device?": one visible prompt after all is proven. What is answered is kept by the account phase alone.

use mfad_protocol::{State, Step};

use super::{
    Caller,
    grant::Earned,
    running::{Running, Stage},
};
use crate::{engine::Engine, store::NewDevice};

impl Engine {
    /// Takes the answer. Anything but a yes is a no; neither keeps anybody out.
    pub(super) async fn answer_remembering(
        &self,
        caller: &Caller,
        running: &mut Running,
        typed: &[u8],
    ) -> Step {
        let Stage::Remember(proof) = &running.stage else {
            return Step::of(State::Denied);
        };
        let mut proof = proof.clone();
        proof.remember = running.offer.clone().filter(|_| is_yes(typed));
        let now = self.now();
        let Some(grant) = self.grant(caller, &running.facts, Earned::Proven(proof), now) else {
            return Step::of(State::Unavailable);
        };
        Step {
            messages: self.codes_left(running).await,
            grant: Some(grant),
            ..Step::of(State::Granted)
        }
    }
}

/// The question, with the time in the largest unit that is a whole number.
pub(super) fn question(offer: &NewDevice) -> String {
    const UNITS: [(i64, &str); 4] = [
        (86_400, "day"),
        (3_600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let seconds = offer.lifetime;
    let (length, unit) = UNITS
        .into_iter()
        .find(|(length, _)| seconds >= *length && seconds % length == 0)
        .unwrap_or((1, "second"));
    let count = seconds / length;
    let plural = if count == 1 { "" } else { "s" };
    format!("Remember this device for {count} {unit}{plural}? [y/N] ")
}

fn is_yes(typed: &[u8]) -> bool {
    let word = typed.trim_ascii();
    word.eq_ignore_ascii_case(b"y") || word.eq_ignore_ascii_case(b"yes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{BindKind, Binding};

    #[test]
    fn anything_but_a_yes_is_a_no() {
        for yes in ["y", "Y", " yes\r\n", "YES"] {
            assert!(is_yes(yes.as_bytes()), "{yes:?}");
        }
        for no in ["", "n", "no", "yy", "yes please", "j", "123456", "\u{ff59}"] {
            assert!(!is_yes(no.as_bytes()), "{no:?}");
        }
    }

    #[test]
    fn the_question_names_the_time_in_whole_units() {
        let asked = |lifetime| {
            let binding = Binding::of([(BindKind::Service, "sshd".to_owned())]).unwrap();
            question(&NewDevice { binding, lifetime })
        };
        assert_eq!(asked(43_200), "Remember this device for 12 hours? [y/N] ");
        assert_eq!(asked(86_400), "Remember this device for 1 day? [y/N] ");
        assert_eq!(asked(5_400), "Remember this device for 90 minutes? [y/N] ");
        assert_eq!(asked(61), "Remember this device for 61 seconds? [y/N] ");
    }
}
