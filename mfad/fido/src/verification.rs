//! How a key is to know its owner: by its own sensor where it has one, else by the PIN, else not at all. It asks nobody.

use mfad_protocol::fido::{Failure, PIN, Pin};

use crate::{failure::Trouble, key::Key};

/// Shortest PIN, in characters (CTAP 2.1 §6.5.1).
const SHORTEST: usize = 4;

/// How the owner shows who they are.
#[derive(Clone, Copy)]
pub(crate) enum Verification<'a> {
    /// Not at all: a touch is enough.
    None,
    /// At the key.
    BuiltIn,
    /// By this PIN.
    Pin(&'a str),
}

impl<'a> Verification<'a> {
    /// What this key needs. A PIN that has been typed is used, even where the key has a sensor: the sensor failed.
    pub(crate) fn plan(key: &Key, wanted: bool, pin: Option<&'a Pin>) -> Result<Self, Failure> {
        let abilities = &key.abilities;
        if let Some(pin) = pin {
            let pin = pin.reveal();
            if pin.chars().count() < SHORTEST || pin.len() > PIN {
                // No key has such a PIN, and asking it would cost a try.
                return Err(Failure::PinWrong { tries: key.tries() });
            }
            if !abilities.pin {
                return Err(Failure::NoVerification);
            }
            return Ok(Self::Pin(pin));
        }
        if !wanted && !abilities.always_verifies {
            return Ok(Self::None);
        }
        if abilities.verifies {
            return Ok(Self::BuiltIn);
        }
        Err(key.explain(Failure::PinNeeded { tries: None }))
    }

    /// What a key's refusal means, asked in this way.
    pub(crate) fn explain(self, key: &Key, trouble: Trouble) -> Trouble {
        match (self, trouble) {
            // A key with a sensor says the same where it does not know the finger (CTAP 2.1 §6.2.2, step 6).
            (Self::BuiltIn, Trouble::Failed(Failure::Denied)) => {
                Trouble::Failed(Failure::NotVerified)
            }
            (_, Trouble::Failed(failure)) => Trouble::Failed(key.explain(failure)),
            (_, Trouble::Gone) => Trouble::Gone,
        }
    }
}
