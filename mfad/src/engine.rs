//! What every request works with: store, keys, clock, people, and the configuration in force.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Semaphore;

use crate::{
    audit::{Record, Trail},
    clock::{Clock, Now},
    config::Loaded,
    factor::{
        FactorError,
        backup::Set,
        otp::{Generator, Windows, identity},
    },
    management::Offers,
    people::People,
    session::{grant::Grants, logins::Running, registry::Registry},
    store::{
        CredentialId, Kind, PersonKey, Store,
        seal::{Identity, Keyring},
    },
};

/// How many Argon2id runs (19 MiB, 35 ms each) may go on at once.
const HASHING_AT_ONCE: usize = 2;

/// The working daemon.
pub struct Engine {
    /// Configuration in force; a running login keeps the one it began with.
    loaded: RwLock<Arc<Loaded>>,
    /// Memory.
    pub store: Arc<dyn Store>,
    /// Sealing keys.
    pub keyring: Arc<Keyring>,
    /// Accounts.
    pub people: People,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Dialogues in progress.
    pub registry: Registry<Running>,
    /// What they earned.
    pub grants: Grants,
    /// Factors offered and not yet confirmed.
    pub offers: Offers,
    /// Where audit records go besides the store.
    pub trail: Trail,
    /// Bounds hashing.
    pub hashing: Semaphore,
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
        Ok(Self {
            registry: Registry::new(loaded.settings.session.max),
            loaded: RwLock::new(Arc::new(loaded)),
            store,
            keyring,
            people: People::default(),
            clock,
            grants: Grants::default(),
            offers: Offers::default(),
            trail,
            hashing: Semaphore::new(HASHING_AT_ONCE),
            decoy,
        })
    }

    /// The configuration in force.
    pub fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another configuration in force, for whoever comes next.
    pub fn replace(&self, loaded: Loaded) {
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
        self.people.forget();
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

    /// Sends a record to syslog, and to the store in the background: for decisions that change nothing else.
    pub fn note(&self, record: Record) {
        self.trail.send(&record);
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            // A store that cannot be written has said so to syslog already, through whoever needed it.
            let _lost = store.append_audit(record).await;
        });
    }

    /// Whether nothing would be lost by exiting now.
    pub fn is_idle(&self) -> bool {
        let now = self.now();
        self.registry.len(std::time::Instant::now()) == 0
            && self.grants.waiting(now) == 0
            && self.offers.is_empty(now)
    }
}

/// Realm of people until fleets share a store.
pub const REALM: &str = "local";
