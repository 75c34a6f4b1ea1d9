//! The steps of one prompt: what follows an answer. Pure.

use super::verdict::Play;
use crate::factor::{Allowed, Evidence};

/// A dialogue at its prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialogue {
    /// How it is meant.
    pub play: Play,
    /// Which kinds may still answer.
    pub allowed: Allowed,
    needed: usize,
    tries_left: u8,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It was right, and is worth this much.
    Right(Evidence),
    /// It was wrong, not evaluated, or no guess at all.
    NotRight,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same prompt again.
    Again,
    /// A prompt for a factor of another kind.
    Another,
    /// The policy is met.
    Granted,
    /// Refused.
    Denied,
    /// The policy asked for nothing here.
    NotRequired,
}

impl Dialogue {
    /// A dialogue that needs `count` factors of distinct kinds and forgives `tries` − 1 wrong answers.
    pub fn new(play: Play, allowed: Allowed, count: u8, tries: u8) -> Self {
        Self {
            play,
            allowed,
            needed: usize::from(count.max(1)),
            tries_left: tries.max(1),
        }
    }

    /// Whether one right answer more meets the policy.
    pub fn is_last(&self) -> bool {
        self.allowed.used() + 1 >= self.needed
    }

    /// Steps on.
    pub fn hear(&mut self, heard: Heard) -> Next {
        match (&self.play, heard) {
            (Play::Earnest, Heard::Right(evidence)) => {
                self.allowed.use_up(evidence);
                if self.allowed.used() >= self.needed {
                    Next::Granted
                } else {
                    Next::Another
                }
            }
            (Play::Formality, _) => Next::NotRequired,
            (Play::Earnest | Play::Decoy(_), _) => {
                self.tries_left = self.tries_left.saturating_sub(1);
                if self.tries_left == 0 {
                    Next::Denied
                } else {
                    Next::Again
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Kind;

    fn dialogue(play: Play, count: u8, tries: u8) -> Dialogue {
        Dialogue::new(play, Allowed::default(), count, tries)
    }

    #[test]
    fn one_right_answer_grants_and_the_last_wrong_one_denies() {
        assert_eq!(
            dialogue(Play::Earnest, 1, 1).hear(Heard::Right(Kind::Totp.into())),
            Next::Granted
        );
        let mut patient = dialogue(Play::Earnest, 1, 2);
        assert_eq!(patient.hear(Heard::NotRight), Next::Again);
        assert_eq!(patient.hear(Heard::NotRight), Next::Denied);
        assert_eq!(
            dialogue(Play::Earnest, 0, 0).hear(Heard::NotRight),
            Next::Denied,
            "0 never means unlimited"
        );
    }

    #[test]
    fn two_factors_must_be_of_two_kinds() {
        let mut both = dialogue(Play::Earnest, 2, 1);
        assert_eq!(both.hear(Heard::Right(Kind::Totp.into())), Next::Another);
        assert!(!both.allowed.contains(Kind::Totp));
        assert_eq!(
            both.hear(Heard::Right(Kind::BackupCodes.into())),
            Next::Granted
        );
    }

    #[test]
    fn a_decoy_never_grants_and_a_formality_never_denies() {
        let mut decoy = dialogue(Play::Decoy("test"), 1, 3);
        let steps = [
            decoy.hear(Heard::Right(Kind::Totp.into())),
            decoy.hear(Heard::NotRight),
            decoy.hear(Heard::NotRight),
        ];
        assert_eq!(steps, [Next::Again, Next::Again, Next::Denied]);
        assert_eq!(
            dialogue(Play::Formality, 1, 1).hear(Heard::NotRight),
            Next::NotRequired
        );
    }
}
