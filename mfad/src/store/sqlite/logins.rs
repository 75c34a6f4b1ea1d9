//! What a completed login leaves behind: its date, its source as a trusted one, and a line of history.

use rusqlite::{OptionalExtension, params};

use super::{history, trust, writer::Tx};
use crate::{
    store::{Lesson, Login},
    throttle::SourceKey,
};

/// How old a trusted source's row gets before it is written again, in seconds.
const TRUST_REFRESH: i64 = 86_400;
/// Most sources from which one person is trusted.
const MOST_TRUSTED: i64 = 64;

/// Notes a login completed `times` times. See [`Store::record_login`](crate::store::Store::record_login).
pub(super) fn note_login(tx: &mut Tx<'_>, login: &Login, times: u32) -> rusqlite::Result<()> {
    let person = login.person.0;
    let proven = login.lesson == Lesson::Proven;
    // The clock counts as it is: after one that had run ahead, a date from the future would hide how long it has been.
    let sql = "UPDATE person SET last_login = ?2, last_mfa = CASE WHEN ?3 THEN ?2 ELSE last_mfa END, \
               failures_since = CASE WHEN ?3 THEN 0 ELSE failures_since END WHERE id = ?1 AND id > 0";
    if tx
        .connection
        .prepare_cached(sql)?
        .execute(params![person, login.now.wall, proven])?
        != 1
    {
        return Ok(());
    }
    if let Some(device) = login.remembered {
        trust::used(tx.connection, login.person, device, login.now)?;
    }
    history::note(tx, login, times)?;
    if proven {
        trust_source(tx, login)?;
    }
    Ok(())
}

fn trust_source(tx: &Tx<'_>, login: &Login) -> rusqlite::Result<()> {
    let person = login.person.0;
    let Some(source) = SourceKey::of(login.place).filter(SourceKey::is_known) else {
        return Ok(());
    };
    let now = login.now.steady;
    let last: Option<i64> = tx
        .connection
        .prepare_cached("SELECT last FROM trusted_source WHERE person = ?1 AND source = ?2")?
        .query_row(params![person, source.as_bytes()], |row| row.get(0))
        .optional()?;
    if last.is_some_and(|last| last <= now && now - last < TRUST_REFRESH) {
        return Ok(());
    }
    tx.connection
        .prepare_cached(
            "INSERT INTO trusted_source (person, source, last) VALUES (?1, ?2, ?3) \
             ON CONFLICT (person, source) DO UPDATE SET last = excluded.last",
        )?
        .execute(params![person, source.as_bytes(), now])?;
    tx.connection
        .prepare_cached(
            "DELETE FROM trusted_source WHERE person = ?1 AND (last <= ?2 OR source NOT IN \
             (SELECT source FROM trusted_source WHERE person = ?1 ORDER BY last DESC LIMIT ?3))",
        )?
        .execute(params![
            person,
            now.saturating_sub(tx.options.limits.window),
            MOST_TRUSTED
        ])
        .map(drop)
}
