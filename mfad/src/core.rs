//! The daemon as its interfaces see it: a working engine, or the reasons why there is none; and how busy it is.
//!
//! A daemon without its key, store or configuration keeps running: it answers every login with "unavailable" and an
//! administrator with what is wrong.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mfad_protocol::{DaemonStatus, PROTOCOL, ReloadReport};
use policy::Policy;

use crate::{
    audit::{Event, Record, Trail},
    clock::Clock,
    config::{self, LastGood, Loaded, Paths, Shadow},
    engine::Engine,
    management::Refusal,
};

/// Puts an engine together from a configuration, or says what is wrong.
pub type Assemble = Box<dyn Fn(Loaded) -> Result<Engine, Vec<String>> + Send + Sync>;

/// The daemon.
pub struct Core {
    engine: RwLock<Result<Arc<Engine>, Vec<String>>>,
    /// What is wrong with the files on disk, while an older configuration is in force.
    stale: Mutex<Vec<String>>,
    paths: Paths,
    assemble: Assemble,
    clock: Arc<dyn Clock>,
    trail: Trail,
    started: i64,
    calls: AtomicUsize,
    peers: AtomicUsize,
    arrivals: AtomicUsize,
    last_call: Mutex<Instant>,
}

/// Counts a call as being served.
pub struct Busy<'a>(&'a Core);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
        *self
            .0
            .last_call
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

/// Counts a peer on a login socket as connected.
pub struct Connected<'a>(&'a Core);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.peers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a peer as one that has made no call yet.
pub struct Arrival(Arc<Core>);

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.arrivals.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Core {
    /// Loads the configuration and assembles the engine; never fails, but may come up unavailable.
    pub fn start(paths: Paths, assemble: Assemble, clock: Arc<dyn Clock>, trail: Trail) -> Self {
        let core = Self {
            engine: RwLock::new(Err(vec!["starting".to_owned()])),
            stale: Mutex::default(),
            paths,
            assemble,
            started: clock.now().wall,
            clock,
            trail,
            calls: AtomicUsize::new(0),
            peers: AtomicUsize::new(0),
            arrivals: AtomicUsize::new(0),
            last_call: Mutex::new(Instant::now()),
        };
        core.reload(None);
        core
    }

    /// The engine, or why there is none.
    pub fn engine(&self) -> Result<Arc<Engine>, Refusal> {
        match &*self.engine.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(engine) => Ok(Arc::clone(engine)),
            Err(problems) => Err(Refusal::Unavailable(problems.join("; "))),
        }
    }

    /// Reads the configuration again. A broken one never replaces a good one; without a good one, the engine is
    /// assembled anew.
    pub fn reload(&self, by: Option<u32>) -> ReloadReport {
        let errors = self.read_again();
        let applied = errors.is_empty();
        self.record_configuration(by, &errors);
        ReloadReport { applied, errors }
    }

    /// Where there is no engine, tries again whether there can be one: a store that was locked, or on a disk that was
    /// read-only, is used once it can be, without anybody's command. Blocks for as long as opening the store does.
    pub fn recover(&self) {
        // What failed before is on record.
        if self.engine().is_err() && self.read_again().is_empty() {
            self.record_configuration(None, &[]);
        }
    }

    /// What is wrong with the files; nothing, if they are in force now.
    fn read_again(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let errors = match config::load(&self.paths) {
            Err(errors) => {
                self.resume();
                errors.lines()
            }
            Ok((loaded, texts)) => {
                let errors = self.apply(loaded);
                if errors.is_empty()
                    && let Err(error) = LastGood::of(&self.paths).keep(&texts)
                {
                    problems.push(format!(
                        "this configuration cannot be kept for a start that finds a broken one: {error}; see: df {}",
                        self.paths.state_dir.display()
                    ));
                }
                errors
            }
        };
        if !errors.is_empty() {
            self.fall_back(&errors);
        }
        problems.extend(errors.iter().cloned());
        *self.stale.lock().unwrap_or_else(PoisonError::into_inner) = problems;
        errors
    }

    /// Where nothing is in force, and the files are broken, what was last in force.
    fn resume(&self) {
        if self.engine().is_err()
            && let Some(loaded) = LastGood::of(&self.paths).load()
        {
            let _why_not = self.apply(loaded);
        }
    }

    fn record_configuration(&self, by: Option<u32>, errors: &[String]) {
        let applied = errors.is_empty();
        let outcome = if applied { "loaded" } else { "refused" };
        let mut record = Record::new(self.clock.now().wall, Event::Configuration, outcome);
        record.by = by;
        record.detail = (!applied).then(|| errors.join("; "));
        self.record(record);
        if applied {
            self.record_shadow(by);
        }
    }

    /// A broken policy in the shadow is told once, and affects no login.
    fn record_shadow(&self, by: Option<u32>) {
        let Ok(engine) = self.engine() else { return };
        let problems = engine
            .loaded()
            .shadow
            .as_ref()
            .map(|shadow| shadow.problems().join("; "));
        if let Some(problems) = problems.filter(|problems| !problems.is_empty()) {
            let mut record = Record::new(
                self.clock.now().wall,
                Event::Configuration,
                "shadow-refused",
            );
            record.by = by;
            record.detail = Some(problems);
            self.record(record);
        }
    }

    /// Into the store too, where there is one and something runs that can write it (not while starting).
    fn record(&self, record: Record) {
        match self.engine() {
            Ok(engine) if tokio::runtime::Handle::try_current().is_ok() => engine.note(record),
            _ => self.trail.send(&record),
        }
    }

    fn apply(&self, loaded: Loaded) -> Vec<String> {
        let mut engine = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        if let Ok(engine) = &*engine {
            engine.replace(loaded);
            return Vec::new();
        }
        match (self.assemble)(loaded) {
            Ok(assembled) => {
                *engine = Ok(Arc::new(assembled));
                Vec::new()
            }
            Err(problems) => problems,
        }
    }

    /// Without an engine, the newest errors are the reasons.
    fn fall_back(&self, errors: &[String]) {
        let mut engine = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        if engine.is_err() {
            *engine = Err(errors.to_vec());
        }
    }

    /// How the daemon is.
    pub async fn status(&self) -> DaemonStatus {
        let mut problems = self
            .stale
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (mut enrolled, mut sessions, mut rules) = (None, 0, None);
        let (mut shadow_rules, mut shadow_problems) = (None, None);
        if let Ok(engine) = self.engine() {
            match engine.store.count_enrolled().await {
                Ok(count) => enrolled = Some(count),
                Err(error) => problems.push(error.to_string()),
            }
            problems.extend(engine.problems());
            // Reading may work where a code could not be spent.
            if let Err(error) = engine.store.probe().await {
                problems.push(error.to_string());
            }
            sessions = u32::try_from(engine.registry.len(Instant::now())).unwrap_or(u32::MAX);
            let loaded = engine.loaded();
            let count = |policy: &Policy| u32::try_from(policy.rules()).unwrap_or(u32::MAX);
            rules = Some(count(&loaded.policy));
            shadow_rules = loaded.shadow().map(count);
            let found = loaded.shadow.as_ref().map(Shadow::problems);
            shadow_problems = found
                .filter(|found| !found.is_empty())
                .map(<[String]>::to_vec);
        }
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            started: self.started,
            enrolled,
            sessions,
            rules,
            problems,
            shadow_rules,
            shadow_problems,
        }
    }

    /// Marks a call as being served until the value is dropped.
    #[must_use]
    pub fn busy(&self) -> Busy<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    /// Whether nothing has happened for `quiet`, and nothing would be lost by exiting.
    pub fn is_idle(&self, quiet: Duration) -> bool {
        let rested = self
            .last_call
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elapsed()
            >= quiet;
        rested
            && !self.is_serving()
            && self.peers.load(Ordering::Relaxed) == 0
            && self.engine().map_or(true, |engine| engine.is_idle())
    }

    /// Gives memory that a rush of logins took back to the system. Blocks for less than a millisecond.
    pub fn give_memory_back(&self) {
        if let Ok(engine) = self.engine() {
            engine.grants.tidy(engine.now());
        }
        // SAFETY: it touches only memory that the allocator knows to be free. Of itself, glibc gives back no more than the
        // end of a heap, and what a thread other than the first has freed almost never.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::malloc_trim(0)
        };
    }

    /// Whether a call is being served right now.
    pub fn is_serving(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0
    }

    /// Marks a peer as connected until the value is dropped.
    #[must_use]
    pub fn connected(&self) -> Connected<'_> {
        self.peers.fetch_add(1, Ordering::Relaxed);
        Connected(self)
    }

    /// Marks a peer as one whose first call is on the way, until the value is dropped.
    #[must_use]
    pub fn arrival(self: &Arc<Self>) -> Arrival {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        Arrival(Arc::clone(self))
    }

    /// Whether a peer is connected that has made no call yet.
    pub fn has_arrivals(&self) -> bool {
        self.arrivals.load(Ordering::Relaxed) > 0
    }

    /// Whether a dialogue of that connection is running.
    pub fn is_asking(&self, connection: &crate::session::Connection) -> bool {
        self.engine()
            .is_ok_and(|engine| engine.registry.holds(connection))
    }

    /// Ends the dialogues of a connection that is gone.
    pub fn disconnected(&self, connection: &crate::session::Connection) {
        if let Ok(engine) = self.engine() {
            engine.registry.disconnected(connection);
        }
    }
}
