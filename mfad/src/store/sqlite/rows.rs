//! Reading people and their credentials. Every look-up goes by an index.

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};

use super::{Options, judge, schema::RESERVED};
use crate::{
    clock::Now,
    store::{
        Budget, Credential, CredentialId, Kind, Person, PersonId, PersonKey, Standing, StoreError,
    },
    throttle::Class,
};

/// Reads people as [`person_of`] takes them: those of whom the rest says so.
macro_rules! people {
    ($rest:literal) => {
        concat!(
            "SELECT id, realm, name, uid, last_login, failures_since, last_mfa, preferred, \
             (SELECT text FROM requirement WHERE person = id) FROM person ",
            $rest
        )
    };
}

/// The person of that name.
pub(super) fn find(
    connection: &Connection,
    realm: &str,
    name: &str,
) -> rusqlite::Result<Option<Person>> {
    let sql = people!("WHERE realm = ?1 AND name = ?2 AND id > 0");
    let found = connection
        .prepare_cached(sql)?
        .query_row(params![realm, name], person_of)
        .optional()?;
    found.map(|person| complete(connection, person)).transpose()
}

/// People after `after`, by name.
pub(super) fn list(
    connection: &Connection,
    realm: &str,
    after: &str,
    limit: u32,
) -> rusqlite::Result<Vec<Person>> {
    let sql = people!("WHERE realm = ?1 AND name > ?2 AND id > 0 ORDER BY name LIMIT ?3");
    let mut statement = connection.prepare_cached(sql)?;
    let people = statement.query_map(params![realm, after, limit], person_of)?;
    people.map(|person| complete(connection, person?)).collect()
}

/// People after `after`, by id.
pub(super) fn after(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> rusqlite::Result<Vec<Person>> {
    let sql = people!("WHERE id > ?1 ORDER BY id LIMIT ?2");
    let mut statement = connection.prepare_cached(sql)?;
    let people = statement.query_map(params![after, limit], person_of)?;
    people.map(|person| complete(connection, person?)).collect()
}

/// How many people have a credential in use: kept, never counted.
pub(super) fn enrolled(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT value FROM counter WHERE name = 'enrolled'";
    let count: i64 = connection
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))?;
    Ok(count.try_into().unwrap_or(0))
}

/// Whether there is such a person.
pub(super) fn exists(connection: &Connection, person: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM person WHERE id = ?1")?
        .exists([person])
}

/// A person's credentials, oldest first, with the codes of a backup set.
pub(super) fn credentials(
    connection: &Connection,
    person: i64,
) -> rusqlite::Result<Vec<Credential>> {
    let mut found: Vec<(i64, Credential)> = connection
        .prepare_cached(
            "SELECT id, kind, name, created, last_used, pending_until, moving, sealed, ordinal FROM credential WHERE person = ?1",
        )?
        .query_map([person], |row| Ok((row.get(8)?, credential_of(row)?)))?
        .collect::<rusqlite::Result<_>>()?;
    found.sort_by_key(|(ordinal, _)| *ordinal);
    let mut credentials: Vec<Credential> = found
        .into_iter()
        .map(|(_, credential)| credential)
        .collect();
    for set in credentials
        .iter_mut()
        .filter(|credential| credential.kind == Kind::BackupCodes)
    {
        set.codes = connection
            .prepare_cached(
                "SELECT number, digest FROM backup_code WHERE person = ?1 AND credential = ?2 ORDER BY number",
            )?
            .query_map(params![person, set.id.0], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
    }
    Ok(credentials)
}

/// A person's budgets, one for each class.
pub(super) fn budgets(
    connection: &Connection,
    options: &Options,
    person: i64,
    now: Now,
) -> rusqlite::Result<Result<Vec<Budget>, StoreError>> {
    if person <= RESERVED || !exists(connection, person)? {
        return Ok(Err(StoreError::NotFound));
    }
    let limits = &options.limits;
    let mut budgets = Vec::new();
    for class in Class::ALL {
        let Some(mut ledger) = judge::read_ledger(connection, person, class)? else {
            return Ok(Err(judge::unreadable_ledger()));
        };
        ledger.settle(now.steady);
        budgets.push(Budget {
            class,
            spent: ledger.spent(now.steady, limits),
            delays: ledger.delays(now.steady, limits),
            disabled: ledger.is_exhausted(now.steady, limits),
        });
    }
    Ok(Ok(budgets))
}

fn complete(connection: &Connection, mut person: Person) -> rusqlite::Result<Person> {
    person.credentials = credentials(connection, person.id.0)?;
    Ok(person)
}

fn person_of(row: &Row<'_>) -> rusqlite::Result<Person> {
    Ok(Person {
        id: PersonId(row.get(0)?),
        key: PersonKey {
            realm: row.get(1)?,
            name: row.get(2)?,
            uid: row.get(3)?,
        },
        credentials: Vec::new(),
        last_login: row.get(4)?,
        failures_since: row.get(5)?,
        last_mfa: row.get(6)?,
        preferred: row.get(7)?,
        requirement: row.get(8)?,
    })
}

fn credential_of(row: &Row<'_>) -> rusqlite::Result<Credential> {
    let word: String = row.get(1)?;
    let kind = Kind::from_word(&word).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            1,
            Type::Text,
            format!("unknown kind of credential {word:?}").into(),
        )
    })?;
    Ok(Credential {
        id: CredentialId(row.get(0)?),
        kind,
        name: row.get(2)?,
        created: row.get(3)?,
        last_used: row.get(4)?,
        standing: row
            .get::<_, Option<i64>>(5)?
            .map_or(Standing::Active, Standing::PendingUntil),
        moving: row.get(6)?,
        sealed: row.get(7)?,
        codes: Vec::new(),
    })
}
