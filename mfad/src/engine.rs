//! What every request works with: store, keys, clock, people, and the configuration in force.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use tokio::sync::Semaphore;

use crate::{
    audit::{Admitted, Chatter, Event, Record, Trail},
    clock::{Clock, Now},
    config::{self, Loaded},
    factor::{
        FactorError,
        backup::Set,
        otp::{Generator, Windows, identity},
    },
    helper::Helper,
    logind::{Nowhere, Sessions},
    management::{Offers, fido2::Makings},
    people::People,
    session::{
        enrolling::Shown, grant::Grants, registry::Registry, running::Running,
        whereabouts::Whereabouts,
    },
    store::{
        Answer, CredentialId, Kind, PersonKey, Store, StoreError,
        seal::{Identity, Keyring},
    },
    throttle::Watch,
};

/// How long one may wait for its turn to be hashed.
pub const HASHING_PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
/// How many Argon2id runs (19 MiB, 35 ms each) may go on at once.
const HASHING_AT_ONCE: usize = 2;

/// How many unprivileged callers may have logind asked about themselves at once. The bus lets the daemon have 128 unanswered
/// questions, which are root's logins' too.
const SEATS_AT_ONCE: usize = 8;

/// The working daemon.
pub struct Engine {
    /// Configuration in force; a running login keeps the one it began with.
    loaded: RwLock<Arc<Loaded>>,
    /// Bounds what unprivileged callers write into the trail.
    chatter: Chatter,
    /// Bounds how often one person's agent is asked: nothing else limits what an agent answers, right or wrong, and each
    /// answer is a durable record.
    pub(crate) askings: Chatter,
    /// Notices many failures, of anybody.
    watch: Mutex<Watch>,
    /// Memory.
    pub store: Arc<dyn Store>,
    /// Sealing keys.
    pub keyring: Arc<Keyring>,
    /// Accounts.
    pub people: People,
    /// Login sessions.
    pub sessions: Arc<dyn Sessions>,
    /// Security keys of this machine.
    pub helper: Helper,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Dialogues in progress.
    pub registry: Registry<Running>,
    /// What they earned.
    pub grants: Grants,
    /// Where factors offered in logins were shown.
    pub shown: Shown,
    /// Factors offered and not yet confirmed.
    pub offers: Offers,
    /// Security keys being enrolled.
    pub makings: Makings,
    /// Where audit records go besides the store.
    pub trail: Trail,
    /// Bounds hashing.
    pub hashing: Semaphore,
    /// Bounds what logind is asked for callers that are not root.
    seats: Semaphore,
    /// Stand-ins for people without credentials.
    pub decoy: Decoy,
}

/// Credentials that nobody holds, so that an answer for nobody takes the work of any other.
pub struct Decoy {
    /// A TOTP generator, sealed, and what binds the seal.
    pub otp: Arc<(Generator, Vec<u8>, Identity)>,
    /// A set of backup codes.
    pub set: Set,
}

impl Decoy {
    fn make(keyring: &Keyring) -> Result<Self, FactorError> {
        let nobody = PersonKey {
            realm: String::new(),
            name: String::new(),
            uid: u32::MAX,
        };
        let identity = identity(&nobody, Kind::Totp, CredentialId([0; 16]));
        let generator = Generator::decoy()?;
        let sealed = generator.seal(keyring, &identity)?;
        Ok(Self {
            otp: Arc::new((generator, sealed, identity)),
            set: Set::decoy(keyring),
        })
    }
}

impl Engine {
    /// Puts the parts together.
    pub fn new(
        loaded: Loaded,
        store: Arc<dyn Store>,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        trail: Trail,
    ) -> Result<Self, FactorError> {
        let decoy = Decoy::make(&keyring)?;
        trail.enable(loaded.settings.audit.syslog);
        read_places(&loaded, clock.now());
        Ok(Self {
            registry: Registry::new(loaded.settings.session.max),
            chatter: Chatter::default(),
            askings: Chatter::default(),
            watch: Mutex::new(watch(&loaded)),
            loaded: RwLock::new(Arc::new(loaded)),
            store,
            keyring,
            people: People::default(),
            sessions: Arc::new(Nowhere),
            helper: Helper::default(),
            clock,
            grants: Grants::default(),
            shown: Shown::default(),
            offers: Offers::default(),
            makings: Makings::default(),
            trail,
            hashing: Semaphore::new(HASHING_AT_ONCE),
            seats: Semaphore::new(SEATS_AT_ONCE),
            decoy,
        })
    }

    /// The same, asking `sessions` where host programs run.
    #[must_use]
    pub fn asking(self, sessions: Arc<dyn Sessions>) -> Self {
        Self { sessions, ..self }
    }

    /// The same, with this way to the security keys.
    #[must_use]
    pub fn reaching(self, helper: Helper) -> Self {
        Self { helper, ..self }
    }

    /// The configuration in force.
    pub fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another configuration in force, for whoever comes next.
    pub fn replace(&self, loaded: Loaded) {
        read_places(&loaded, self.now());
        self.store.set_options(loaded.settings.store_options());
        self.trail.enable(loaded.settings.audit.syslog);
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = watch(&loaded);
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
        self.people.forget();
    }

    /// What is wrong with what the configuration names besides itself.
    pub fn problems(&self) -> Vec<String> {
        let loaded = self.loaded();
        let places = loaded.places.problem(self.now().wall);
        let shadow = loaded.shadow.iter().flat_map(config::Shadow::problems);
        let shadow = shadow.map(|problem| {
            format!(
                "the policy in the shadow is not evaluated, and logins are not affected: {problem}"
            )
        });
        places.into_iter().chain(shadow).collect()
    }

    /// Where a process is that a caller names who is not root: unknown, if too many ask at once.
    pub(crate) async fn own_whereabouts(&self, process: OwnedFd) -> Whereabouts {
        match self.seats.try_acquire() {
            Ok(_turn) => self.sessions.whereabouts(process).await,
            Err(_) => Whereabouts::Unknown,
        }
    }

    /// The current moment.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Windows of the one-time codes, as configured.
    pub fn windows(loaded: &Loaded) -> Windows {
        Windows {
            skew: loaded.settings.otp.skew,
            look_ahead: loaded.settings.otp.look_ahead,
        }
    }

    /// Sends a record to syslog, and to the store in the background: for decisions that change nothing else. Those of
    /// one unprivileged caller are counted, so that nobody can flush the trail of others.
    pub fn note(&self, mut record: Record) {
        match self.chatter.admit(record.by, record.time) {
            Admitted::Left => return,
            Admitted::Last => record.detail = Some(LAST_OF_THE_MINUTE.to_owned()),
            Admitted::Yes => {}
        }
        self.trail.send(&record);
        // It is queued now. A store that cannot be written has said so to whoever needed it.
        drop(self.store.append_audit(record));
    }

    /// Makes a change together with its record, and tells syslog of it only once it is durable.
    pub async fn recorded<'a, T>(
        &'a self,
        record: Record,
        change: impl FnOnce(Record) -> Answer<'a, T>,
    ) -> Result<T, StoreError> {
        let changed = change(record.clone()).await?;
        self.trail.send(&record);
        Ok(changed)
    }

    /// Counts a wrong answer of whoever `user` stands for, and raises an alarm when there are too many of them.
    pub fn count_failure(&self, user: &str, now: Now) {
        let mut hasher = DefaultHasher::new();
        user.hash(&mut hasher);
        let raised = self
            .watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failure(hasher.finish(), now.steady);
        if let Some(alarm) = raised {
            let mut record = Record::new(now.wall, Event::Alarm, "under-attack");
            record.detail = Some(alarm.describe().to_owned());
            self.note(record);
        }
    }

    /// Whether nothing would be lost by exiting now.
    pub fn is_idle(&self) -> bool {
        let now = self.now();
        self.registry.len(std::time::Instant::now()) == 0
            && self.grants.waiting(now) == 0
            && self.offers.is_empty(now)
            && self.makings.is_empty()
    }
}

/// Has the database of places read now, if a rule needs it, and not in somebody's login.
fn read_places(loaded: &Loaded, now: Now) {
    let needed = [policy::Fact::Country, policy::Fact::Risk];
    if loaded.needs().contains_any(&needed) {
        // Why it cannot be read is said in the first login that misses it, and in the status.
        let _problem = loaded.places.problem(now.wall);
    }
}

fn watch(loaded: &Loaded) -> Watch {
    let alarm = &loaded.settings.alarm;
    Watch::new(alarm.failures_per_minute, alarm.users_per_10_minutes)
}

const LAST_OF_THE_MINUTE: &str =
    "the last record of this caller's in this minute; more are left out";

/// Realm of people until fleets share a store.
pub const REALM: &str = "local";
