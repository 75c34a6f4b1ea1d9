//! The verbs that change people and their credentials. Each runs inside a transaction and writes its audit record.

use rusqlite::{Connection, params};

use super::{rows, schema::RESERVED, trail, trust, writer::Tx};
use crate::{
    audit::Record,
    clock::Now,
    store::{
        Credential, CredentialId, Kind, NewCredential, Person, PersonId, PersonKey, Standing,
        StoreError,
    },
};

/// Most credentials of one person, a set of backup codes counting as one.
const MOST_CREDENTIALS: usize = 16;
/// Most pending credentials of one person, backup codes aside; the oldest makes room for another.
const MOST_WAITING: i64 = 8;
/// Most pending credentials in the whole store.
const MOST_PENDING: i64 = 1024;
/// Bounds on what is stored, in bytes (and codes).
const LONGEST_NAME: usize = 256;
const LONGEST_SEALED: usize = 4096;
const MOST_CODES: usize = 64;

type Verdict<T> = rusqlite::Result<Result<T, StoreError>>;

/// See [`Store::add_credential`](crate::store::Store::add_credential).
pub(super) fn add(
    tx: &mut Tx<'_>,
    key: &PersonKey,
    new: &NewCredential,
    now: Now,
    record: &Record,
) -> Verdict<Person> {
    let name = new.name.as_deref().unwrap_or_default();
    let too_long = [&key.realm, &key.name]
        .into_iter()
        .any(|text| text.is_empty() || text.len() > LONGEST_NAME);
    if too_long
        || name.len() > LONGEST_NAME
        || new.sealed.len() > LONGEST_SEALED
        || new.codes.len() > MOST_CODES
    {
        return Ok(Err(StoreError::Full));
    }
    let person = match rows::find(tx.connection, &key.realm, &key.name)? {
        Some(person) if person.key.uid != key.uid => return Ok(Err(StoreError::Exists)),
        Some(person) => person.id.0,
        None => {
            let sql = "INSERT INTO person (realm, name, uid) VALUES (?1, ?2, ?3)";
            tx.connection
                .prepare_cached(sql)?
                .insert(params![key.realm, key.name, key.uid])?
        }
    };
    if new.only_first && is_enrolled(tx.connection, person)? {
        return Ok(Err(StoreError::NotFirst));
    }
    counting_enrolled(tx, person, |tx| {
        if !make_room(tx, person, new, now)? {
            return Ok(Err(StoreError::Full));
        }
        let present = rows::credentials(tx.connection, person)?;
        if present.len() >= MOST_CREDENTIALS {
            return Ok(Err(StoreError::Full));
        }
        let Some(name) = choose_name(&present, new) else {
            return Ok(Err(StoreError::Exists));
        };
        insert(tx, person, new, &name, now)?;
        write_about(tx, record, new.kind, &name)?;
        Ok(Ok(()))
    })?
    .map_or_else(
        |error| Ok(Err(error)),
        |()| {
            let person = rows::find(tx.connection, &key.realm, &key.name)?;
            Ok(person.ok_or(StoreError::NotFound))
        },
    )
}

/// See [`Store::activate`](crate::store::Store::activate).
pub(super) fn activate(
    tx: &mut Tx<'_>,
    person: PersonId,
    id: CredentialId,
    moving: i64,
    now: Now,
    record: &Record,
) -> Verdict<()> {
    let Some(credential) = one(tx.connection, person, id)? else {
        return Ok(Err(StoreError::NotFound));
    };
    let waits = credential.standing != Standing::Active;
    let stands_in = credential.kind == Kind::BackupCodes;
    if waits && !stands_in && is_enrolled(tx.connection, person.0)? {
        return Ok(Err(StoreError::NotFirst));
    }
    counting_enrolled(tx, person.0, |tx| {
        // `created` moves with `moving`: see `rewind`.
        let sql = "UPDATE credential SET pending_until = NULL, moving = max(moving, ?3), created = ?4 \
                   WHERE person = ?1 AND id = ?2 AND pending_until > ?4";
        if tx
            .connection
            .prepare_cached(sql)?
            .execute(params![person.0, id.0, moving, now.wall])?
            != 1
        {
            return Ok(Err(StoreError::NotFound));
        }
        if credential.kind == Kind::BackupCodes {
            let older =
                "DELETE FROM credential WHERE person = ?1 AND kind = 'backup-codes' AND id <> ?2";
            tx.connection
                .prepare_cached(older)?
                .execute(params![person.0, id.0])?;
        }
        write_about(tx, record, credential.kind, &credential.name)?;
        Ok(Ok(()))
    })
}

/// See [`Store::rename_credential`](crate::store::Store::rename_credential).
pub(super) fn rename(
    tx: &mut Tx<'_>,
    person: PersonId,
    id: CredentialId,
    name: &str,
    record: &Record,
) -> Verdict<()> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Ok(Err(StoreError::Full));
    }
    let present = rows::credentials(tx.connection, person.0)?;
    let Some(credential) = present.iter().find(|credential| credential.id == id) else {
        return Ok(Err(StoreError::NotFound));
    };
    if present
        .iter()
        .any(|other| other.id != id && folded(&other.name) == folded(name))
    {
        return Ok(Err(StoreError::Exists));
    }
    tx.connection
        .prepare_cached(
            "UPDATE credential SET name = ?3, folded = ?4 WHERE person = ?1 AND id = ?2",
        )?
        .execute(params![person.0, id.0, name, folded(name)])?;
    write_about(tx, record, credential.kind, name)?;
    Ok(Ok(()))
}

/// See [`Store::remove_credential`](crate::store::Store::remove_credential).
pub(super) fn remove(
    tx: &mut Tx<'_>,
    person: PersonId,
    id: CredentialId,
    record: &Record,
) -> Verdict<()> {
    let Some(credential) = one(tx.connection, person, id)? else {
        return Ok(Err(StoreError::NotFound));
    };
    counting_enrolled(tx, person.0, |tx| {
        let sql = "DELETE FROM credential WHERE person = ?1 AND id = ?2";
        tx.connection
            .prepare_cached(sql)?
            .execute(params![person.0, id.0])?;
        // Backup codes stand in for another factor; alone they would be the factor.
        let left = rows::credentials(tx.connection, person.0)?;
        if !left
            .iter()
            .any(|left| left.kind != Kind::BackupCodes && left.standing == Standing::Active)
        {
            let sql = "DELETE FROM credential WHERE person = ?1 AND kind = 'backup-codes'";
            tx.connection.prepare_cached(sql)?.execute([person.0])?;
        }
        // Whoever has stolen it may have used it.
        trust::forget(tx.connection, person)?;
        write_about(tx, record, credential.kind, &credential.name)?;
        Ok(Ok(()))
    })
}

/// See [`Store::reset_person`](crate::store::Store::reset_person).
pub(super) fn reset(tx: &mut Tx<'_>, person: PersonId, record: &Record) -> Verdict<()> {
    counting_enrolled(tx, person.0, |tx| {
        let sql = "DELETE FROM person WHERE id = ?1 AND id > 0";
        if tx.connection.prepare_cached(sql)?.execute([person.0])? != 1 {
            return Ok(Err(StoreError::NotFound));
        }
        trail::write(tx, record)?;
        Ok(Ok(()))
    })
}

/// See [`Store::unlock`](crate::store::Store::unlock).
pub(super) fn unlock(
    tx: &mut Tx<'_>,
    person: PersonId,
    clock: bool,
    now: Now,
    record: &Record,
) -> Verdict<()> {
    if person.0 <= RESERVED || !rows::exists(tx.connection, person.0)? {
        return Ok(Err(StoreError::NotFound));
    }
    tx.connection
        .prepare_cached("DELETE FROM ledger WHERE person = ?1")?
        .execute([person.0])?;
    if clock {
        rewind(tx.connection, person, now)?;
    }
    trail::write(tx, record)?;
    Ok(Ok(()))
}

/// Sets TOTP steps from the future back. A step's length is sealed; but steps are in proportion to the wall clock, and
/// when a step was stored is known: it is the time of last use, or that of creation.
fn rewind(connection: &Connection, person: PersonId, now: Now) -> rusqlite::Result<()> {
    for credential in rows::credentials(connection, person.0)?
        .iter()
        .filter(|credential| credential.kind == Kind::Totp)
    {
        let stored = credential.last_used.unwrap_or(credential.created);
        if stored <= now.wall || stored <= 0 || now.wall <= 0 {
            continue;
        }
        let current = i128::from(credential.moving) * i128::from(now.wall) / i128::from(stored);
        let Ok(current) = i64::try_from(current) else {
            continue;
        };
        connection
            .prepare_cached(
                "UPDATE credential SET moving = min(moving, ?3), last_used = min(last_used, ?4), created = min(created, ?4) \
                 WHERE person = ?1 AND id = ?2",
            )?
            .execute(params![person.0, credential.id.0, current, now.wall])?;
    }
    Ok(())
}

/// Runs `change` and keeps the number of enrolled people true to it.
fn counting_enrolled(
    tx: &mut Tx<'_>,
    person: i64,
    change: impl FnOnce(&mut Tx<'_>) -> Verdict<()>,
) -> Verdict<()> {
    let before = is_enrolled(tx.connection, person)?;
    let outcome = change(tx)?;
    let after = is_enrolled(tx.connection, person)?;
    if before != after {
        let sql = "UPDATE counter SET value = value + ?1 WHERE name = 'enrolled'";
        tx.connection
            .prepare_cached(sql)?
            .execute([i64::from(after) - i64::from(before)])?;
    }
    Ok(outcome)
}

fn is_enrolled(connection: &Connection, person: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM credential WHERE person = ?1 AND pending_until IS NULL")?
        .exists([person])
}

/// Removes what `new` replaces and what has expired. `false` if too many are pending.
fn make_room(tx: &Tx<'_>, person: i64, new: &NewCredential, now: Now) -> rusqlite::Result<bool> {
    tx.connection
        .prepare_cached(
            "DELETE FROM credential WHERE pending_until IS NOT NULL AND pending_until <= ?1",
        )?
        .execute([now.wall])?;
    let pending = new.standing != Standing::Active;
    if new.kind == Kind::BackupCodes {
        // A set that is only offered leaves the one in use alone until it is activated.
        let sql = "DELETE FROM credential WHERE person = ?1 AND kind = 'backup-codes' AND (NOT ?2 OR pending_until IS NOT NULL)";
        tx.connection
            .prepare_cached(sql)?
            .execute(params![person, pending])?;
    }
    if !pending {
        return Ok(true);
    }
    if new.kind != Kind::BackupCodes {
        let sql = "DELETE FROM credential WHERE person = ?1 AND id IN \
                   (SELECT id FROM credential WHERE person = ?1 AND pending_until IS NOT NULL AND kind <> 'backup-codes' \
                   ORDER BY ordinal DESC LIMIT -1 OFFSET ?2)";
        tx.connection
            .prepare_cached(sql)?
            .execute(params![person, MOST_WAITING - 1])?;
    }
    let count = "SELECT count(*) FROM credential WHERE pending_until IS NOT NULL";
    let waiting: i64 = tx
        .connection
        .prepare_cached(count)?
        .query_row([], |row| row.get(0))?;
    Ok(waiting < MOST_PENDING)
}

/// The name wanted, or the kind's word, numbered if taken; `None` if the name wanted is taken.
fn choose_name(present: &[Credential], new: &NewCredential) -> Option<String> {
    let taken = |name: &str| {
        present
            .iter()
            .any(|credential| folded(&credential.name) == folded(name))
    };
    if let Some(name) = new.name.as_deref().filter(|name| !name.is_empty()) {
        return (!taken(name)).then(|| name.to_owned());
    }
    let word = new.kind.word();
    let numbered = (2..=MOST_CREDENTIALS + 1).map(|number| format!("{word}-{number}"));
    std::iter::once(word.to_owned())
        .chain(numbered)
        .find(|name| !taken(name))
}

fn insert(
    tx: &Tx<'_>,
    person: i64,
    new: &NewCredential,
    name: &str,
    now: Now,
) -> rusqlite::Result<()> {
    let pending_until = match new.standing {
        Standing::Active => None,
        Standing::PendingUntil(until) => Some(until),
    };
    tx.connection
        .prepare_cached(
            "INSERT INTO credential (person, id, ordinal, kind, name, folded, created, pending_until, moving, sealed) \
             VALUES (?1, ?2, (SELECT ifnull(max(ordinal), 0) + 1 FROM credential WHERE person = ?1), ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            person,
            new.id.0,
            new.kind.word(),
            name,
            folded(name),
            now.wall,
            pending_until,
            new.moving,
            new.sealed
        ])?;
    let mut code = tx.connection.prepare_cached(
        "INSERT INTO backup_code (person, credential, number, digest) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (number, digest) in (0_u16..).zip(&new.codes) {
        code.execute(params![person, new.id.0, number, digest])?;
    }
    Ok(())
}

/// Writes the audit record of a change to one credential, and names that in it.
fn write_about(tx: &mut Tx<'_>, record: &Record, kind: Kind, name: &str) -> rusqlite::Result<()> {
    let mut record = record.clone();
    record
        .factor
        .get_or_insert_with(|| format!("{} {name}", kind.word()));
    trail::write(tx, &record)
}

fn one(
    connection: &Connection,
    person: PersonId,
    id: CredentialId,
) -> rusqlite::Result<Option<Credential>> {
    Ok(rows::credentials(connection, person.0)?
        .into_iter()
        .find(|credential| credential.id == id))
}

/// Names are compared without case, in any script.
fn folded(name: &str) -> String {
    name.to_lowercase()
}
