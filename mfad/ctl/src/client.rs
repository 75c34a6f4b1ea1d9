//! The wire to the daemon: proxies, deadlines, and the errors of D-Bus made into a [`Failure`]. It shows nothing.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mfad_protocol::{
    AuditQuery, Context, CredentialInfo, DaemonStatus, DeviceInfo, EnrollmentOffer,
    EnrollmentOptions, ExplainQuery, PolicyExplanation, ReloadReport, Step, UserInfo, names,
};
use nix::unistd::geteuid;
use tokio::net::UnixStream;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use zbus::{Connection, OwnedFd, connection, fdo};

use crate::failure::{Failure, Refusal};
use crate::render;

/// How long the bus may take to let us in.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the daemon may take for one call, its activation included.
const CALL: Duration = Duration::from_secs(30);
/// How much longer for somebody who is not root: a person may be asked for a password and a code first.
const POLKIT: Duration = Duration::from_mins(1);
/// How long a cancellation may hold up the exit.
const CANCEL: Duration = Duration::from_secs(2);

/// Logins.
#[zbus::proxy(
    interface = "org.mfad.Mfad1.Authentication",
    default_service = "org.mfad.Mfad1",
    default_path = "/org/mfad/Mfad1"
)]
pub trait Authentication {
    /// Begins a dialogue.
    fn begin(&self, context: Context, fds: Vec<OwnedFd>) -> zbus::Result<(String, Step)>;
    /// Answers a step.
    fn respond(
        &self,
        session: &str,
        answers: Vec<Vec<u8>>,
        fds: Vec<OwnedFd>,
    ) -> zbus::Result<Step>;
    /// Ends a dialogue.
    fn cancel(&self, session: &str) -> zbus::Result<()>;
}

/// The caller's own factors.
#[zbus::proxy(
    interface = "org.mfad.Mfad1.Enrollment",
    default_service = "org.mfad.Mfad1",
    default_path = "/org/mfad/Mfad1"
)]
pub trait Enrollment {
    /// The caller as the daemon knows them.
    fn status(&self) -> zbus::Result<UserInfo>;
    /// Offers a new factor.
    fn begin(
        &self,
        kind: &str,
        options: EnrollmentOptions,
        grant: &str,
    ) -> zbus::Result<EnrollmentOffer>;
    /// Stores an offered factor.
    fn confirm(&self, offer: &str, code: &str) -> zbus::Result<CredentialInfo>;
    /// Stores an offered SSH key, which signs through this agent.
    fn confirm_key(&self, offer: &str, fds: Vec<OwnedFd>) -> zbus::Result<CredentialInfo>;
    /// One turn of enrolling a security key of this machine.
    fn confirm_security_key(
        &self,
        offer: &str,
        answers: Vec<Vec<u8>>,
        fds: Vec<OwnedFd>,
    ) -> zbus::Result<(Step, Vec<CredentialInfo>)>;
    /// Forgets an offer.
    fn cancel(&self, offer: &str) -> zbus::Result<()>;
    /// Removes a factor.
    fn remove(&self, credential: &str, grant: &str) -> zbus::Result<()>;
    /// Renames a factor.
    fn rename(&self, credential: &str, name: &str) -> zbus::Result<()>;
    /// Remembered devices.
    fn list_devices(&self) -> zbus::Result<Vec<DeviceInfo>>;
    /// Forgets one, or all.
    fn revoke_devices(&self, device: &str) -> zbus::Result<u32>;
    /// Sets what is demanded beyond the policy.
    fn require(&self, text: &str, grant: &str) -> zbus::Result<()>;
    /// Sets which kind is asked for first.
    fn prefer(&self, kind: &str) -> zbus::Result<()>;
}

/// The administrator's acts. Polkit may ask the person at the terminal.
#[zbus::proxy(
    interface = "org.mfad.Mfad1.Administration",
    default_service = "org.mfad.Mfad1",
    default_path = "/org/mfad/Mfad1"
)]
pub trait Administration {
    /// How the daemon is.
    #[zbus(allow_interactive_auth)]
    fn status(&self) -> zbus::Result<DaemonStatus>;
    /// Users whose names sort after `after`.
    #[zbus(allow_interactive_auth)]
    fn list_users(&self, after: &str, limit: u32) -> zbus::Result<Vec<UserInfo>>;
    /// One user.
    #[zbus(allow_interactive_auth)]
    fn show_user(&self, user: &str) -> zbus::Result<UserInfo>;
    /// Gives a user a factor that can be used at once.
    #[zbus(allow_interactive_auth)]
    fn enroll_user(
        &self,
        user: &str,
        kind: &str,
        options: EnrollmentOptions,
    ) -> zbus::Result<EnrollmentOffer>;
    /// Removes a user's factor.
    #[zbus(allow_interactive_auth)]
    fn remove_credential(&self, user: &str, credential: &str) -> zbus::Result<()>;
    /// Clears a user's delays and failures.
    #[zbus(allow_interactive_auth)]
    fn unlock_user(&self, user: &str, clock: bool) -> zbus::Result<()>;
    /// Forgets a user's factors.
    #[zbus(allow_interactive_auth)]
    fn reset_user(&self, user: &str) -> zbus::Result<()>;
    /// A user's remembered devices.
    #[zbus(allow_interactive_auth)]
    fn list_devices(&self, user: &str) -> zbus::Result<Vec<DeviceInfo>>;
    /// Forgets one of them, or all.
    #[zbus(allow_interactive_auth)]
    fn revoke_devices(&self, user: &str, device: &str) -> zbus::Result<u32>;
    /// Takes away what a user demands beyond the policy.
    #[zbus(allow_interactive_auth)]
    fn clear_requirement(&self, user: &str) -> zbus::Result<()>;
    /// Audit records, oldest first: sequence, time, JSON.
    #[zbus(allow_interactive_auth)]
    fn audit(&self, query: AuditQuery) -> zbus::Result<Vec<(i64, i64, String)>>;
    /// What the policy says of a login.
    #[zbus(allow_interactive_auth)]
    fn explain_policy(&self, query: ExplainQuery) -> zbus::Result<PolicyExplanation>;
    /// Reads the configuration anew.
    #[zbus(allow_interactive_auth)]
    fn reload(&self) -> zbus::Result<ReloadReport>;
}

/// What the daemon holds for us and should drop when we leave early.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pending {
    Dialogue(String),
    Offer(String),
}

/// The daemon, connected to when it is first asked, and what is unfinished there.
pub struct Client {
    socket: PathBuf,
    connection: OnceCell<Connection>,
    pending: RefCell<Vec<Pending>>,
}

impl Client {
    /// The daemon on the bus behind `socket`; the system bus, which the environment cannot move, if that is `None`.
    pub fn new(socket: Option<PathBuf>) -> Self {
        Self {
            socket: socket.unwrap_or_else(|| PathBuf::from(names::SYSTEM_BUS_SOCKET)),
            connection: OnceCell::new(),
            pending: RefCell::new(Vec::new()),
        }
    }

    async fn connection(&self) -> Result<&Connection, Failure> {
        self.connection
            .get_or_try_init(|| connect(&self.socket))
            .await
    }

    /// Logins.
    pub async fn authentication(&self) -> Result<AuthenticationProxy<'_>, Failure> {
        let proxy = AuthenticationProxy::new(self.connection().await?).await;
        proxy.map_err(|error| lost(&error))
    }

    /// The caller's own factors.
    pub async fn enrollment(&self) -> Result<EnrollmentProxy<'_>, Failure> {
        let proxy = EnrollmentProxy::new(self.connection().await?).await;
        proxy.map_err(|error| lost(&error))
    }

    /// The administrator's acts.
    pub async fn administration(&self) -> Result<AdministrationProxy<'_>, Failure> {
        let proxy = AdministrationProxy::new(self.connection().await?).await;
        proxy.map_err(|error| lost(&error))
    }

    /// Remembers a dialogue until [`Self::dialogue_over`].
    pub fn dialogue_begun(&self, session: &str) {
        self.pending
            .borrow_mut()
            .push(Pending::Dialogue(session.to_owned()));
    }

    /// The dialogue reached its end.
    pub fn dialogue_over(&self, session: &str) {
        self.settle(&Pending::Dialogue(session.to_owned()));
    }

    /// Remembers an offer until [`Self::offer_over`].
    pub fn offer_begun(&self, offer: &str) {
        self.pending
            .borrow_mut()
            .push(Pending::Offer(offer.to_owned()));
    }

    /// The offer is stored.
    pub fn offer_over(&self, offer: &str) {
        self.settle(&Pending::Offer(offer.to_owned()));
    }

    fn settle(&self, done: &Pending) {
        self.pending.borrow_mut().retain(|pending| pending != done);
    }

    /// Tells the daemon to drop what was left unfinished, and whether an offered factor was. Bounded, and silent: the
    /// daemon drops it by itself too, when this connection ends.
    pub async fn abandon(&self) -> bool {
        let unfinished = self.pending.take();
        let offered = unfinished
            .iter()
            .any(|pending| matches!(pending, Pending::Offer(_)));
        let _ = timeout(CANCEL, async {
            for pending in unfinished {
                match pending {
                    Pending::Dialogue(session) => {
                        if let Ok(proxy) = self.authentication().await {
                            let _ = proxy.cancel(&session).await;
                        }
                    }
                    Pending::Offer(offer) => {
                        if let Ok(proxy) = self.enrollment().await {
                            let _ = proxy.cancel(&offer).await;
                        }
                    }
                }
            }
        })
        .await;
        offered
    }
}

async fn connect(socket: &Path) -> Result<Connection, Failure> {
    let attempt = timeout(CONNECT, async {
        let stream = UnixStream::connect(socket).await.map_err(|error| {
            Failure::Unreachable(format!(
                "The system bus at {} cannot be reached: {error}.",
                socket.display()
            ))
        })?;
        let stream = stream.into_std().map_err(|error| lost(&error))?;
        connection::Builder::unix_stream(stream)
            .method_timeout(patience())
            .build()
            .await
            .map_err(|error| lost(&error))
    });
    attempt.await.unwrap_or_else(|_| {
        Err(Failure::Unreachable(format!(
            "The system bus did not answer within {} s.",
            CONNECT.as_secs()
        )))
    })
}

fn lost(error: &dyn std::error::Error) -> Failure {
    Failure::Unreachable(format!(
        "The connection to the system bus failed: {}.",
        render::shown(&error.to_string())
    ))
}

/// The error of a call, in the console's terms.
pub fn failure(error: zbus::Error) -> Failure {
    const PREFIX: &str = "org.mfad.Mfad1.Error.";
    match error {
        zbus::Error::MethodError(name, message, _) => {
            let message = message.filter(|text| !text.trim().is_empty()).map_or_else(
                || "The daemon refused.".to_owned(),
                |text| render::shown(&text),
            );
            match name.as_str().strip_prefix(PREFIX) {
                Some(word) => Failure::Refused(Refusal::from_word(word), message),
                // What the bus passes on where systemd could not start the daemon: masked, or it failed.
                None if name.as_str().starts_with("org.freedesktop.systemd1.") => {
                    Failure::Unreachable(format!(
                        "The daemon could not be started: {}.",
                        message.trim_end_matches('.')
                    ))
                }
                None => Failure::Refused(
                    Refusal::Other,
                    format!("{}: {message}", render::shown(name.as_str())),
                ),
            }
        }
        zbus::Error::FDO(error) => from_bus(&error),
        zbus::Error::InputOutput(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            unanswered()
        }
        zbus::Error::InputOutput(error) => lost(&error),
        other => Failure::Refused(
            Refusal::Other,
            format!(
                "The daemon's reply cannot be read ({}): mfactl and mfad may be of different versions.",
                render::shown(&other.to_string())
            ),
        ),
    }
}

/// An error that the bus itself returned.
fn from_bus(error: &fdo::Error) -> Failure {
    match error {
        fdo::Error::AccessDenied(_) | fdo::Error::AuthFailed(_) => Failure::Refused(
            Refusal::Denied,
            "The system bus does not let you call this.".to_owned(),
        ),
        fdo::Error::NoReply(_) | fdo::Error::TimedOut(_) | fdo::Error::Timeout(_) => unanswered(),
        fdo::Error::UnknownMethod(_)
        | fdo::Error::UnknownInterface(_)
        | fdo::Error::UnknownObject(_)
        | fdo::Error::InvalidArgs(_) => Failure::Refused(
            Refusal::Other,
            "The daemon does not know this call: mfactl and mfad are of different versions."
                .to_owned(),
        ),
        other => Failure::Unreachable(format!(
            "The daemon could not be reached: {}.",
            render::shown(bus_words(other).trim_end_matches('.'))
        )),
    }
}

/// What the bus says, without the name of its error, which helps nobody at a terminal.
fn bus_words(error: &fdo::Error) -> String {
    let text = error.to_string();
    match text.split_once(": ") {
        Some((name, words)) if name.starts_with("org.freedesktop.") => words.to_owned(),
        _ => text,
    }
}

/// How long one call may take.
fn patience() -> Duration {
    if geteuid().is_root() {
        CALL
    } else {
        CALL + POLKIT
    }
}

/// Whose limit it was is not known: the bus gives up on a daemon that does not start before we would.
fn unanswered() -> Failure {
    Failure::Unreachable(
        "The daemon did not answer in time: it hangs, or it does not start.".to_owned(),
    )
}
