//! Judging one answer in one transaction: admit, examine, consume or charge, record.
//!
//! Unknown people, refused attempts and wrong codes read and write alike, so that time tells nothing: what has no row
//! of its own uses the reserved person's.

use rusqlite::{Connection, OptionalExtension, params};

use super::{history, rows, schema::RESERVED, trail, writer::Tx};
use crate::{
    audit::Event,
    clock::Now,
    store::{
        Attempt, Credential, CredentialId, Guess, Judgement, Kind, Match, Standing, StoreError,
    },
    throttle::{Class, Lane, Ledger, Limits, Place, Refusal, SourceKey, SourceLimit},
};

/// Failures that the reserved person's ledger holds at most: about as many as a person's who is being guessed at.
const RESERVED_FAILURES: usize = 8;
/// Seconds between two looks for sources that can be forgotten, while their table is full.
const SOURCE_PRUNING: i64 = 60;

/// An attempt with what the database says about it.
struct Case<'a> {
    attempt: &'a Attempt,
    /// Row that is read and written; the reserved one for somebody unknown.
    person: i64,
    lane: Lane,
    /// The source to charge, with its state: for untrusted remote places only.
    source: Option<(SourceKey, Option<i64>)>,
    ledger: Ledger,
    /// The ledger differs from its row.
    ledger_changed: bool,
    /// In use, of the attempt's class.
    credentials: Vec<Credential>,
}

/// What an attempt came to, with the word for the audit record.
enum Outcome {
    Granted(Kind, String),
    Wrong,
    Replayed,
    Cloned(Kind, String),
    Refused(Refusal),
}

/// Does all of it. See [`Store::judge`](crate::store::Store::judge).
pub(super) fn judge(
    tx: &mut Tx<'_>,
    attempt: &Attempt,
    guess: &mut dyn Guess,
) -> rusqlite::Result<Result<Judgement, StoreError>> {
    let limits = tx.options.limits;
    let now = attempt.now.steady;
    let Some(mut case) = Case::open(tx, attempt)? else {
        return Ok(Err(unreadable_ledger()));
    };
    case.ledger_changed = case.ledger.settle(now);
    // Without failures there is room for any answer, and no need to reckon what it could cost.
    let units = if case.ledger.is_empty() {
        1
    } else {
        guess.cost(&case.credentials).max(1)
    };
    let outcome = match case.refusal(tx, units)? {
        Some(refusal) => {
            // The same work, with nothing to find.
            let _nothing = guess.examine(&[]);
            Outcome::Refused(refusal)
        }
        None => match guess.examine(&case.credentials) {
            Some(matched) => case.consume(tx, matched)?,
            None => Outcome::Wrong,
        },
    };
    if !matches!(outcome, Outcome::Granted(..) | Outcome::Refused(_)) {
        let units = guess.cost(&case.credentials).max(1);
        case.charge(tx, units, &limits)?;
    }
    if case.ledger_changed {
        write_ledger(tx.connection, case.person, attempt.class, &case.ledger)?;
    }
    case.record(tx, &outcome)?;
    Ok(Ok(match outcome {
        Outcome::Granted(kind, name) => Judgement::Accepted { kind, name },
        Outcome::Wrong | Outcome::Replayed => Judgement::Wrong,
        Outcome::Cloned(kind, name) => Judgement::Cloned { kind, name },
        Outcome::Refused(refusal) => Judgement::NotEvaluated(refusal),
    }))
}

impl<'a> Case<'a> {
    /// Reads what there is; `None` if the ledger is damaged.
    fn open(tx: &Tx<'_>, attempt: &'a Attempt) -> rusqlite::Result<Option<Self>> {
        let connection = tx.connection;
        let mut person = attempt.person.map_or(RESERVED, |person| person.0);
        let mut credentials = rows::credentials(connection, person)?;
        if credentials.is_empty() && !rows::exists(connection, person)? {
            // Reset since the caller looked: by now as unknown as anybody.
            person = RESERVED;
        }
        credentials.retain(|credential| {
            credential.standing == Standing::Active && credential.kind.class() == attempt.class
        });
        let Some(ledger) = read_ledger(connection, person, attempt.class)? else {
            return Ok(None);
        };
        let key = SourceKey::of(attempt.place);
        let lane = lane(
            connection,
            person,
            attempt.place,
            key,
            attempt.now,
            &tx.options.limits,
        )?;
        // A key is no guess: what a source has done to codes keeps no key out, and no key's failure keeps codes out.
        let charged = lane == Lane::Other && attempt.class != Class::Key;
        let source = match key.filter(|_| charged) {
            Some(key) => Some((key, read_source(connection, key)?)),
            None => None,
        };
        Ok(Some(Self {
            attempt,
            person,
            lane,
            source,
            ledger,
            ledger_changed: false,
            credentials,
        }))
    }

    fn refusal(&self, tx: &mut Tx<'_>, units: u32) -> rusqlite::Result<Option<Refusal>> {
        let limits = tx.options.limits;
        let now = self.attempt.now.steady;
        if let Some((key, state)) = self.source {
            let limit = SourceLimit::of(&limits);
            let clear_at = state.unwrap_or(now);
            if sources_are_full(tx, now)? {
                return Ok(Some(Refusal::Source));
            }
            if !limit.admits(clear_at, now) {
                let settled = limit.settled(clear_at, now);
                if settled != clear_at {
                    // The clock was set back: the debt runs off from now on.
                    write_source(tx.connection, key, settled)?;
                }
                return Ok(Some(Refusal::Source));
            }
        }
        if self.person == RESERVED {
            return Ok(None);
        }
        Ok(self.ledger.admit(self.lane, units, now, &limits).err())
    }

    /// Spends what matched. What is spent already was a replay.
    fn consume(&mut self, tx: &Tx<'_>, matched: Match) -> rusqlite::Result<Outcome> {
        let id = matched.credential();
        // Only what was shown to the guess can have matched.
        let Some(credential) = self
            .credentials
            .iter()
            .find(|credential| credential.id == id)
        else {
            return Ok(Outcome::Wrong);
        };
        let is_key = credential.kind.class() == Class::Key;
        let spent = match (matched, credential.kind) {
            (Match::Advance { to, .. }, Kind::Totp | Kind::Hotp) => self.advance(tx, id, to)?,
            (Match::Burn { index, .. }, Kind::BackupCodes) => self.burn(tx, id, index)?,
            (Match::Counter { to, .. }, _) if is_key => {
                if self.count(tx, id, to)? != 1 {
                    return Ok(Outcome::Cloned(credential.kind, credential.name.clone()));
                }
                1
            }
            (Match::Vouched { .. }, _) if is_key => self.touch(tx, id)?,
            _ => return Ok(Outcome::Wrong),
        };
        if spent != 1 {
            return Ok(Outcome::Replayed);
        }
        self.ledger_changed |= self.ledger.clear_delay(self.lane, self.attempt.now.steady);
        Ok(Outcome::Granted(credential.kind, credential.name.clone()))
    }

    fn advance(&self, tx: &Tx<'_>, id: CredentialId, to: i64) -> rusqlite::Result<usize> {
        let sql = "UPDATE credential SET moving = ?1, last_used = ?2 WHERE person = ?3 AND id = ?4 AND moving < ?1";
        tx.connection.prepare_cached(sql)?.execute(params![
            to,
            self.attempt.now.wall,
            self.person,
            id.0
        ])
    }

    fn burn(&self, tx: &Tx<'_>, id: CredentialId, index: u16) -> rusqlite::Result<usize> {
        let sql = "DELETE FROM backup_code WHERE person = ?1 AND credential = ?2 AND number = ?3";
        let burnt =
            tx.connection
                .prepare_cached(sql)?
                .execute(params![self.person, id.0, index])?;
        if burnt == 1 {
            self.touch(tx, id)?;
        }
        Ok(burnt)
    }

    /// A key that has never counted stays at 0; one that has never goes back to it.
    fn count(&self, tx: &Tx<'_>, id: CredentialId, to: i64) -> rusqlite::Result<usize> {
        let sql = "UPDATE credential SET moving = ?1, last_used = ?2 WHERE person = ?3 AND id = ?4 \
                   AND (moving < ?1 OR (moving = 0 AND ?1 = 0))";
        tx.connection.prepare_cached(sql)?.execute(params![
            to,
            self.attempt.now.wall,
            self.person,
            id.0
        ])
    }

    fn touch(&self, tx: &Tx<'_>, id: CredentialId) -> rusqlite::Result<usize> {
        let sql = "UPDATE credential SET last_used = ?1 WHERE person = ?2 AND id = ?3";
        tx.connection.prepare_cached(sql)?.execute(params![
            self.attempt.now.wall,
            self.person,
            id.0
        ])
    }

    fn charge(&mut self, tx: &mut Tx<'_>, units: u32, limits: &Limits) -> rusqlite::Result<()> {
        let now = self.attempt.now.steady;
        if self.person == RESERVED && self.ledger.len() >= RESERVED_FAILURES {
            self.ledger = Ledger::new(self.attempt.class);
        }
        self.ledger.charge(self.lane, units, now, limits);
        self.ledger_changed = true;
        let failed = "UPDATE person SET failures_since = failures_since + 1 WHERE id = ?1";
        tx.connection
            .prepare_cached(failed)?
            .execute([self.person])?;
        // What anybody can bring about as often as they like with an agent of their own is no sign for everybody else.
        if self.attempt.class != Class::Key {
            history::count_failure(tx.connection, now)?;
        }
        if let Some((key, state)) = self.source {
            let charged = SourceLimit::of(limits).charged(state.unwrap_or(now), now);
            write_source(tx.connection, key, charged)?;
            if let (None, Some(sources)) = (state, tx.memory.sources.as_mut()) {
                *sources += 1;
            }
        }
        Ok(())
    }

    fn record(&self, tx: &mut Tx<'_>, outcome: &Outcome) -> rusqlite::Result<()> {
        let mut record = self.attempt.record.clone();
        record.outcome = match outcome {
            Outcome::Granted(kind, name) => {
                record
                    .factor
                    .get_or_insert_with(|| format!("{} {name}", kind.word()));
                if self.attempt.completes {
                    "granted"
                } else {
                    "accepted"
                }
            }
            Outcome::Wrong => "wrong",
            Outcome::Replayed => "replayed",
            Outcome::Cloned(kind, name) => {
                record.event = Event::Alarm;
                record.factor = Some(format!("{} {name}", kind.word()));
                "cloned"
            }
            Outcome::Refused(Refusal::Delayed(_)) => "delayed",
            Outcome::Refused(Refusal::Exhausted) => "exhausted",
            Outcome::Refused(Refusal::Source) => "source-limited",
        }
        .into();
        if !matches!(outcome, Outcome::Refused(_)) {
            return trail::write(tx, &record);
        }
        // Refused attempts cost a guesser nothing: one record a person and minute, so that they do not fill the disk.
        let minute = self.attempt.now.wall.div_euclid(60);
        let note = "UPDATE person SET refused = CASE refused_minute WHEN ?2 THEN refused + 1 ELSE 0 END, \
                    refused_minute = ?2 WHERE id = ?1";
        let before: (i64, i64) = tx
            .connection
            .prepare_cached("SELECT refused_minute, refused FROM person WHERE id = ?1")?
            .query_row([self.person], |row| Ok((row.get(0)?, row.get(1)?)))?;
        tx.connection
            .prepare_cached(note)?
            .execute(params![self.person, minute])?;
        if before.0 == minute {
            return Ok(());
        }
        if before.1 > 0 {
            record.detail = Some(format!(
                "{} more were refused in the minute of the last such record",
                before.1
            ));
        }
        trail::write(tx, &record)
    }
}

/// Which lane an attempt is in: a remote place is trusted if the person completed a login from there not long ago.
pub(super) fn lane(
    connection: &Connection,
    person: i64,
    place: Place,
    source: Option<SourceKey>,
    now: Now,
    limits: &Limits,
) -> rusqlite::Result<Lane> {
    let Some(source) = source else {
        return Ok(if place == Place::Local {
            Lane::Local
        } else {
            Lane::SelfService
        });
    };
    let last: Option<i64> = connection
        .prepare_cached("SELECT last FROM trusted_source WHERE person = ?1 AND source = ?2")?
        .query_row(params![person, source.as_bytes()], |row| row.get(0))
        .optional()?;
    let trusted = last.is_some_and(|last| now.steady.saturating_sub(last) < limits.window);
    Ok(if trusted { Lane::Trusted } else { Lane::Other })
}

/// The person's ledger; `None` if its bytes are damaged.
pub(super) fn read_ledger(
    connection: &Connection,
    person: i64,
    class: Class,
) -> rusqlite::Result<Option<Ledger>> {
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT failures FROM ledger WHERE person = ?1 AND class = ?2")?
        .query_row(params![person, class.word()], |row| row.get(0))
        .optional()?;
    Ok(bytes.map_or_else(
        || Some(Ledger::new(class)),
        |bytes| Ledger::decode(class, &bytes),
    ))
}

/// What to say where there is none.
pub(super) fn unreadable_ledger() -> StoreError {
    StoreError::Corrupt("a ledger of failures cannot be read; unlock the person".into())
}

fn write_ledger(
    connection: &Connection,
    person: i64,
    class: Class,
    ledger: &Ledger,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO ledger (person, class, failures) VALUES (?1, ?2, ?3) \
             ON CONFLICT (person, class) DO UPDATE SET failures = excluded.failures",
        )?
        .execute(params![person, class.word(), ledger.encode()])
        .map(drop)
}

pub(super) fn read_source(
    connection: &Connection,
    key: SourceKey,
) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT clear_at FROM source WHERE source = ?1")?
        .query_row([key.as_bytes()], |row| row.get(0))
        .optional()
}

fn write_source(connection: &Connection, key: SourceKey, clear_at: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO source (source, clear_at) VALUES (?1, ?2) \
             ON CONFLICT (source) DO UPDATE SET clear_at = excluded.clear_at",
        )?
        .execute(params![key.as_bytes(), clear_at])
        .map(drop)
}

/// Whether no more sources can be remembered. Then none can be told from a guesser, and untrusted ones wait.
fn sources_are_full(tx: &mut Tx<'_>, now: i64) -> rusqlite::Result<bool> {
    let count = || {
        tx.connection
            .prepare_cached("SELECT count(*) FROM source")?
            .query_row([], |row| row.get::<_, u32>(0))
    };
    let most = tx.options.limits.source_entries;
    let mut sources = match tx.memory.sources {
        Some(sources) => sources,
        None => count()?,
    };
    let due = tx
        .memory
        .sources_pruned
        .is_none_or(|before| now < before || now - before >= SOURCE_PRUNING);
    if sources >= most && due {
        tx.connection
            .prepare_cached("DELETE FROM source WHERE clear_at <= ?1")?
            .execute([now])?;
        tx.memory.sources_pruned = Some(now);
        sources = count()?;
    }
    tx.memory.sources = Some(sources);
    Ok(sources >= most)
}
