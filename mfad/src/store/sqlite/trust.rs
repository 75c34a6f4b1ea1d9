//! Remembered devices, and what was proven in login sessions. Every look-up goes by the person's own rows.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{rows, schema::RESERVED, trail, writer::Tx};
use crate::{
    audit::Record,
    clock::Now,
    store::{Device, DeviceId, MOST_DEVICES, NewDevice, PersonId, Proof, SessionKey, StoreError},
};

/// Longest life of a remembered device, in seconds.
const LONGEST_LIFE: i64 = 366 * 86_400;
/// How long proofs are kept, in seconds.
pub(super) const PROOF_KEEP: i64 = 7 * 86_400;
/// Most proofs of one person, over all sessions.
const MOST_PROOFS: i64 = 64;
/// Most kinds proven at once, and the longest word for one.
const MOST_KINDS: usize = 8;
const LONGEST_KIND: usize = 64;
/// Most devices that one look-up asks for.
const MOST_ASKED: usize = 32;

type Verdict<T> = rusqlite::Result<Result<T, StoreError>>;

/// See [`Store::remember_device`](crate::store::Store::remember_device).
pub(super) fn remember(
    tx: &mut Tx<'_>,
    person: PersonId,
    device: &NewDevice,
    now: Now,
    record: &Record,
) -> Verdict<()> {
    if person.0 <= RESERVED || !rows::exists(tx.connection, person.0)? {
        return Ok(Err(StoreError::NotFound));
    }
    let expires = now
        .wall
        .saturating_add(device.lifetime.clamp(1, LONGEST_LIFE));
    tx.connection
        .prepare_cached(
            "INSERT INTO device (person, id, label, created, expires) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (person, id) DO UPDATE SET created = excluded.created, expires = excluded.expires, last_used = NULL",
        )?
        .execute(params![
            person.0,
            device.binding.id().0,
            device.binding.label(),
            now.wall,
            expires
        ])?;
    tx.connection
        .prepare_cached(
            "DELETE FROM device WHERE person = ?1 AND (expires <= ?2 OR id NOT IN \
             (SELECT id FROM device WHERE person = ?1 ORDER BY id = ?3 DESC, created DESC LIMIT ?4))",
        )?
        .execute(params![person.0, now.wall, device.binding.id().0, MOST_DEVICES])?;
    trail::write(tx, record)?;
    Ok(Ok(()))
}

/// See [`Store::find_devices`](crate::store::Store::find_devices).
pub(super) fn find(
    connection: &Connection,
    person: PersonId,
    devices: &[DeviceId],
    now: Now,
) -> rusqlite::Result<Vec<Device>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, label, created, expires, last_used FROM device \
         WHERE person = ?1 AND id = ?2 AND created <= ?3 AND expires > ?3",
    )?;
    let mut found = Vec::new();
    for device in devices.iter().take(MOST_ASKED) {
        let one = statement
            .query_row(params![person.0, device.0, now.wall], device_of)
            .optional()?;
        found.extend(one);
    }
    Ok(found)
}

/// See [`Store::list_devices`](crate::store::Store::list_devices).
pub(super) fn list(
    connection: &Connection,
    person: PersonId,
    now: Now,
) -> rusqlite::Result<Vec<Device>> {
    connection
        .prepare_cached(
            "SELECT id, label, created, expires, last_used FROM device WHERE person = ?1 AND expires > ?2 \
             ORDER BY created, id",
        )?
        .query_map(params![person.0, now.wall], device_of)?
        .collect()
}

/// See [`Store::revoke_device`](crate::store::Store::revoke_device).
pub(super) fn revoke(
    tx: &mut Tx<'_>,
    person: PersonId,
    device: DeviceId,
    record: &Record,
) -> Verdict<()> {
    let sql = "DELETE FROM device WHERE person = ?1 AND id = ?2";
    let revoked = tx
        .connection
        .prepare_cached(sql)?
        .execute(params![person.0, device.0])?;
    if revoked != 1 {
        return Ok(Err(StoreError::NotFound));
    }
    trail::write(tx, record)?;
    Ok(Ok(()))
}

/// See [`Store::revoke_devices`](crate::store::Store::revoke_devices).
pub(super) fn revoke_all(tx: &mut Tx<'_>, person: PersonId, record: &Record) -> Verdict<u32> {
    let (devices, proofs) = forget(tx.connection, person)?;
    if devices + proofs > 0 {
        trail::write(tx, record)?;
    }
    Ok(Ok(u32::try_from(devices).unwrap_or(u32::MAX)))
}

/// Forgets a person's devices and proofs, and says how many there were of each.
pub(super) fn forget(
    connection: &Connection,
    person: PersonId,
) -> rusqlite::Result<(usize, usize)> {
    let delete = |sql| connection.prepare_cached(sql)?.execute([person.0]);
    Ok((
        delete("DELETE FROM device WHERE person = ?1")?,
        delete("DELETE FROM proof WHERE person = ?1")?,
    ))
}

/// Notes that a device stood for a proof.
pub(super) fn used(
    connection: &Connection,
    person: PersonId,
    device: DeviceId,
    now: Now,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE device SET last_used = ?3 WHERE person = ?1 AND id = ?2")?
        .execute(params![person.0, device.0, now.wall])
        .map(drop)
}

/// See [`Store::record_proof`](crate::store::Store::record_proof).
pub(super) fn prove(
    tx: &mut Tx<'_>,
    person: PersonId,
    session: SessionKey,
    kinds: &[String],
    now: Now,
) -> Verdict<()> {
    if kinds.len() > MOST_KINDS || kinds.iter().any(|kind| kind.len() > LONGEST_KIND) {
        return Ok(Err(StoreError::Full));
    }
    if person.0 <= RESERVED || !rows::exists(tx.connection, person.0)? {
        return Ok(Err(StoreError::NotFound));
    }
    for kind in kinds {
        tx.connection
            .prepare_cached(
                "INSERT INTO proof (person, session, kind, time, booted) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (person, session, kind) DO UPDATE SET time = excluded.time, booted = excluded.booted",
            )?
            .execute(params![person.0, session.0, kind, now.wall, now.boot])?;
    }
    tx.connection
        .prepare_cached("DELETE FROM proof WHERE person = ?1 AND (time <= ?2 OR time > ?3)")?
        .execute(params![
            person.0,
            now.wall.saturating_sub(PROOF_KEEP),
            now.wall
        ])?;
    tx.connection
        .prepare_cached(
            "DELETE FROM proof WHERE person = ?1 AND (session, kind) NOT IN \
             (SELECT session, kind FROM proof WHERE person = ?1 ORDER BY time DESC, session = ?2 DESC LIMIT ?3)",
        )?
        .execute(params![person.0, session.0, MOST_PROOFS])?;
    Ok(Ok(()))
}

/// See [`Store::proofs`](crate::store::Store::proofs).
pub(super) fn proofs(
    connection: &Connection,
    person: PersonId,
    session: SessionKey,
    now: Now,
) -> rusqlite::Result<Vec<Proof>> {
    connection
        .prepare_cached(
            "SELECT kind, time, booted FROM proof WHERE person = ?1 AND session = ?2 AND time <= ?3 AND time > ?4",
        )?
        .query_map(
            params![
                person.0,
                session.0,
                now.wall,
                now.wall.saturating_sub(PROOF_KEEP)
            ],
            |row| {
                Ok(Proof {
                    kind: row.get(0)?,
                    at: row.get(1)?,
                    booted: row.get(2)?,
                })
            },
        )?
        .collect()
}

fn device_of(row: &Row<'_>) -> rusqlite::Result<Device> {
    Ok(Device {
        id: DeviceId(row.get(0)?),
        label: row.get(1)?,
        created: row.get(2)?,
        expires: row.get(3)?,
        last_used: row.get(4)?,
    })
}
