//! The one thread that writes: it takes what is queued, does it in one transaction, commits, and only then answers.
//! It knows jobs, not what they do.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Options, history, logins, schema, trail};
use crate::{
    failpoint,
    store::{Login, StoreError},
};

/// Most jobs of one commit: bounds how long the first of them waits.
const GROUP: usize = 256;
/// How long a completed login may wait for a commit to ride on.
const LOGIN_DELAY: Duration = Duration::from_millis(20);
/// Most completed logins that wait.
const LOGINS: usize = 1024;
/// Without a job for so long, it is a good time to tidy up.
const IDLE: Duration = Duration::from_millis(200);
/// Changed rows after which the log is written back when idle. Not sooner: the commit after it costs a second sync.
const TIDY_AFTER: u64 = 256;
/// Changed rows after which it is written back whatever waits: fewer than one login in a hundred meets it.
const TIDY_AT_LATEST: u64 = 1024;

/// What reaches the writer.
pub(super) enum Message {
    /// To be done in a transaction.
    Job(Box<dyn Job>),
    /// To be noted with the next transaction, or a little later. Boxed: the queue has room for all that may wait.
    Login(Box<Login>),
}

/// What a job works with.
pub(super) struct Tx<'a> {
    /// Inside a transaction.
    pub(super) connection: &'a Connection,
    /// The numbers in force.
    pub(super) options: Options,
    /// What the writer remembers between transactions; worth no more than the last commit.
    pub(super) memory: &'a mut Memory,
}

/// Figures that would be slow to count each time.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Rows of `source`, once counted.
    pub(super) sources: Option<u32>,
    /// When clear sources were last deleted, on the steady clock.
    pub(super) sources_pruned: Option<i64>,
    /// Time of the newest audit record that this process wrote.
    pub(super) audit_time: Option<i64>,
    /// The last person whose expired history has been deleted.
    pub(super) swept: i64,
}

/// One verb, waiting for its commit.
pub(super) trait Job: Send {
    /// Does it. After an error nothing of it stays.
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<(), StoreError>>;
    /// Answers whoever asked: with what it found, or with why nothing was committed.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// A job made of a closure.
pub(super) struct Verb<T, F> {
    act: F,
    found: Option<T>,
    asker: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Verb<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> rusqlite::Result<Result<T, StoreError>> + Send,
{
    pub(super) fn new(act: F) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (asker, answer) = oneshot::channel();
        (
            Self {
                act,
                found: None,
                asker,
            },
            answer,
        )
    }
}

impl<T, F> Job for Verb<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> rusqlite::Result<Result<T, StoreError>> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<(), StoreError>> {
        Ok((self.act)(tx)?.map(|found| self.found = Some(found)))
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { found, asker, .. } = *self;
        let nothing = || StoreError::Unwritable("the store did not do it".into());
        // Whoever asked may be gone (a closed connection): what was committed stays.
        let _gone = asker.send(committed.and_then(|()| found.ok_or_else(nothing)));
    }
}

/// The writer's state; lives on its thread.
pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
    options: Arc<Mutex<Options>>,
    memory: Memory,
    /// Completed logins that wait, each with how often it was the same.
    logins: Vec<(Login, u32)>,
    logins_due: Option<Instant>,
    tidied_at: u64,
}

impl Writer {
    pub(super) fn new(connection: Connection, path: PathBuf, options: Arc<Mutex<Options>>) -> Self {
        let memory = Memory::default();
        Self {
            connection,
            path,
            options,
            memory,
            logins: Vec::new(),
            logins_due: None,
            tidied_at: 0,
        }
    }

    /// Serves until every sender is gone, then writes the rest.
    pub(super) fn serve(mut self, queue: &Receiver<Message>) {
        loop {
            match self.next(queue) {
                Ok(message) => {
                    let jobs = self.gather(message, queue);
                    // A completed login alone waits for a commit to ride on.
                    if jobs.is_empty() {
                        self.flush_logins_if_due();
                    } else {
                        self.commit_group(jobs);
                    }
                    self.tidy(TIDY_AT_LATEST);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.flush_logins_if_due();
                    self.tidy(TIDY_AFTER);
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.commit_group(Vec::new());
        self.checkpoint();
    }

    fn next(&self, queue: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        let until_logins = self
            .logins_due
            .map(|due| due.saturating_duration_since(Instant::now()));
        let until_tidy = (self.changes() >= TIDY_AFTER).then_some(IDLE);
        match until_logins.into_iter().chain(until_tidy).min() {
            Some(patience) => queue.recv_timeout(patience),
            None => queue.recv().map_err(RecvTimeoutError::from),
        }
    }

    fn gather(&mut self, first: Message, queue: &Receiver<Message>) -> Vec<Box<dyn Job>> {
        let mut jobs = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Job(job) => jobs.push(job),
                Message::Login(login) => self.remember(*login),
            }
            next = if jobs.len() < GROUP {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        jobs
    }

    fn remember(&mut self, login: Login) {
        let same = self
            .logins
            .iter_mut()
            .find(|(other, _)| other.is_like(&login));
        if let Some((other, times)) = same {
            other.now = login.now;
            *times = times.saturating_add(1);
        } else if self.logins.len() < LOGINS {
            self.logins.push((login, 1));
            self.logins_due
                .get_or_insert_with(|| Instant::now() + LOGIN_DELAY);
        }
    }

    fn flush_logins_if_due(&mut self) {
        if self.logins_due.is_some_and(|due| due <= Instant::now()) {
            self.commit_group(Vec::new());
        }
    }

    /// One transaction for all of `jobs`, and for the logins that wait.
    fn commit_group(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        if jobs.is_empty() && self.logins.is_empty() {
            return;
        }
        let committed = self.transact(&mut jobs);
        let committed = committed.and_then(|failed| {
            self.logins.clear();
            self.logins_due = None;
            failpoint!("reply")
                .map(|()| failed)
                .map_err(|error| StoreError::Unwritable(error.to_string()))
        });
        match committed {
            Ok(mut failed) => {
                for (index, job) in jobs.into_iter().enumerate() {
                    job.answer(failed.remove(&index).map_or(Ok(()), Err));
                }
            }
            Err(error) => {
                self.memory = Memory::default();
                // A login is not worth keeping while nothing can be written.
                self.logins.clear();
                self.logins_due = None;
                for job in jobs {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }

    /// Returns which jobs failed for themselves, once the others are durable.
    fn transact(
        &mut self,
        jobs: &mut [Box<dyn Job>],
    ) -> Result<HashMap<usize, StoreError>, StoreError> {
        let failed = self
            .begin()
            .and_then(|()| self.run(jobs))
            .and_then(|failed| self.commit().map(|()| failed));
        if failed.is_err() && !self.connection.is_autocommit() {
            // It fails only where SQLite has rolled back by itself.
            let _already = self.statement("ROLLBACK");
        }
        failed.map_err(|error| schema::explain(&error, &self.path))
    }

    fn begin(&self) -> rusqlite::Result<()> {
        point(failpoint!("begin"))?;
        self.statement("BEGIN IMMEDIATE")
    }

    fn commit(&self) -> rusqlite::Result<()> {
        point(failpoint!("commit"))?;
        self.statement("COMMIT")?;
        point(failpoint!("committed"))
    }

    fn run(&mut self, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<HashMap<usize, StoreError>> {
        let options = *self.options.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tx = Tx {
            connection: &self.connection,
            options,
            memory: &mut self.memory,
        };
        for (login, times) in &self.logins {
            logins::note_login(&mut tx, login, *times)?;
        }
        // A job on its own needs no savepoint if the whole transaction can go with it.
        let alone = jobs.len() == 1 && self.logins.is_empty();
        let mut failed = HashMap::new();
        for (index, job) in jobs.iter_mut().enumerate() {
            if !alone {
                execute(&self.connection, "SAVEPOINT job")?;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx)));
            point(failpoint!("written"))?;
            let broken = match outcome {
                Ok(Ok(Ok(()))) => None,
                Ok(Ok(Err(refused))) => Some(refused),
                Ok(Err(error)) => Some(schema::explain(&error, &self.path)),
                Err(_panic) => Some(StoreError::Unwritable(
                    "a defect of mfad; please report it".into(),
                )),
            };
            if self.connection.is_autocommit() {
                // The disk failed, and SQLite has undone everything.
                return Err(broken_off());
            }
            if let Some(error) = broken {
                failed.insert(index, error);
                // What the job had counted is undone with it.
                tx.memory.sources = None;
                execute(
                    &self.connection,
                    if alone { "ROLLBACK" } else { "ROLLBACK TO job" },
                )?;
                if alone {
                    execute(&self.connection, "BEGIN")?;
                }
            }
            if !alone {
                execute(&self.connection, "RELEASE job")?;
            }
        }
        Ok(failed)
    }

    fn statement(&self, sql: &str) -> rusqlite::Result<()> {
        execute(&self.connection, sql)
    }

    /// Rows changed since the log was last written back.
    fn changes(&self) -> u64 {
        self.connection
            .total_changes()
            .saturating_sub(self.tidied_at)
    }

    /// Prunes the audit trail and writes the log back into the file, once `enough` rows have changed. What fails here
    /// fails again, and is reported, when somebody needs it.
    fn tidy(&mut self, enough: u64) {
        if self.changes() < enough {
            return;
        }
        // Before pruning: what that deletes counts, so that much to prune is pruned in several steps.
        self.tidied_at = self.connection.total_changes();
        let options = *self.options.lock().unwrap_or_else(PoisonError::into_inner);
        let _next_time = trail::prune(&self.connection, options, &self.memory);
        let _next_time = history::sweep(&self.connection, options, &mut self.memory);
        self.checkpoint();
        // Most cached pages are of records, which nobody reads again; the few others come back from the kernel's cache.
        let _next_time = self.connection.release_memory();
    }

    fn checkpoint(&self) {
        let _next_time =
            self.connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// A failure planned by a test, in the form of one of SQLite.
fn point(reached: std::io::Result<()>) -> rusqlite::Result<()> {
    reached.map_err(|_| failure(rusqlite::ffi::SQLITE_IOERR))
}

fn broken_off() -> rusqlite::Error {
    failure(rusqlite::ffi::SQLITE_FULL)
}

fn failure(code: std::ffi::c_int) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}
