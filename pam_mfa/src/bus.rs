//! Owns the way to the daemon over the system bus, for when its socket is not there: the bus can start it. It must
//! never believe whoever owns the name before it knows the owner's uid.

use std::{
    os::{fd::OwnedFd, unix::fs::MetadataExt, unix::net::UnixStream},
    path::Path,
    time::Duration,
};

use mfad_protocol::{names, printable};
use zbus::{
    Connection, Message, connection::Builder, export::serde::Serialize, fdo, message::Flags,
    names::OwnedUniqueName, wire::DynamicType,
};

use crate::{
    patience::Patience,
    runtime::Runtime,
    transport::{Failure, malformed},
};

/// The bus itself.
const BUS: &str = "org.freedesktop.DBus";

/// A connection to the bus, and whom on it to talk to.
pub(crate) struct Bus {
    runtime: Runtime,
    /// `None` only while it is being dropped.
    link: Option<Link>,
}

struct Link {
    connection: Connection,
    /// The unique name whose owner was checked; a successor to the well-known name is somebody else.
    owner: OwnedUniqueName,
}

impl Bus {
    /// Finds the daemon on the bus at the other end of `fd`.
    pub(crate) fn reach(fd: OwnedFd, patience: &mut Patience) -> Result<Self, Failure> {
        let runtime = Runtime::new();
        let work = async {
            let connection = Builder::unix_stream(UnixStream::from(fd))
                .runtime(runtime.clone())
                .build()
                .await
                .map_err(|e| broken(&e))?;
            activate(connection).await
        };
        let found = runtime.block_on(patience, work);
        // Made first, so that whatever was begun is ended by its drop.
        let mut bus = Self {
            runtime,
            link: None,
        };
        bus.link = Some(found.unwrap_or(Err(Failure::Elapsed))?);
        Ok(bus)
    }

    pub(crate) fn call<B: Serialize + DynamicType>(
        &self,
        member: &str,
        body: &B,
        patience: &mut Patience,
    ) -> Result<Message, Failure> {
        let Some(link) = &self.link else {
            return Err(Failure::Unreachable("the bus was left".into()));
        };
        let call = link.connection.call_method(
            Some(link.owner.as_ref()),
            names::OBJECT,
            Some(names::AUTHENTICATION),
            member,
            body,
        );
        match self.runtime.block_on(patience, call) {
            Ok(reply) => reply.map_err(|error| failure(&error)),
            Err(_) => Err(Failure::Elapsed),
        }
    }

    /// Without a reply there is nothing to wait for but room in the socket, and none is no reason to wait.
    pub(crate) fn send<B: Serialize + DynamicType>(&self, member: &str, body: &B) {
        let Some(link) = &self.link else { return };
        let work = async {
            let mut message = Message::method_call(names::OBJECT, member)
                .with_flags(Flags::NO_REPLY_EXPECTED)
                .interface(names::AUTHENTICATION)
                .destination(&link.owner);
            if let Some(name) = link.connection.unique_name() {
                message = message.sender(name);
            }
            link.connection.send(&message.build(body)?).await
        };
        let mut none = Patience::of(Duration::ZERO);
        let _best_effort: Result<zbus::Result<()>, _> = self.runtime.block_on(&mut none, work);
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.link = None;
        self.runtime.shut_down();
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
    Ok(Link { connection, owner })
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

/// A D-Bus error is the daemon's answer, whatever it is called: nobody may turn a refusal into "unreachable". Only these
/// are the bus's own words for "the daemon is gone".
fn failure(error: &zbus::Error) -> Failure {
    let text = printable(&error.to_string());
    match error {
        zbus::Error::FDO(error)
            if matches!(
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

/// An error below the dialogue: of the connection, or of the bus about the daemon.
fn broken(error: &zbus::Error) -> Failure {
    Failure::Unreachable(printable(&error.to_string()))
}
