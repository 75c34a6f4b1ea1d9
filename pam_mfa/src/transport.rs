//! Owns the way to the daemon: the peer-to-peer socket first, the system bus second, both compiled in, and the check
//! of who answers. It must never follow an address from the environment, nor believe a reply before that check.

use std::{fmt, os::fd::OwnedFd};

use mfad_protocol::{Context, Step, names, printable, wire::ROOM};
use zbus::{
    Fd,
    export::serde::Serialize,
    wire::{DynamicDeserialize, DynamicType},
};
use zeroize::Zeroizing;

use crate::{bus::Bus, ffi, log::Log, patience::Patience, peer::Peer, socket};

/// Longest session name that the daemon may give, in bytes.
const MAX_SESSION: usize = 128;

/// What somebody typed. Wiped when dropped.
pub(crate) type Answer = Zeroizing<Vec<u8>>;

/// Why a call brought no step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody trustworthy answered.
    Unreachable(String),
    /// Nothing came for as long as was waited.
    Elapsed,
    /// The daemon answered with an error.
    Refused(String),
    /// This process may open nothing more. Whoever starts a program decides how much it may: it is no sign of a daemon that
    /// is out of order, and must not let pass what that would.
    Starved(String),
    /// The answer makes no sense.
    Malformed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "mfad cannot be reached ({why})"),
            Self::Elapsed => f.write_str("mfad did not answer in time"),
            Self::Refused(why) => write!(f, "mfad refused the call ({why})"),
            Self::Starved(why) => write!(f, "this program cannot open a socket ({why})"),
            Self::Malformed(why) => write!(f, "mfad broke the protocol ({why})"),
        }
    }
}

impl std::error::Error for Failure {}

/// The three calls of a dialogue. The suite of `dialogue` has a daemon of its own behind it.
pub(crate) trait Transport {
    fn begin(
        &mut self,
        context: &Context,
        patience: &mut Patience,
    ) -> Result<(String, Step), Failure>;
    fn respond(
        &mut self,
        session: &str,
        answers: &[Answer],
        descriptor: Option<OwnedFd>,
        patience: &mut Patience,
    ) -> Result<Step, Failure>;
    /// Best effort: a dialogue ends with its connection anyway.
    fn cancel(&mut self, session: &str);
}

/// The daemon, however it was reached.
pub(crate) struct Daemon<'a> {
    log: &'a Log,
    link: Option<Link>,
}

/// The two ways, open.
enum Link {
    Peer(Peer),
    Bus(Bus),
}

/// The two ways.
#[derive(Debug, Clone, Copy)]
enum Route {
    Peer,
    Bus,
}

impl<'a> Daemon<'a> {
    pub(crate) const fn new(log: &'a Log) -> Self {
        Self { log, link: None }
    }

    fn begin_on(
        &mut self,
        route: Route,
        context: &Context,
        patience: &mut Patience,
    ) -> Result<(String, Step), Failure> {
        let link = Link::reach(route, patience)?;
        let pidfd = ffi::own_pidfd();
        let descriptors: Vec<Fd<'_>> = pidfd.iter().map(Fd::from).collect();
        let (session, step): (String, Step) =
            link.call("Begin", &(context, descriptors), ROOM, patience)?;
        if session.len() > MAX_SESSION {
            return Err(Failure::Malformed("session name too long".into()));
        }
        self.link = Some(link);
        Ok((session, step))
    }
}

impl Transport for Daemon<'_> {
    fn begin(
        &mut self,
        context: &Context,
        patience: &mut Patience,
    ) -> Result<(String, Step), Failure> {
        // Twice: the daemon hangs up on a host that connects and then says nothing, which one that was stopped does.
        let again = match self.begin_on(Route::Peer, context, patience) {
            Err(Failure::Unreachable(_)) => self.begin_on(Route::Peer, context, patience),
            result => return result,
        };
        let by_socket = match again {
            Err(Failure::Unreachable(why)) => why,
            result => return result,
        };
        self.log
            .debug(format_args!("falling back to the system bus: {by_socket}"));
        match self.begin_on(Route::Bus, context, patience) {
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
        descriptor: Option<OwnedFd>,
        patience: &mut Patience,
    ) -> Result<Step, Failure> {
        let link = self
            .link
            .as_ref()
            .ok_or_else(|| Failure::Unreachable("no dialogue was begun".into()))?;
        let answers: Vec<&[u8]> = answers.iter().map(|answer| answer.as_slice()).collect();
        let descriptors: Vec<Fd<'_>> = descriptor.iter().map(Fd::from).collect();
        // Besides their bytes: a length and a padding each, and as much for the lists and the name.
        let typed: usize = answers.iter().map(|answer| answer.len() + 8).sum();
        let room = ROOM + session.len() + typed;
        let body = (session, answers, descriptors);
        link.call("Respond", &body, room, patience)
    }

    fn cancel(&mut self, session: &str) {
        match &self.link {
            Some(Link::Peer(peer)) => peer.send("Cancel", &(session,)),
            Some(Link::Bus(bus)) => bus.send("Cancel", &(session,)),
            None => {}
        }
    }
}

impl Link {
    /// Connects, and checks what can be checked before a byte is sent.
    fn reach(route: Route, patience: &mut Patience) -> Result<Self, Failure> {
        let path = match route {
            Route::Peer if nix::unistd::geteuid().is_root() => names::PAM_SOCKET,
            Route::Peer => names::USER_SOCKET,
            Route::Bus => names::SYSTEM_BUS_SOCKET,
        };
        let unreachable = |what: &dyn fmt::Display| Failure::Unreachable(format!("{path}: {what}"));
        // Whoever can connect root's logins to a listener of their own decides them. Root alone may listen at either
        // path: whose directory it is says so, and the kernel says who listened. dbus-daemon and mfad listen before
        // they drop root, systemd listens for them.
        if matches!(route, Route::Peer) && !socket::is_roots(path).map_err(|e| unreachable(&e))? {
            return Err(unreachable(&"not root's alone to create"));
        }
        let fd = socket::dial(path, patience).map_err(|error| match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) => {
                Failure::Starved(error.to_string())
            }
            _ => unreachable(&error),
        })?;
        match (socket::peer_uid(&fd), route) {
            (Ok(0), Route::Peer) => Ok(Self::Peer(Peer::new(fd))),
            (Ok(0), Route::Bus) => Bus::reach(fd, patience).map(Self::Bus),
            (Ok(uid), _) => Err(unreachable(&format_args!(
                "uid {uid} listens there, not root"
            ))),
            (Err(error), _) => Err(unreachable(&error)),
        }
    }

    fn call<B, A>(
        &self,
        member: &str,
        body: &B,
        room: usize,
        patience: &mut Patience,
    ) -> Result<A, Failure>
    where
        B: Serialize + DynamicType,
        A: for<'d> DynamicDeserialize<'d>,
    {
        match self {
            Self::Peer(peer) => peer
                .call(member, body, room, patience)?
                .body()
                .deserialize(),
            Self::Bus(bus) => bus.call(member, body, patience)?.body().deserialize(),
        }
        .map_err(|e| malformed(&e))
    }
}

pub(crate) fn malformed(error: &zbus::Error) -> Failure {
    Failure::Malformed(printable(&error.to_string()))
}
