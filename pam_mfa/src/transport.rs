//! Owns the way to the daemon: the peer-to-peer socket first, the system bus second, both compiled in, and the check
//! of who answers. It must never follow an address from the environment, nor believe a reply before that check.

use std::{
    fmt,
    os::{fd::OwnedFd, unix::fs::MetadataExt, unix::net::UnixStream},
    path::Path,
    time::Instant,
};

use mfad_protocol::{Context, Step, names, printable};
use zbus::{
    Connection, Fd, Message,
    connection::Builder,
    export::serde::Serialize,
    fdo,
    message::Flags,
    names::{OwnedUniqueName, UniqueName},
    wire::DynamicType,
};
use zeroize::Zeroizing;

use crate::{
    ffi,
    log::Log,
    runtime::{Elapsed, Runtime},
    socket::{self, PeerSocket},
};

/// The bus itself.
const BUS: &str = "org.freedesktop.DBus";
/// Longest session name that the daemon may give, in bytes.
const MAX_SESSION: usize = 128;

/// What somebody typed. Wiped when dropped.
pub(crate) type Answer = Zeroizing<Vec<u8>>;

/// Why a call brought no step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody trustworthy answered.
    Unreachable(String),
    /// The deadline passed first.
    Elapsed,
    /// The daemon answered with an error.
    Refused(String),
    /// The answer makes no sense.
    Malformed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "mfad cannot be reached ({why})"),
            Self::Elapsed => f.write_str("mfad did not answer in time"),
            Self::Refused(why) => write!(f, "mfad refused the call ({why})"),
            Self::Malformed(why) => write!(f, "mfad broke the protocol ({why})"),
        }
    }
}

impl std::error::Error for Failure {}

/// The three calls of a dialogue. The suite of `dialogue` has a daemon of its own behind it.
pub(crate) trait Transport {
    fn begin(&mut self, context: &Context, deadline: Instant) -> Result<(String, Step), Failure>;
    fn respond(
        &mut self,
        session: &str,
        answers: &[Answer],
        deadline: Instant,
    ) -> Result<Step, Failure>;
    /// Best effort: a dialogue ends with its connection anyway.
    fn cancel(&mut self, session: &str);
}

/// The daemon, however it was reached.
pub(crate) struct Daemon<'a> {
    runtime: Runtime,
    log: &'a Log,
    link: Option<Link>,
}

/// An open connection, and whom on it to talk to.
struct Link {
    connection: Connection,
    /// On the bus, the unique name whose owner was checked; a successor to the well-known name is somebody else.
    owner: Option<OwnedUniqueName>,
}

impl<'a> Daemon<'a> {
    pub(crate) fn new(log: &'a Log) -> Self {
        Self {
            runtime: Runtime::new(),
            log,
            link: None,
        }
    }

    fn begin_on(
        &mut self,
        route: Route,
        context: &Context,
        deadline: Instant,
    ) -> Result<(String, Step), Failure> {
        let fd = route.dial(deadline)?;
        let pidfd = ffi::own_pidfd();
        let runtime = self.runtime.clone();
        let work = async {
            let link = route.connect(&runtime, fd).await?;
            let descriptors: Vec<Fd<'_>> = pidfd.iter().map(Fd::from).collect();
            let reply = link.call("Begin", &(context, descriptors)).await?;
            let (session, step): (String, Step) =
                reply.body().deserialize().map_err(|e| malformed(&e))?;
            if session.len() > MAX_SESSION {
                return Err(Failure::Malformed("session name too long".into()));
            }
            Ok((link, session, step))
        };
        let (link, session, step) = self
            .runtime
            .block_on(deadline, work)
            .unwrap_or_else(elapsed)?;
        self.link = Some(link);
        Ok((session, step))
    }
}

impl Transport for Daemon<'_> {
    fn begin(&mut self, context: &Context, deadline: Instant) -> Result<(String, Step), Failure> {
        let by_socket = match self.begin_on(Route::Peer, context, deadline) {
            Err(Failure::Unreachable(why)) => why,
            result => return result,
        };
        self.log
            .debug(format_args!("falling back to the system bus: {by_socket}"));
        match self.begin_on(Route::Bus, context, deadline) {
            Err(Failure::Unreachable(by_bus)) => {
                Err(Failure::Unreachable(format!("{by_socket}; {by_bus}")))
            }
            result => result,
        }
    }

    fn respond(
        &mut self,
        session: &str,
        answers: &[Answer],
        deadline: Instant,
    ) -> Result<Step, Failure> {
        let link = self
            .link
            .as_ref()
            .ok_or_else(|| Failure::Unreachable("no dialogue was begun".into()))?;
        let answers: Vec<&[u8]> = answers.iter().map(|answer| answer.as_slice()).collect();
        let work = async {
            let reply = link
                .call("Respond", &(session, answers, Vec::<Fd<'_>>::new()))
                .await?;
            reply.body().deserialize().map_err(|e| malformed(&e))
        };
        self.runtime
            .block_on(deadline, work)
            .unwrap_or_else(elapsed)
    }

    fn cancel(&mut self, session: &str) {
        let Some(link) = &self.link else { return };
        // Without a reply there is nothing to wait for but room in the socket, and none is no reason to wait.
        let body = (session,);
        let work = link.send("Cancel", &body);
        let _ = self.runtime.block_on(Instant::now(), work);
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        self.link = None;
        self.runtime.shut_down();
    }
}

fn elapsed<T>(_: Elapsed) -> Result<T, Failure> {
    Err(Failure::Elapsed)
}

fn malformed(error: &zbus::Error) -> Failure {
    Failure::Malformed(printable(&error.to_string()))
}

/// The two ways.
#[derive(Debug, Clone, Copy)]
enum Route {
    Peer,
    Bus,
}

impl Route {
    /// Connects, and checks what can be checked before a byte is sent.
    fn dial(self, deadline: Instant) -> Result<OwnedFd, Failure> {
        let path = match self {
            Self::Peer if nix::unistd::geteuid().is_root() => names::PAM_SOCKET,
            Self::Peer => names::USER_SOCKET,
            Self::Bus => names::SYSTEM_BUS_SOCKET,
        };
        let unreachable = |what: &dyn fmt::Display| Failure::Unreachable(format!("{path}: {what}"));
        // Whoever can connect root's logins to a listener of their own decides them. Root alone may listen at either
        // path: whose directory it is says so, and the kernel says who listened. dbus-daemon and mfad listen before
        // they drop root, systemd listens for them.
        if matches!(self, Self::Peer) && !socket::is_roots(path).map_err(|e| unreachable(&e))? {
            return Err(unreachable(&"not root's alone to create"));
        }
        let fd = socket::dial(path, deadline).map_err(|e| unreachable(&e))?;
        match socket::peer_uid(&fd) {
            Ok(0) => Ok(fd),
            Ok(uid) => Err(unreachable(&format_args!(
                "uid {uid} listens there, not root"
            ))),
            Err(error) => Err(unreachable(&error)),
        }
    }

    async fn connect(self, runtime: &Runtime, fd: OwnedFd) -> Result<Link, Failure> {
        match self {
            Self::Peer => {
                let socket = PeerSocket::new(runtime, fd);
                let connection = Builder::authenticated_socket(socket, names::PEER_GUID)
                    .p2p()
                    .runtime(runtime.clone())
                    .build()
                    .await
                    .map_err(|e| broken(&e))?;
                Ok(Link {
                    connection,
                    owner: None,
                })
            }
            Self::Bus => {
                let connection = Builder::unix_stream(UnixStream::from(fd))
                    .runtime(runtime.clone())
                    .build()
                    .await
                    .map_err(|e| broken(&e))?;
                activate(connection).await
            }
        }
    }
}

/// Finds the daemon on the bus, started if need be, and makes sure that the name's owner may own it.
async fn activate(connection: Connection) -> Result<Link, Failure> {
    let mut owner = name_owner(&connection).await?;
    if owner.is_none() {
        ask_bus(&connection, "StartServiceByName", &(names::BUS_NAME, 0_u32))
            .await
            .map_err(|e| broken(&e))?;
        owner = name_owner(&connection).await?;
    }
    let owner = owner.ok_or_else(|| Failure::Unreachable("mfad was started and is gone".into()))?;
    let reply = ask_bus(&connection, "GetConnectionUnixUser", &(owner.as_str(),)).await;
    let reply = reply.map_err(|e| broken(&e))?;
    let uid: u32 = reply.body().deserialize().map_err(|e| malformed(&e))?;
    if uid != 0 && Some(uid) != state_owner() {
        return Err(Failure::Unreachable(format!(
            "{} is owned by uid {uid}, neither root nor {}",
            names::BUS_NAME,
            names::DAEMON_USER
        )));
    }
    Ok(Link {
        connection,
        owner: Some(owner),
    })
}

async fn name_owner(connection: &Connection) -> Result<Option<OwnedUniqueName>, Failure> {
    match ask_bus(connection, "GetNameOwner", &(names::BUS_NAME,)).await {
        Ok(reply) => reply
            .body()
            .deserialize()
            .map(Some)
            .map_err(|e| malformed(&e)),
        Err(zbus::Error::FDO(error)) if matches!(*error, fdo::Error::NameHasNoOwner(_)) => Ok(None),
        Err(error) => Err(broken(&error)),
    }
}

async fn ask_bus<B: Serialize + DynamicType>(
    connection: &Connection,
    member: &str,
    body: &B,
) -> zbus::Result<Message> {
    connection
        .call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), member, body)
        .await
}

/// The uid of the user `mfad`, told by its state directory: asking NSS for it can block, or come back to PAM. `/var/lib`
/// is root's alone to write to, so only root can have put the directory there and given it to somebody.
fn state_owner() -> Option<u32> {
    let directory = std::fs::symlink_metadata(names::STATE_DIR).ok()?;
    let parent = std::fs::symlink_metadata(Path::new(names::STATE_DIR).parent()?).ok()?;
    let roots = parent.is_dir() && parent.uid() == 0 && parent.mode() & 0o022 == 0;
    (roots && directory.is_dir()).then(|| directory.uid())
}

impl Link {
    async fn call<B: Serialize + DynamicType>(
        &self,
        member: &str,
        body: &B,
    ) -> Result<Message, Failure> {
        let reply = self
            .connection
            .call_method(
                self.owner.as_deref().map(UniqueName::as_ref),
                names::OBJECT,
                Some(names::AUTHENTICATION),
                member,
                body,
            )
            .await;
        reply.map_err(|error| self.failure(&error))
    }

    /// Without waiting for a reply.
    async fn send<B: Serialize + DynamicType>(&self, member: &str, body: &B) -> zbus::Result<()> {
        let mut message = Message::method_call(names::OBJECT, member)
            .with_flags(Flags::NO_REPLY_EXPECTED)
            .interface(names::AUTHENTICATION);
        if let Some(owner) = &self.owner {
            message = message.destination(owner);
        }
        if let Some(name) = self.connection.unique_name() {
            message = message.sender(name);
        }
        self.connection.send(&message.build(body)?).await
    }

    /// A D-Bus error is the daemon's answer, whatever it is called: nobody may turn a refusal into "unreachable". Only
    /// these, and only on a bus, are the bus's own words for "the daemon is gone".
    fn failure(&self, error: &zbus::Error) -> Failure {
        let text = printable(&error.to_string());
        match error {
            zbus::Error::FDO(error)
                if self.owner.is_some()
                    && matches!(
                        **error,
                        fdo::Error::ServiceUnknown(_)
                            | fdo::Error::NameHasNoOwner(_)
                            | fdo::Error::NoReply(_)
                            | fdo::Error::Disconnected(_)
                    ) =>
            {
                Failure::Unreachable(text)
            }
            zbus::Error::FDO(_) | zbus::Error::MethodError(..) => Failure::Refused(text),
            _ => broken(error),
        }
    }
}

/// An error below the dialogue: of the connection, or of the bus about the daemon.
fn broken(error: &zbus::Error) -> Failure {
    Failure::Unreachable(printable(&error.to_string()))
}
