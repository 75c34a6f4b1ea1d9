//! The rows' seals, when a newer key takes over. It opens none.

use rusqlite::{Connection, OptionalExtension, params};

use super::{rows, schema::RESERVED, trail, writer::Tx};
use crate::{
    audit::Record,
    store::{CredentialId, Person, PersonId},
};

/// Name of the counter that holds the key's number.
const COUNTER: &str = "sealed-with";

/// See [`Store::people_after`](crate::store::Store::people_after).
pub(super) fn people(
    connection: &Connection,
    after: PersonId,
    limit: u32,
) -> rusqlite::Result<Vec<Person>> {
    rows::after(connection, after.0.max(RESERVED), limit)
}

/// See [`Store::reseal`](crate::store::Store::reseal).
pub(super) fn replace(
    tx: &mut Tx<'_>,
    person: PersonId,
    credential: CredentialId,
    old: &[u8],
    new: &[u8],
) -> rusqlite::Result<bool> {
    let sql = "UPDATE credential SET sealed = ?4 WHERE person = ?1 AND id = ?2 AND sealed = ?3";
    let mut statement = tx.connection.prepare_cached(sql)?;
    Ok(statement.execute(params![person.0, credential.0, old, new])? == 1)
}

/// See [`Store::sealed_with`](crate::store::Store::sealed_with).
pub(super) fn noted(connection: &Connection) -> rusqlite::Result<Option<u8>> {
    connection
        .prepare_cached("SELECT value FROM counter WHERE name = ?1")?
        .query_row([COUNTER], |row| row.get(0))
        .optional()
}

/// See [`Store::note_sealed_with`](crate::store::Store::note_sealed_with).
pub(super) fn note(tx: &mut Tx<'_>, key: u8, record: &Record) -> rusqlite::Result<()> {
    let sql = "INSERT INTO counter VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.connection
        .prepare_cached(sql)?
        .execute(params![COUNTER, key])?;
    trail::write(tx, record)
}
