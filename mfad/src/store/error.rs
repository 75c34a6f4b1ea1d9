//! Why the store could not do as asked.

use std::fmt;

/// Why the store could not do as asked. What a person logging in hears of any of them is "unavailable".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Full, read-only, failing or locked: nothing was changed. Holds what the database said.
    Unwritable(String),
    /// The file is damaged or not ours.
    Corrupt(String),
    /// Written by a newer version of the program: the schema found.
    FromTheFuture(u32),
    /// The person, credential or enrollment named does not exist.
    NotFound,
    /// A name or id is taken already.
    Exists,
    /// The person has a credential in use already, and this was to be their first.
    NotFirst,
    /// Too much waits to be written; nothing is wrong with the store.
    Busy,
    /// A bound would be passed (most factors a person may have, most people pending).
    Full,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritable(what) => write!(f, "the store cannot be written: {what}"),
            Self::Corrupt(what) => write!(f, "the store is damaged: {what}"),
            Self::FromTheFuture(found) => {
                write!(
                    f,
                    "the store has schema {found}, written by a newer mfad; upgrade this one"
                )
            }
            Self::NotFound => f.write_str("no such record"),
            Self::Exists => f.write_str("that name is taken"),
            Self::NotFirst => f.write_str("another factor has been enrolled meanwhile"),
            Self::Busy => f.write_str("too much waits to be written to the store"),
            Self::Full => f.write_str("no room for another one"),
        }
    }
}

impl std::error::Error for StoreError {}
