//! What people ask for themselves: the factor to be asked for first, and requirements beyond the policy.

use rusqlite::params;

use super::{rows, schema::RESERVED, trail, writer::Tx};
use crate::{
    audit::Record,
    store::{PersonId, StoreError},
};

/// Bounds on what is stored, in bytes.
const LONGEST_KIND: usize = 64;
const LONGEST_REQUIREMENT: usize = 4096;

type Verdict<T> = rusqlite::Result<Result<T, StoreError>>;

/// See [`Store::set_preferred`](crate::store::Store::set_preferred).
pub(super) fn set_preferred(
    tx: &mut Tx<'_>,
    person: PersonId,
    kind: Option<&str>,
    record: &Record,
) -> Verdict<()> {
    if kind.is_some_and(|kind| kind.len() > LONGEST_KIND) {
        return Ok(Err(StoreError::Full));
    }
    let sql = "UPDATE person SET preferred = ?2 WHERE id = ?1 AND id > 0";
    let set = tx
        .connection
        .prepare_cached(sql)?
        .execute(params![person.0, kind])?;
    if set != 1 {
        return Ok(Err(StoreError::NotFound));
    }
    trail::write(tx, record)?;
    Ok(Ok(()))
}

/// See [`Store::set_requirement`](crate::store::Store::set_requirement).
pub(super) fn set_requirement(
    tx: &mut Tx<'_>,
    person: PersonId,
    text: Option<&str>,
    record: &Record,
) -> Verdict<()> {
    if text.is_some_and(|text| text.len() > LONGEST_REQUIREMENT) {
        return Ok(Err(StoreError::Full));
    }
    if person.0 <= RESERVED || !rows::exists(tx.connection, person.0)? {
        return Ok(Err(StoreError::NotFound));
    }
    let changed = if text.is_some() {
        "INSERT INTO requirement (person, text) VALUES (?1, ?2) \
         ON CONFLICT (person) DO UPDATE SET text = excluded.text"
    } else {
        "DELETE FROM requirement WHERE person = ?1 AND ?2 IS NULL"
    };
    tx.connection
        .prepare_cached(changed)?
        .execute(params![person.0, text])?;
    trail::write(tx, record)?;
    Ok(Ok(()))
}
