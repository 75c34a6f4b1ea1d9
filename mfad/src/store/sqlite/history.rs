//! What is remembered of a person's logins and of failures: written with a completed login, read for a decision.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Options, judge,
    schema::RESERVED,
    writer::{Memory, Tx},
};
use crate::{
    clock::Now,
    location::Country,
    risk::{Failures, Habit, History, KnownDevice, Mark, Network},
    store::{Lesson, Login, Recollection, StoreError},
    throttle::{Class, Lane, Place, SourceKey, SourceLimit},
};

/// What a row of `history` is of.
const NETWORK: i64 = 1;
const COUNTRY: i64 = 2;
const DEVICE: i64 = 3;
/// Most rows of one kind that one person has.
const MOST: i64 = 64;
/// How old a row gets before it is written again, in seconds.
const REFRESH: i64 = 86_400;
/// Most people whose expired rows one sweep deletes.
const SWEEP: i64 = 256;
/// Length of the ring of minutes in which failures are counted.
const RING: i64 = 60;

/// Learns from a login completed `times` times.
pub(super) fn note(tx: &mut Tx<'_>, login: &Login, times: u32) -> rusqlite::Result<()> {
    let now = login.now.wall;
    let since = now.saturating_sub(tx.options.history_keep);
    let person = login.person.0;
    let mut habit = habit(tx.connection, person)?;
    let teaches = login.lesson != Lesson::Nothing;
    habit.note(now, times, teaches, login.circumstances.position, since);
    tx.connection
        .prepare_cached(
            "INSERT INTO habit (person, last, bytes) VALUES (?1, ?2, ?3) \
             ON CONFLICT (person) DO UPDATE SET last = excluded.last, bytes = excluded.bytes",
        )?
        .execute(params![person, now, habit.encode()])?;
    if !teaches {
        return Ok(());
    }
    let known = &login.circumstances;
    let network = known.network.as_ref().map(Network::as_bytes);
    let country = known
        .country
        .as_ref()
        .map(|country| country.as_str().as_bytes());
    let device = known.device.map(|device| device.0);
    for (kind, value) in [
        (NETWORK, network),
        (COUNTRY, country),
        (DEVICE, device.as_ref().map(<[u8; 32]>::as_slice)),
    ] {
        if let Some(value) = value {
            learn(tx, login, kind, value, since)?;
        }
    }
    Ok(())
}

fn learn(tx: &Tx<'_>, login: &Login, kind: i64, value: &[u8], since: i64) -> rusqlite::Result<()> {
    let (person, now) = (login.person.0, login.now.wall);
    let proven = login.lesson == Lesson::Proven;
    let known: Option<(i64, bool)> = tx
        .connection
        .prepare_cached(
            "SELECT last, proven FROM history WHERE person = ?1 AND kind = ?2 AND value = ?3",
        )?
        .query_row(params![person, kind, value], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    if known
        .is_some_and(|(last, before)| last <= now && now - last < REFRESH && (before || !proven))
    {
        return Ok(());
    }
    // What had expired begins anew: that a factor was proven then counts no more.
    let proven = proven || known.is_some_and(|(last, before)| before && last > since);
    tx.connection
        .prepare_cached(
            "INSERT INTO history (person, kind, value, last, proven) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (person, kind, value) DO UPDATE SET last = excluded.last, proven = excluded.proven",
        )?
        .execute(params![person, kind, value, now, proven])?;
    // Those with a proof stay before those without, so that nobody without a factor pushes them out.
    tx.connection
        .prepare_cached(
            "DELETE FROM history WHERE person = ?1 AND kind = ?2 AND (last <= ?3 OR value NOT IN \
             (SELECT value FROM history WHERE person = ?1 AND kind = ?2 ORDER BY proven DESC, last DESC LIMIT ?4))",
        )?
        .execute(params![person, kind, since, MOST])
        .map(drop)
}

/// See [`Store::recall`](crate::store::Store::recall).
pub(super) fn recall(
    connection: &Connection,
    options: &Options,
    person: i64,
    place: Place,
    now: Now,
) -> rusqlite::Result<Result<Recollection, StoreError>> {
    let sql = "SELECT last_login, last_mfa FROM person WHERE id = ?1 AND id > 0";
    let dates: Option<(Option<i64>, Option<i64>)> = connection
        .prepare_cached(sql)?
        .query_row([person], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // Nobody is looked up like anybody, so that time tells nothing.
    let (last_login, last_mfa) = dates.unwrap_or_default();
    let mut history = History {
        habit: habit(connection, person)?,
        last_login,
        last_mfa,
        ..History::default()
    };
    let since = now.wall.saturating_sub(options.history_keep);
    let mut statement = connection.prepare_cached(
        "SELECT kind, value, proven FROM history WHERE person = ?1 AND last > ?2",
    )?;
    let mut rows = statement.query(params![person, since])?;
    while let Some(row) = rows.next()? {
        let (kind, value) = (row.get(0)?, row.get_ref(1)?.as_blob()?);
        match kind {
            NETWORK => history.networks.extend(Network::from_bytes(value)),
            COUNTRY => history
                .countries
                .extend(std::str::from_utf8(value).ok().and_then(Country::new)),
            DEVICE => {
                let proven = row.get(2)?;
                let mark = value.try_into().map(Mark).ok();
                history
                    .devices
                    .extend(mark.map(|mark| KnownDevice { mark, proven }));
            }
            _ => {}
        }
    }
    let failures = failures(connection, options, person, place, now)?;
    Ok(dates
        .map_or(Err(StoreError::NotFound), |_| failures)
        .map(|failures| Recollection { history, failures }))
}

/// A habit that cannot be read is none: it is learned anew.
fn habit(connection: &Connection, person: i64) -> rusqlite::Result<Habit> {
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT bytes FROM habit WHERE person = ?1")?
        .query_row([person], |row| row.get(0))
        .optional()?;
    Ok(bytes
        .and_then(|bytes| Habit::decode(&bytes))
        .unwrap_or_default())
}

fn failures(
    connection: &Connection,
    options: &Options,
    person: i64,
    place: Place,
    now: Now,
) -> rusqlite::Result<Result<Failures, StoreError>> {
    let mut of_user = 0_u32;
    for class in Class::ALL {
        let Some(mut ledger) = judge::read_ledger(connection, person, class)? else {
            return Ok(Err(judge::unreadable_ledger()));
        };
        ledger.settle(now.steady);
        of_user = of_user.saturating_add(ledger.recent(now.steady, options.failure_window));
    }
    let key = SourceKey::of(place).filter(SourceKey::is_known);
    let lane = judge::lane(connection, person, place, key, now, &options.limits)?;
    let state = match key.filter(|_| lane == Lane::Other) {
        Some(key) => judge::read_source(connection, key)?,
        None => None,
    };
    let limit = SourceLimit::of(&options.limits);
    Ok(Ok(Failures {
        user: of_user,
        source: state.map_or(0, |clear_at| limit.owed(clear_at, now.steady)),
        everywhere: everywhere(connection, options, now.steady)?,
    }))
}

/// Counts a failure of anybody, in the ring of minutes.
pub(super) fn count_failure(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    let minute = now.div_euclid(60);
    connection
        .prepare_cached(
            "INSERT INTO failure (slot, minute, count) VALUES (?1, ?2, 1) ON CONFLICT (slot) DO UPDATE SET \
             count = CASE minute WHEN excluded.minute THEN count + 1 ELSE 1 END, minute = excluded.minute",
        )?
        .execute([minute.rem_euclid(RING), minute])
        .map(drop)
}

/// Sixty rows at most, whoever many people there are.
fn everywhere(connection: &Connection, options: &Options, now: i64) -> rusqlite::Result<u32> {
    let minute = now.div_euclid(60);
    let minutes = options.failure_window.div_euclid(60).clamp(1, RING);
    let count: i64 = connection
        .prepare_cached(
            "SELECT ifnull(sum(count), 0) FROM failure WHERE minute > ?1 AND minute <= ?2",
        )?
        .query_row([minute.saturating_sub(minutes), minute], |row| row.get(0))?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Deletes what has expired of the next people's histories, devices and proofs, at most [`SWEEP`] of them. Reading does
/// not need it; whoever never comes back would otherwise be remembered for ever.
pub(super) fn sweep(
    connection: &Connection,
    options: Options,
    memory: &mut Memory,
) -> rusqlite::Result<()> {
    let Some(now) = memory.audit_time else {
        return Ok(());
    };
    let last: Option<i64> = connection
        .prepare_cached(
            "SELECT max(id) FROM (SELECT id FROM person WHERE id > ?1 ORDER BY id LIMIT ?2)",
        )?
        .query_row([memory.swept, SWEEP], |row| row.get(0))?;
    let first = memory.swept;
    let Some(last) = last else {
        memory.swept = RESERVED;
        return Ok(());
    };
    memory.swept = last;
    let since = now.saturating_sub(options.history_keep);
    for (sql, limit) in [
        (
            "DELETE FROM history WHERE person > ?1 AND person <= ?2 AND last <= ?3",
            since,
        ),
        (
            "DELETE FROM habit WHERE person > ?1 AND person <= ?2 AND last <= ?3",
            since,
        ),
        (
            "DELETE FROM device WHERE person > ?1 AND person <= ?2 AND expires <= ?3",
            now,
        ),
        (
            "DELETE FROM proof WHERE person > ?1 AND person <= ?2 AND time <= ?3",
            now.saturating_sub(super::trust::PROOF_KEEP),
        ),
    ] {
        connection
            .prepare_cached(sql)?
            .execute([first, last, limit])?;
    }
    Ok(())
}
