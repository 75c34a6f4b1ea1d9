//! What a caller of the management interfaces is told when something is refused: a sentence, and what to do next.

use zbus::DBusError;

use crate::management::Refusal;

/// Errors of the Enrollment and Administration interfaces. The text is for the person.
#[derive(Debug, Clone, PartialEq, DBusError)]
#[zbus(prefix = "org.mfad.Mfad1.Error")]
pub enum Error {
    /// Anything zbus itself reports.
    #[zbus(error)]
    ZBus(zbus::Error),
    /// The caller may not.
    Denied(String),
    /// There is no such thing.
    NotFound(String),
    /// It is there already.
    Exists(String),
    /// An argument is wrong.
    Invalid(String),
    /// The daemon cannot work now.
    Unavailable(String),
    /// The caller must first prove a factor they have.
    NeedsGrant(String),
    /// A bound is reached.
    Full(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(text) => Self::Denied(text),
            Refusal::NotFound(text) => Self::NotFound(text),
            Refusal::Exists(text) => Self::Exists(text),
            Refusal::Invalid(text) => Self::Invalid(text),
            Refusal::Unavailable(text) => Self::Unavailable(text),
            Refusal::NeedsGrant(text) => Self::NeedsGrant(text),
            Refusal::Full(text) => Self::Full(text),
        }
    }
}
