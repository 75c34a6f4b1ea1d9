//! An engine on a store of its own, with a clock that a test can set.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use mfad::{
    audit::Trail,
    clock::{Clock, Now},
    config::{Loaded, Settings},
    engine::Engine,
    factor::WORDS,
    session::{Caller, Connection},
    store::{seal::Keyring, sqlite::SqliteStore},
};
use mfad_protocol::{Context, Hook, PROTOCOL, State, Step};
use policy::{Policy, Source, Vocabulary};

/// An account that every Debian system has, and its uid.
pub(crate) const ALICE: (&str, u32) = ("daemon", 1);
/// Another one.
pub(crate) const BOB: (&str, u32) = ("bin", 2);
/// Where a TOTP step begins.
pub(crate) const START: i64 = 1_800_000_000;

/// A clock that stands where it is put.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let seconds = self.0.load(Ordering::SeqCst);
        Now {
            wall: seconds,
            steady: seconds,
        }
    }
}

/// The engine and what it stands on.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<TestClock>,
    directory: tempfile::TempDir,
}

impl Bench {
    /// An engine with this policy.
    pub(crate) fn with_policy(text: &str) -> Self {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let directory = tempfile::Builder::new()
            .permissions(private)
            .tempdir()
            .unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(START)));
        let keys = Keyring::generate_file().unwrap();
        let engine = engine(directory.path(), text, &keys, &clock);
        Self {
            engine,
            clock,
            directory,
        }
    }

    /// The same after a restart with another key file.
    pub(crate) fn restarted_with(self, text: &str, keys: &str) -> Self {
        drop(self.engine);
        let engine = engine(self.directory.path(), text, keys, &self.clock);
        Self { engine, ..self }
    }

    /// Enrolls TOTP for somebody as an administrator would, and gives the secret's generator.
    pub(crate) async fn enroll(&self, user: &str) -> Phone {
        let offer = self
            .engine
            .enroll_user(
                &root(0),
                user,
                "totp",
                mfad_protocol::EnrollmentOptions::default(),
            )
            .await;
        Phone::of(&offer.unwrap().secret.unwrap())
    }

    /// Runs a dialogue of one answer, in a connection of its own.
    pub(crate) async fn login(&self, context: Context, answer: &str) -> Step {
        let caller = root(rand_connection());
        let (session, step) = self.engine.begin(&caller, context).await;
        if step.state != State::Continue {
            return step;
        }
        self.engine
            .respond(&caller, &session, vec![answer.as_bytes().to_vec()])
            .await
    }
}

fn engine(directory: &Path, text: &str, keys: &str, clock: &Arc<TestClock>) -> Engine {
    let loaded = loaded(text, |_| ());
    let options = loaded.settings.store_options();
    let store = SqliteStore::open(&directory.join("mfa.db"), options).unwrap();
    let keyring = Keyring::parse(keys.as_bytes()).unwrap();
    let trail = Trail::to("/nonexistent/log");
    Engine::new(
        loaded,
        Arc::new(store),
        Arc::new(keyring),
        Arc::<TestClock>::clone(clock),
        trail,
    )
    .unwrap()
}

/// A configuration with this policy and the default settings, edited.
pub(crate) fn loaded(text: &str, edit: impl FnOnce(&mut Settings)) -> Loaded {
    let mut settings = Settings::defaults("testhost");
    edit(&mut settings);
    let source = Source {
        name: "policy.toml",
        text,
    };
    let policy = Policy::parse(&[source], &Vocabulary::new(&WORDS)).unwrap();
    Loaded { settings, policy }
}

/// An authenticator app.
pub(crate) struct Phone(totp_rs::Totp);

impl Phone {
    pub(crate) fn of(base32: &str) -> Self {
        let secret = totp_rs::Secret::try_from_base32(base32).unwrap();
        Self(totp_rs::Builder::new().with_secret(secret).build().unwrap())
    }

    /// The code of that moment.
    pub(crate) fn code(&self, wall: i64) -> String {
        self.0.generate(u64::try_from(wall).unwrap()).to_string()
    }
}

/// Root on a connection of that number.
pub(crate) fn root(connection: u64) -> Caller {
    Caller {
        uid: 0,
        connection: Connection::Peer(connection),
    }
}

fn rand_connection() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1000);
    NEXT.fetch_add(1, Ordering::SeqCst)
}

/// An ssh login in its auth phase, after a public key.
pub(crate) fn ssh(user: &str) -> Context {
    Context {
        protocol: PROTOCOL,
        hook: Some(Hook::Auth),
        service: "sshd".into(),
        user: user.into(),
        real_uid: Some(0),
        rhost: Some("192.0.2.10".into()),
        tty: Some("ssh".into()),
        ssh_auth_info: Some("publickey ssh-ed25519 AAAA".into()),
        ..Context::default()
    }
}
