//! The embedded store: SQLite in one file, one thread that writes, one connection that reads.
//!
//! It turns verbs into jobs and rows into values. It holds no key, and decides nothing but what the verbs say. Why it is
//! built so, and what it costs, is measured in docs/store.md.

mod history;
mod judge;
mod logins;
mod migrations;
mod people;
mod rows;
mod schema;
mod seals;
mod trail;
mod trust;
mod wishes;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use rusqlite::Connection;

use super::{
    Answer, Attempt, AuditFilter, Budget, CredentialId, Device, DeviceId, Guess, Judgement, Login,
    NewCredential, NewDevice, Options, Person, PersonId, PersonKey, Proof, Recollection,
    SessionKey, Store, StoreError,
};
use crate::{audit::Record, clock::Now, throttle::Place};
use writer::{Message, Tx, Verb, Writer};

/// Most verbs that wait for the writer. One more is refused at once: a login must not wait without end.
const QUEUE: usize = 1024;
/// Most people that one answer lists.
const MOST_LISTED: u32 = 1000;

/// A database file in use. Dropping it writes what waits, and closes the file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    options: Arc<Mutex<Options>>,
    reader: Mutex<Connection>,
    /// `None` only while it is being dropped.
    queue: Option<SyncSender<Message>>,
    writer: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the database at `path`, making it where there is none. The file must be ours with mode 0600, and its
    /// directory with mode 0700.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        let connection = schema::open_for_writing(path)?;
        let reader = Mutex::new(schema::open_for_reading(path)?);
        let options = Arc::new(Mutex::new(options));
        let (sender, receiver) = sync_channel(QUEUE);
        let writer = Writer::new(connection, path.to_owned(), Arc::clone(&options));
        let writer = std::thread::Builder::new()
            .name("mfad-store".into())
            .spawn(move || writer.serve(&receiver))
            .map_err(|error| StoreError::Unwritable(format!("no thread for the store: {error}")))?;
        Ok(Self {
            path: path.to_owned(),
            options,
            reader,
            queue: Some(sender),
            writer: Some(writer),
        })
    }

    /// Reads in place: look-ups by index take tens of microseconds, less than another thread would take to wake up,
    /// and in WAL mode no commit makes them wait.
    fn read<T>(
        &self,
        of: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = || -> rusqlite::Result<T> {
            // One transaction, so that a person and their credentials are of the same moment.
            let transaction = reader.unchecked_transaction()?;
            let found = of(&transaction)?;
            transaction.commit()?;
            Ok(found)
        };
        snapshot().map_err(|error| schema::explain(&error, &self.path))
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        let refused = |why: &str| {
            Err(StoreError::Unwritable(format!(
                "{}: {why}",
                self.path.display()
            )))
        };
        let Some(queue) = &self.queue else {
            return refused("closing");
        };
        match queue.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(StoreError::Busy),
            Err(TrySendError::Disconnected(_)) => refused("the writer has ended; restart mfad"),
        }
    }

    /// Queues a verb at once, and answers once it is durable.
    fn write<T, F>(&self, act: F) -> Answer<'static, T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> rusqlite::Result<Result<T, StoreError>> + Send + 'static,
    {
        let (verb, answer) = Verb::new(act);
        let sent = self.send(Message::Job(Box::new(verb)));
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or_else(|_| {
                Err(StoreError::Unwritable(
                    "the writer has ended; restart mfad".into(),
                ))
            })
        })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // It ends when the queue does; a panic there has been seen by whoever waited.
            let _ended = writer.join();
        }
    }
}

impl Store for SqliteStore {
    fn set_options(&self, options: Options) {
        *self.options.lock().unwrap_or_else(PoisonError::into_inner) = options;
    }

    fn find_person<'a>(&'a self, realm: &'a str, name: &'a str) -> Answer<'a, Option<Person>> {
        Box::pin(async move { self.read(|connection| rows::find(connection, realm, name)) })
    }

    fn list_people<'a>(
        &'a self,
        realm: &'a str,
        after: &'a str,
        limit: u32,
    ) -> Answer<'a, Vec<Person>> {
        Box::pin(async move {
            self.read(|connection| rows::list(connection, realm, after, limit.min(MOST_LISTED)))
        })
    }

    fn people_after(&self, after: PersonId, limit: u32) -> Answer<'_, Vec<Person>> {
        let limit = limit.min(MOST_LISTED);
        Box::pin(async move { self.read(|connection| seals::people(connection, after, limit)) })
    }

    fn reseal(
        &self,
        person: PersonId,
        credential: CredentialId,
        old: Vec<u8>,
        new: Vec<u8>,
    ) -> Answer<'_, bool> {
        self.write(move |tx| seals::replace(tx, person, credential, &old, &new).map(Ok))
    }

    fn sealed_with(&self) -> Answer<'_, Option<u8>> {
        Box::pin(async move { self.read(seals::noted) })
    }

    fn note_sealed_with(&self, key: u8, record: Record) -> Answer<'_, ()> {
        self.write(move |tx| seals::note(tx, key, &record).map(Ok))
    }

    fn count_enrolled(&self) -> Answer<'_, u64> {
        Box::pin(async move { self.read(rows::enrolled) })
    }

    fn probe(&self) -> Answer<'_, ()> {
        self.write(|tx| trail::rewrite(tx.connection).map(Ok))
    }

    fn judge(&self, attempt: Attempt, mut guess: Box<dyn Guess>) -> Answer<'_, Judgement> {
        self.write(move |tx| judge::judge(tx, &attempt, &mut *guess))
    }

    fn add_credential(
        &self,
        person: PersonKey,
        new: NewCredential,
        now: Now,
        record: Record,
    ) -> Answer<'_, Person> {
        self.write(move |tx| people::add(tx, &person, &new, now, &record))
    }

    fn activate(
        &self,
        person: PersonId,
        credential: CredentialId,
        moving: i64,
        now: Now,
        record: Record,
    ) -> Answer<'_, ()> {
        self.write(move |tx| people::activate(tx, person, credential, moving, now, &record))
    }

    fn rename_credential(
        &self,
        person: PersonId,
        credential: CredentialId,
        name: String,
        record: Record,
    ) -> Answer<'_, ()> {
        self.write(move |tx| people::rename(tx, person, credential, &name, &record))
    }

    fn remove_credential(
        &self,
        person: PersonId,
        credential: CredentialId,
        record: Record,
    ) -> Answer<'_, ()> {
        self.write(move |tx| people::remove(tx, person, credential, &record))
    }

    fn reset_person(&self, person: PersonId, record: Record) -> Answer<'_, ()> {
        self.write(move |tx| people::reset(tx, person, &record))
    }

    fn unlock(&self, person: PersonId, clock: bool, now: Now, record: Record) -> Answer<'_, ()> {
        self.write(move |tx| people::unlock(tx, person, clock, now, &record))
    }

    fn budgets(&self, person: PersonId, now: Now) -> Answer<'_, Vec<Budget>> {
        Box::pin(async move {
            let options = *self.options.lock().unwrap_or_else(PoisonError::into_inner);
            self.read(|connection| rows::budgets(connection, &options, person.0, now))?
        })
    }

    fn set_preferred(
        &self,
        person: PersonId,
        kind: Option<String>,
        record: Record,
    ) -> Answer<'_, ()> {
        self.write(move |tx| wishes::set_preferred(tx, person, kind.as_deref(), &record))
    }

    fn set_requirement(
        &self,
        person: PersonId,
        text: Option<String>,
        record: Record,
    ) -> Answer<'_, ()> {
        self.write(move |tx| wishes::set_requirement(tx, person, text.as_deref(), &record))
    }

    fn remember_device(
        &self,
        person: PersonId,
        device: NewDevice,
        now: Now,
        record: Record,
    ) -> Answer<'_, ()> {
        self.write(move |tx| trust::remember(tx, person, &device, now, &record))
    }

    fn find_devices(
        &self,
        person: PersonId,
        devices: Vec<DeviceId>,
        now: Now,
    ) -> Answer<'_, Vec<Device>> {
        Box::pin(
            async move { self.read(|connection| trust::find(connection, person, &devices, now)) },
        )
    }

    fn list_devices(&self, person: PersonId, now: Now) -> Answer<'_, Vec<Device>> {
        Box::pin(async move { self.read(|connection| trust::list(connection, person, now)) })
    }

    fn revoke_device(&self, person: PersonId, device: DeviceId, record: Record) -> Answer<'_, ()> {
        self.write(move |tx| trust::revoke(tx, person, device, &record))
    }

    fn revoke_devices(&self, person: PersonId, record: Record) -> Answer<'_, u32> {
        self.write(move |tx| trust::revoke_all(tx, person, &record))
    }

    fn record_proof(
        &self,
        person: PersonId,
        session: SessionKey,
        kinds: Vec<String>,
        now: Now,
    ) -> Answer<'_, ()> {
        self.write(move |tx| trust::prove(tx, person, session, &kinds, now))
    }

    fn proofs(&self, person: PersonId, session: SessionKey, now: Now) -> Answer<'_, Vec<Proof>> {
        Box::pin(
            async move { self.read(|connection| trust::proofs(connection, person, session, now)) },
        )
    }

    fn recall(&self, person: PersonId, place: Place, now: Now) -> Answer<'_, Recollection> {
        Box::pin(async move {
            let options = *self.options.lock().unwrap_or_else(PoisonError::into_inner);
            self.read(|connection| history::recall(connection, &options, person.0, place, now))?
        })
    }

    fn record_login(&self, login: Login) -> Answer<'static, ()> {
        let sent = self.send(Message::Login(Box::new(login)));
        Box::pin(async move { sent })
    }

    fn append_audit(&self, record: Record) -> Answer<'static, ()> {
        self.write(move |tx| trail::write(tx, &record).map(Ok))
    }

    fn audit(&self, filter: AuditFilter) -> Answer<'_, Vec<(i64, i64, String)>> {
        Box::pin(async move { self.read(|connection| trail::read(connection, &filter)) })
    }
}
