//! A mock of mfad on a private bus. It plays the D-Bus contract with fixed answers; it decides and keeps nothing real.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use mfad_protocol::{
    CredentialInfo, DeviceInfo, EnrollmentOffer, EnrollmentOptions, ExplainQuery, UserInfo, names,
};

mod administration;
mod authentication;
mod bus;
mod enrollment;

use administration::MockAdministration;
use authentication::MockAuthentication;
use enrollment::MockEnrollment;

pub(crate) use bus::MockBus;

/// The code that confirms an offer.
pub(crate) const FIRST_CODE: &str = "123456";
/// The code that proves a user who is enrolled.
pub(crate) const PROOF: &str = "654321";
pub(crate) const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// What the mock knows, and every call that it received.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) calls: Vec<String>,
    pub(crate) credentials: Vec<CredentialInfo>,
    pub(crate) users: BTreeMap<String, u32>,
    pub(crate) records: Vec<(i64, i64, String)>,
    /// Refuses administration, as to somebody who is not root.
    pub(crate) deny_administration: bool,
    /// What is wrong with it.
    pub(crate) problems: Vec<String>,
    /// Refuses a reload.
    pub(crate) broken_configuration: bool,
    /// What a call fails with, in place of its answer.
    pub(crate) hostile_error: Option<String>,
    /// Service for which no factor is wanted.
    pub(crate) open_service: Option<String>,
    pub(crate) offers: BTreeMap<String, String>,
    pub(crate) devices: Vec<DeviceInfo>,
    pub(crate) requirement: Option<String>,
    pub(crate) shadow_rules: Option<u32>,
    pub(crate) shadow_problems: Option<Vec<String>>,
    pub(crate) explained: Vec<ExplainQuery>,
}

#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.mfad.Mfad1.Error")]
enum MockError {
    #[zbus(error)]
    Bus(zbus::Error),
    Denied(String),
    NotFound(String),
    NeedsGrant(String),
}

impl State {
    pub(crate) fn with_a_problem() -> Self {
        Self {
            problems: vec!["The mock has a problem. Run: mock --repair".into()],
            ..Self::default()
        }
    }
}

type Shared = Arc<Mutex<State>>;

fn credential(kind: &str, name: &str) -> CredentialInfo {
    CredentialInfo {
        id: format!("id-of-{name}"),
        kind: kind.to_owned(),
        name: name.to_owned(),
        created: 1_795_500_000,
        last_used: None,
        detail: (kind != "backup-codes").then(|| "SHA1, 6 digits, 30 s".to_owned()),
        left: (kind == "backup-codes").then_some(10),
    }
}

fn offer(id: &str, kind: &str, options: &EnrollmentOptions) -> EnrollmentOffer {
    let secret = kind != "backup-codes";
    EnrollmentOffer {
        id: id.to_owned(),
        kind: kind.to_owned(),
        name: options.name.clone().unwrap_or_else(|| kind.to_owned()),
        uri: secret.then(|| format!("otpauth://{kind}/mock:alice?secret={SECRET}&issuer=mock")),
        secret: secret.then(|| SECRET.to_owned()),
        codes: (!secret).then(|| ('A'..='J').map(|c| c.to_string().repeat(16)).collect()),
    }
}

fn person(name: &str, uid: u32, credentials: &[CredentialInfo]) -> UserInfo {
    UserInfo {
        user: name.to_owned(),
        uid,
        enrolled: !credentials.is_empty(),
        credentials: credentials.to_vec(),
        budgets: Vec::new(),
        last_login: None,
        preferred: None,
        requirement: None,
    }
}

/// The mock daemon on a mock bus.
pub(crate) struct MockDaemon {
    pub(crate) state: Shared,
    pub(crate) bus: MockBus,
    /// Ends the daemon's thread when it is dropped.
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl MockDaemon {
    pub(crate) fn start(state: State) -> Self {
        let bus = MockBus::start();
        let state = Arc::new(Mutex::new(state));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let (socket, shared) = (bus.socket(), state.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
                let serving = zbus::connection::Builder::unix_stream(stream)
                    .serve_at(names::OBJECT, MockEnrollment(shared.clone()))
                    .serve_at(names::OBJECT, MockAuthentication(shared.clone()))
                    .serve_at(names::OBJECT, MockAdministration(shared))
                    .name(names::BUS_NAME)
                    .build()
                    .await
                    .unwrap();
                ready.send(()).unwrap();
                let _ = stopped.await;
                drop(serving);
            });
        });
        is_ready
            .recv_timeout(Duration::from_secs(10))
            .expect("the mock daemon does not come up");
        Self {
            state,
            bus,
            _stop: stop,
        }
    }

    /// A mock whose user has a phone already.
    pub(crate) fn with_phone() -> Self {
        Self::start(State {
            credentials: vec![credential("totp", "phone")],
            ..State::default()
        })
    }

    /// A mock that knows these users.
    pub(crate) fn with_users(names: &[&str]) -> Self {
        let users = names.iter().zip(1000..);
        Self::start(State {
            users: users.map(|(name, uid)| ((*name).to_owned(), uid)).collect(),
            ..State::default()
        })
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }

    pub(crate) fn factor_names(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state
            .credentials
            .iter()
            .map(|factor| factor.name.clone())
            .collect()
    }
}
