//! Factors and users as their owners and administrators manage them. Who may act is settled before it comes here.

mod enrolling;
pub mod fido2;
mod offers;
mod own;
mod show;
mod ssh_keys;
mod trust;
mod users;

pub use offers::Offers;

use crate::{
    engine::REALM,
    factor::FactorError,
    people::NoAnswer,
    store::{Credential, CredentialId, Person, Standing, StoreError},
};

/// Why a request is refused: a sentence for the person, with what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
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

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => {
                Self::NotFound("there is no such factor or user; see: mfactl status".into())
            }
            StoreError::NotFirst => Self::NeedsGrant(
                "another factor has been enrolled meanwhile; begin again, and prove that one"
                    .into(),
            ),
            StoreError::Busy => {
                Self::Unavailable("the daemon is busy; try again in a moment".into())
            }
            StoreError::Exists => {
                Self::Exists("that name is taken; choose another with --name".into())
            }
            StoreError::Full => Self::Full(
                "no room for another factor; remove one first: mfactl remove NAME".into(),
            ),
            error @ (StoreError::Unwritable(_)
            | StoreError::Corrupt(_)
            | StoreError::FromTheFuture(_)) => Self::Unavailable(format!(
                "{error}; nothing was changed. Next: sudo mfactl doctor"
            )),
        }
    }
}

impl From<NoAnswer> for Refusal {
    fn from(why: NoAnswer) -> Self {
        Self::Unavailable(
            match why {
                NoAnswer::Silent => {
                    "the name service does not answer; try again, or see: getent passwd"
                }
                NoAnswer::Crowded => "too many names are being looked up; try again in a moment",
            }
            .into(),
        )
    }
}

impl From<FactorError> for Refusal {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::Parameter(what) => Self::Invalid(what),
            error => Self::Unavailable(format!("{error}. Next: sudo mfactl doctor")),
        }
    }
}

/// Longest name of a factor, in bytes.
const NAME: usize = 64;

/// A factor's name as wanted by a person: printable, short, not empty.
fn checked_name(name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    if name.is_empty() || name.len() > NAME || mfad_protocol::printable(name) != name {
        return Err(Refusal::Invalid(format!(
            "a name has 1 to {NAME} bytes of printable text"
        )));
    }
    Ok(name.to_owned())
}

/// The one active credential that `wanted` names: its name (without case), or a prefix of its id of four digits or more.
fn find_credential<'a>(person: &'a Person, wanted: &str) -> Result<&'a Credential, Refusal> {
    let active = || {
        person
            .credentials
            .iter()
            .filter(|credential| credential.standing == Standing::Active)
    };
    if let Some(named) = active().find(|credential| credential.name.eq_ignore_ascii_case(wanted)) {
        return Ok(named);
    }
    let prefix = wanted.to_ascii_lowercase();
    let mut by_id = active()
        .filter(|credential| prefix.len() >= 4 && hex_id(credential.id).starts_with(&prefix));
    match (by_id.next(), by_id.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Refusal::Invalid(
            "that id begins more than one factor; give more of it".into(),
        )),
        _ => Err(Refusal::NotFound(format!(
            "{} has no such factor; see: mfactl status",
            person.key.name
        ))),
    }
}

/// A credential's id as shown.
fn hex_id(id: CredentialId) -> String {
    mfad_protocol::hex::encode(&id.0)
}

impl crate::engine::Engine {
    /// The person of that name; an error that says so where there is none.
    async fn known_person(&self, user: &str) -> Result<Person, Refusal> {
        let found = self.store.find_person(REALM, user).await?;
        found.ok_or_else(|| {
            Refusal::NotFound(format!(
                "{} has nothing enrolled",
                mfad_protocol::printable(user)
            ))
        })
    }
}
