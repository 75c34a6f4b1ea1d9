//! The audit trail's rows: written with what they tell of, read by filter, pruned in small steps.

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::{
    Options,
    writer::{Memory, Tx},
};
use crate::{audit::Record, store::AuditFilter};

/// Writes the newest records over themselves, and so more pages than a login does: where a log has a block or two left,
/// a smaller write would succeed that says nothing about logins.
pub(super) fn rewrite(connection: &Connection) -> rusqlite::Result<()> {
    let counter = "UPDATE counter SET value = value WHERE name = 'enrolled'";
    connection.prepare_cached(counter)?.execute([])?;
    let newest = "UPDATE audit SET time = time WHERE seq > (SELECT max(seq) FROM audit) - 64";
    connection.prepare_cached(newest)?.execute([]).map(drop)
}

/// Most records that one answer holds.
const MOST_READ: u32 = 1000;
/// Most records that one pruning deletes.
const STEP: u32 = 512;

/// Writes `record` in the transaction of what it tells of.
pub(super) fn write(tx: &mut Tx<'_>, record: &Record) -> rusqlite::Result<()> {
    let user = record.user.as_deref().map(mfad_protocol::printable);
    tx.connection
        .prepare_cached("INSERT INTO audit (time, user, record) VALUES (?1, ?2, ?3)")?
        .execute(params![record.time, user, record.json()])?;
    tx.memory.audit_time = tx.memory.audit_time.max(Some(record.time));
    Ok(())
}

/// The newest records that pass `filter`, oldest first.
pub(super) fn read(
    connection: &Connection,
    filter: &AuditFilter,
) -> rusqlite::Result<Vec<(i64, i64, String)>> {
    // Two statements, so that each has its index: all, or one user's.
    let sql = if filter.user.is_some() {
        "SELECT seq, time, record FROM audit WHERE user = :user AND seq > :after AND seq < :before \
         AND time >= :since ORDER BY seq DESC LIMIT :limit"
    } else {
        "SELECT seq, time, record FROM audit WHERE :user IS NULL AND seq > :after AND seq < :before \
         AND time >= :since ORDER BY seq DESC LIMIT :limit"
    };
    let mut records = connection
        .prepare_cached(sql)?
        .query_map(
            named_params! {
                ":user": filter.user.as_deref().map(mfad_protocol::printable),
                ":after": filter.after.unwrap_or(0),
                ":before": filter.before.unwrap_or(i64::MAX),
                ":since": filter.since.unwrap_or(i64::MIN),
                ":limit": filter.limit.clamp(1, MOST_READ),
            },
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    records.reverse();
    Ok(records)
}

/// Deletes the oldest records that are too many or too old, at most [`STEP`] of them. The newest always stays: the next
/// sequence number follows from it.
pub(super) fn prune(
    connection: &Connection,
    options: Options,
    memory: &Memory,
) -> rusqlite::Result<()> {
    let Some(now) = memory.audit_time else {
        return Ok(());
    };
    let one = |sql: &str| -> rusqlite::Result<Option<i64>> {
        connection
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))
            .optional()
            .map(Option::flatten)
    };
    // Two look-ups: one statement with both would scan the table.
    let (Some(oldest), Some(newest)) = (
        one("SELECT min(seq) FROM audit")?,
        one("SELECT max(seq) FROM audit")?,
    ) else {
        return Ok(());
    };
    let too_many = newest.saturating_sub(i64::from(options.audit_records.max(1)));
    let last = oldest.saturating_add(i64::from(STEP)).min(newest) - 1;
    connection
        .prepare_cached("DELETE FROM audit WHERE seq <= ?1 AND (seq <= ?2 OR time < ?3)")?
        .execute(params![
            last,
            too_many,
            now.saturating_sub(options.audit_keep)
        ])?;
    Ok(())
}
