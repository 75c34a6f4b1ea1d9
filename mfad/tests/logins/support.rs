//! An engine on a store of its own, with a clock that a test can set.

use std::{
    future::Future,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use base64ct::Encoding as _;
use mfad::{
    audit::Trail,
    clock::{Clock, Now},
    config::{Loaded, Settings, Shadow},
    engine::Engine,
    helper::Helper,
    location::Places,
    logind::Sessions,
    session::{
        Caller, Connection,
        whereabouts::{Session, Whereabouts},
    },
    store::{SessionKey, seal::Keyring, sqlite::SqliteStore},
};
use mfad_protocol::{AuditQuery, Context, Hook, PROTOCOL, State, Step};
use policy::{Policy, Source};

/// An account that every Debian system has, and its uid.
pub(crate) const ALICE: (&str, u32) = ("daemon", 1);
/// Another one.
pub(crate) const BOB: (&str, u32) = ("bin", 2);
/// Where a TOTP step begins.
pub(crate) const START: i64 = 1_800_000_000;

/// A clock that stands where it is put.
pub(crate) struct TestClock {
    wall: AtomicI64,
    /// What time brings on, and nobody who sets the clock.
    boot: AtomicI64,
}

impl TestClock {
    /// Time passes.
    pub(crate) fn advance(&self, seconds: i64) {
        self.set(seconds);
        self.boot.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Somebody sets the clock so far on, or back. Whatever rests on the steady clock is not tried so.
    pub(crate) fn set(&self, seconds: i64) {
        self.wall.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let wall = self.wall.load(Ordering::SeqCst);
        Now {
            wall,
            steady: wall,
            boot: self.boot.load(Ordering::SeqCst),
        }
    }
}

/// A logind that says what a test wants it to.
#[derive(Default)]
pub(crate) struct TestSessions(Mutex<Whereabouts>);

impl TestSessions {
    pub(crate) fn say(&self, whereabouts: Whereabouts) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = whereabouts;
    }
}

impl Sessions for TestSessions {
    fn whereabouts<'a>(
        &'a self,
        _process: OwnedFd,
    ) -> Pin<Box<dyn Future<Output = Whereabouts> + Send + 'a>> {
        let said = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Box::pin(std::future::ready(said))
    }
}

/// A session of `uid` that came over the network.
pub(crate) fn session(id: &str, uid: u32) -> Whereabouts {
    Whereabouts::In(Session {
        key: SessionKey::of(id, 1, 1),
        id: id.into(),
        uid,
        seat: None,
        remote: true,
        host: Some("192.0.2.10".into()),
    })
}

/// What stands for a pidfd: the test's logind does not look at it.
pub(crate) fn process() -> OwnedFd {
    std::fs::File::open("/dev/null").unwrap().into()
}

/// The engine and what it stands on.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) sessions: Arc<TestSessions>,
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
        let clock = Arc::new(TestClock {
            wall: AtomicI64::new(START),
            boot: AtomicI64::new(1_000),
        });
        let keys = Keyring::generate_file().unwrap();
        let engine = engine(directory.path(), text, &keys, &clock);
        let sessions = Arc::<TestSessions>::default();
        Self {
            engine: engine.asking(Arc::<TestSessions>::clone(&sessions)),
            clock,
            sessions,
            directory,
        }
    }

    /// Puts this policy into the shadow of that one.
    pub(crate) fn shadowed_by(&self, policy: &str, shadow: &str) {
        let candidate = loaded(shadow, |_| {}).policy;
        self.engine.replace(Loaded {
            shadow: Some(Shadow::Policy(Box::new(candidate))),
            ..loaded(policy, |_| {})
        });
    }

    /// What time of day it is.
    pub(crate) fn wall(&self) -> i64 {
        self.clock.now().wall
    }

    /// The newest record of a login.
    pub(crate) async fn last_record(&self) -> serde_json::Value {
        // Records that nothing waits for are written before what is asked of the store after them.
        self.engine.store.probe().await.unwrap();
        let records = self.engine.audit(AuditQuery::default()).await.unwrap();
        let records = records.iter().rev();
        let mut logins = records
            .map(|(_, _, record)| serde_json::from_str::<serde_json::Value>(record).unwrap())
            .filter(|record| record["event"] == "authentication");
        logins.next().unwrap()
    }

    /// The same, with a helper for security keys behind that socket.
    pub(crate) fn reaching(self, socket: PathBuf) -> Self {
        Self {
            engine: self.engine.reaching(Helper::at(socket)),
            ..self
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
        self.converse(context, &[answer]).await
    }

    /// Runs a dialogue of these answers, in a connection of its own, for as long as it asks.
    pub(crate) async fn converse(&self, context: Context, answers: &[&str]) -> Step {
        let caller = root(rand_connection());
        let (session, mut step) = self.engine.begin(&caller, context, Some(process())).await;
        for answer in answers {
            if step.state != State::Continue {
                return step;
            }
            let answer = vec![answer.as_bytes().to_vec()];
            step = self.engine.respond(&caller, &session, answer).await;
        }
        step
    }

    /// The later phase of a login, with what the earlier one gave.
    pub(crate) async fn follow(&self, hook: Hook, context: Context, earlier: &Step) -> Step {
        let context = Context {
            hook: Some(hook),
            grant: earlier.grant.clone(),
            ..context
        };
        self.converse(context, &[]).await
    }

    /// A whole login that asks for these answers; the state of its last phase, the first that is not passed.
    pub(crate) async fn whole(&self, context: Context, answers: &[&str]) -> State {
        let passed = |step: &Step| matches!(step.state, State::Granted | State::NotRequired);
        let auth = self.converse(context.clone(), answers).await;
        if !passed(&auth) {
            return auth.state;
        }
        let account = self.follow(Hook::Account, context.clone(), &auth).await;
        if !passed(&account) || !context.service.starts_with("ssh") {
            return if passed(&account) {
                auth.state
            } else {
                account.state
            };
        }
        let session = self.follow(Hook::Session, context, &account).await;
        if passed(&session) {
            auth.state
        } else {
            session.state
        }
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
    let policy = Policy::parse(&[source], &mfad::config::vocabulary()).unwrap();
    Loaded {
        settings,
        policy,
        places: Places::none(),
        shadow: None,
    }
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

/// A key as sshd tells it; `number` makes it another one.
pub(crate) fn key(number: u8) -> String {
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0 ".to_vec();
    blob.extend([number; 32]);
    format!(
        "publickey ssh-ed25519 {}\n",
        base64ct::Base64::encode_string(&blob)
    )
}

/// alice's su, to become bob.
pub(crate) fn su() -> Context {
    Context {
        service: "su".into(),
        user: BOB.0.into(),
        ..sudo(ALICE.0, ALICE.1)
    }
}

/// sudo, as somebody's own, from their session.
pub(crate) fn sudo(user: &str, uid: u32) -> Context {
    Context {
        service: "sudo".into(),
        real_uid: Some(uid),
        rhost: None,
        tty: Some("/dev/pts/3".into()),
        ssh_auth_info: None,
        after_password: Some(true),
        ..ssh(user)
    }
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
