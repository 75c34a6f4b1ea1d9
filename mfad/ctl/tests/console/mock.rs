//! A mock of mfad on a private bus. It plays the D-Bus contract with fixed answers; it decides and keeps nothing real.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use mfad_protocol::{
    AuditQuery, Context, CredentialInfo, DaemonStatus, DeviceInfo, EnrollmentOffer,
    EnrollmentOptions, Message, ReloadReport, State as DialogueState, Step, Style, UserInfo, names,
};
use zbus::OwnedFd;

mod bus;
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
    /// Refuses a reload.
    pub(crate) broken_configuration: bool,
    /// What a call fails with, in place of its answer.
    pub(crate) hostile_error: Option<String>,
    /// Service for which no factor is wanted.
    pub(crate) open_service: Option<String>,
    pub(crate) offers: BTreeMap<String, String>,
    pub(crate) devices: Vec<DeviceInfo>,
    pub(crate) requirement: Option<String>,
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

struct MockEnrollment(Shared);

#[zbus::interface(name = "org.mfad.Mfad1.Enrollment")]
impl MockEnrollment {
    fn status(&self) -> Result<UserInfo, MockError> {
        let mut state = self.0.lock().unwrap();
        state.calls.push("Status".into());
        if let Some(text) = state.hostile_error.clone() {
            return Err(MockError::NotFound(text));
        }
        Ok(UserInfo {
            requirement: state.requirement.clone(),
            ..person("alice", 1000, &state.credentials)
        })
    }

    fn begin(
        &self,
        kind: &str,
        options: EnrollmentOptions,
        grant: &str,
    ) -> Result<EnrollmentOffer, MockError> {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("Begin {kind} {grant}").trim_end().to_owned());
        if !state.credentials.is_empty() && grant != "grant" {
            return Err(MockError::NeedsGrant("Prove a factor first.".into()));
        }
        let offer = offer("offer-1", kind, &options);
        state.offers.insert(offer.name.clone(), kind.to_owned());
        Ok(offer)
    }

    fn confirm(&self, id: &str, code: &str) -> Result<CredentialInfo, MockError> {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("Confirm {id} {code}").trim_end().to_owned());
        let Some((name, kind)) = state
            .offers
            .first_key_value()
            .map(|(n, k)| (n.clone(), k.clone()))
        else {
            return Err(MockError::NotFound(
                "There is no such offer. Enroll again.".into(),
            ));
        };
        if kind != "backup-codes" && code != FIRST_CODE {
            return Err(MockError::Denied("That code is not right.".into()));
        }
        state.offers.clear();
        let stored = credential(&kind, &name);
        state.credentials.push(stored.clone());
        Ok(stored)
    }

    fn cancel(&self, id: &str) {
        let mut state = self.0.lock().unwrap();
        state.calls.push(format!("Cancel {id}"));
        state.offers.clear();
    }

    fn remove(&self, name: &str, grant: &str) -> Result<(), MockError> {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("Remove {name} {grant}").trim_end().to_owned());
        if grant != "grant" {
            return Err(MockError::NeedsGrant("Prove a factor first.".into()));
        }
        state
            .credentials
            .retain(|credential| credential.name != name);
        Ok(())
    }

    fn rename(&self, name: &str, new: &str) -> Result<(), MockError> {
        let mut state = self.0.lock().unwrap();
        state.calls.push(format!("Rename {name} {new}"));
        match state
            .credentials
            .iter_mut()
            .find(|credential| credential.name == name)
        {
            Some(credential) => {
                new.clone_into(&mut credential.name);
                Ok(())
            }
            None => Err(MockError::NotFound(
                "You have no such factor. See `mfactl status`.".into(),
            )),
        }
    }

    fn list_devices(&self) -> Vec<DeviceInfo> {
        let mut state = self.0.lock().unwrap();
        state.calls.push("ListDevices".into());
        state.devices.clone()
    }

    fn revoke_devices(&self, device: &str) -> Result<u32, MockError> {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("RevokeDevices {device}").trim_end().to_owned());
        let before = state.devices.len();
        state.devices.retain(|known| !known.id.starts_with(device));
        let count = u32::try_from(before - state.devices.len()).unwrap();
        if count == 0 && !device.is_empty() {
            return Err(MockError::NotFound("There is no such device.".into()));
        }
        Ok(count)
    }

    fn require(&self, text: &str, grant: &str) -> Result<(), MockError> {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("Require {grant}").trim_end().to_owned());
        if grant != "grant" {
            return Err(MockError::NeedsGrant("Prove a factor first.".into()));
        }
        state.requirement = (!text.is_empty()).then(|| text.to_owned());
        Ok(())
    }

    fn prefer(&self, kind: &str) {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("Prefer {kind}").trim_end().to_owned());
    }
}

struct MockAuthentication(Shared);

#[zbus::interface(name = "org.mfad.Mfad1.Authentication")]
impl MockAuthentication {
    fn begin(&self, context: Context, fds: Vec<OwnedFd>) -> (String, Step) {
        let mut state = self.0.lock().unwrap();
        state.calls.push(format!("Dialogue {}", context.service));
        assert!(fds.is_empty(), "a console has no descriptor to send");
        if state.open_service.as_ref() == Some(&context.service) {
            return ("dialogue-1".into(), Step::of(DialogueState::NotRequired));
        }
        let messages = vec![
            Message {
                style: Style::Info,
                text: "Codes of the mock.".into(),
            },
            Message {
                style: Style::Secret,
                text: "Verification code: ".into(),
            },
        ];
        let step = Step {
            messages,
            ..Step::of(DialogueState::Continue)
        };
        ("dialogue-1".into(), step)
    }

    fn respond(&self, session: &str, answers: Vec<Vec<u8>>, fds: Vec<OwnedFd>) -> Step {
        let mut state = self.0.lock().unwrap();
        state.calls.push("Respond".into());
        let known = session == "dialogue-1" && fds.is_empty();
        if known && answers == [PROOF.as_bytes().to_vec()] {
            Step {
                grant: Some("grant".into()),
                ..Step::of(DialogueState::Granted)
            }
        } else {
            Step::of(DialogueState::Denied)
        }
    }

    fn cancel(&self, session: &str) {
        self.0
            .lock()
            .unwrap()
            .calls
            .push(format!("Cancel {session}"));
    }
}

struct MockAdministration(Shared);

impl MockAdministration {
    fn called(&self, call: String) -> Result<std::sync::MutexGuard<'_, State>, MockError> {
        let mut state = self.0.lock().unwrap();
        state.calls.push(call);
        if state.deny_administration {
            return Err(MockError::Denied("Only root may do this.".into()));
        }
        Ok(state)
    }
}

#[zbus::interface(name = "org.mfad.Mfad1.Administration")]
impl MockAdministration {
    fn status(&self) -> Result<DaemonStatus, MockError> {
        drop(self.called("DaemonStatus".into())?);
        Ok(DaemonStatus {
            version: "0-mock".into(),
            protocol: 1,
            started: 1_795_500_000,
            enrolled: 2,
            sessions: 0,
            rules: 1,
            problems: vec!["The mock has a problem. Run: mock --repair".into()],
        })
    }

    fn list_users(&self, after: &str, limit: u32) -> Result<Vec<UserInfo>, MockError> {
        let state = self.called(format!("ListUsers {after}"))?;
        let phone = [credential("totp", "phone")];
        let following = state.users.iter().filter(|(name, _)| name.as_str() > after);
        Ok(following
            .take(limit as usize)
            .map(|(name, uid)| person(name, *uid, &phone))
            .collect())
    }

    fn show_user(&self, user: &str) -> Result<UserInfo, MockError> {
        let state = self.called(format!("ShowUser {user}"))?;
        let Some(uid) = state.users.get(user) else {
            return Err(MockError::NotFound(format!("Nobody is called {user}.")));
        };
        let factors = [
            credential("totp", "phone"),
            credential("backup-codes", "paper"),
        ];
        Ok(person(user, *uid, &factors))
    }

    fn enroll_user(
        &self,
        user: &str,
        kind: &str,
        options: EnrollmentOptions,
    ) -> Result<EnrollmentOffer, MockError> {
        drop(self.called(format!("EnrollUser {user} {kind}"))?);
        Ok(offer("credential-1", kind, &options))
    }

    fn list_devices(&self, user: &str) -> Result<Vec<DeviceInfo>, MockError> {
        Ok(self.called(format!("ListDevices {user}"))?.devices.clone())
    }

    fn revoke_devices(&self, user: &str, device: &str) -> Result<u32, MockError> {
        let call = format!("RevokeDevices {user} {device}");
        drop(self.called(call.trim_end().to_owned())?);
        Ok(2)
    }

    fn clear_requirement(&self, user: &str) -> Result<(), MockError> {
        self.called(format!("ClearRequirement {user}")).map(drop)
    }

    fn remove_credential(&self, user: &str, name: &str) -> Result<(), MockError> {
        self.called(format!("RemoveCredential {user} {name}"))
            .map(drop)
    }

    fn unlock_user(&self, user: &str, clock: bool) -> Result<(), MockError> {
        self.called(format!("UnlockUser {user} {clock}")).map(drop)
    }

    fn reset_user(&self, user: &str) -> Result<(), MockError> {
        self.called(format!("ResetUser {user}")).map(drop)
    }

    fn audit(&self, query: AuditQuery) -> Result<Vec<(i64, i64, String)>, MockError> {
        let state = self.called(format!("Audit since {:?}", query.since))?;
        let after = query.after.unwrap_or(0);
        let records = state.records.iter().filter(|record| record.0 > after);
        Ok(records.cloned().collect())
    }

    fn reload(&self) -> Result<ReloadReport, MockError> {
        let state = self.called("Reload".into())?;
        Ok(ReloadReport {
            applied: !state.broken_configuration,
            errors: if state.broken_configuration {
                vec!["policy.toml:1:1: broken".into()]
            } else {
                Vec::new()
            },
        })
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
