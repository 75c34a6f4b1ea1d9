//! One peer of a login socket: its calls, one after the other, to the Authentication interface alone.
//! Dispatch only: what it answers is decided behind `authentication`.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mfad_protocol::{
    Context, limits, names,
    wire::{Incoming, Outgoing},
};
use tokio::time::Instant;
use zbus::{
    Fd,
    export::serde::Serialize,
    message::{Flags, Header, Type},
    names::{InterfaceName, MemberName},
    object_server::Interface,
    wire::DynamicType,
};
use zeroize::Zeroizing;

use super::{
    authentication::{self, Authentication, first},
    stream::Stream,
};
use crate::{core::Core, session::Caller};

/// Longest life of a connection: the longest dialogue of a module, and a little.
const LIFETIME: Duration = Duration::from_secs(*limits::TIMEOUT.end() + 10);
/// How long a peer may take to make its first call: as long as the module gives itself to reach the daemon.
const FIRST_CALL: Duration = limits::CONNECT;
/// How long a peer may be silent whom nobody is asking anything. Somebody can stop a `sudo` of theirs with its place held.
const SILENCE: Duration = Duration::from_secs(15);
/// Longest life of a connection for which there was no room: a call, and its answer.
const TURNED_AWAY: Duration = Duration::from_secs(1);

/// Asked by people with a debugger, and by the tests.
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";

/// Serves one peer until it goes away, breaks the protocol, or its time is up. A call that was begun is finished first.
/// `idle` is set while no call waits for an answer.
pub(super) async fn serve(core: Arc<Core>, socket: OwnedFd, caller: Caller, idle: Arc<AtomicBool>) {
    let peer = Peer {
        core,
        caller,
        room: true,
        idle,
    };
    peer.connected(socket, LIFETIME).await;
}

/// The same for a peer for whom there is no room: its login is denied.
pub(super) async fn turn_away(core: Arc<Core>, socket: OwnedFd, caller: Caller) {
    let peer = Peer {
        core,
        caller,
        room: false,
        idle: Arc::default(),
    };
    peer.connected(socket, TURNED_AWAY).await;
}

/// Who calls, and whom.
struct Peer {
    core: Arc<Core>,
    caller: Caller,
    room: bool,
    idle: Arc<AtomicBool>,
}

impl Peer {
    async fn connected(&self, socket: OwnedFd, life: Duration) {
        let _connected = self.core.connected();
        if let Ok(stream) = Stream::new(socket) {
            // What is wrong with a connection ends it, and concerns nobody else.
            let _ended = self.converse(&stream, Instant::now() + life).await;
        }
        self.core.disconnected(&self.caller.connection);
    }

    async fn converse(&self, stream: &Stream, until: Instant) -> io::Result<()> {
        let mut arrival = Some(self.core.arrival());
        let mut patience = FIRST_CALL;
        loop {
            let Some(message) = self.next_message(stream, patience, until).await? else {
                return Ok(());
            };
            if message.message_type() != Type::MethodCall {
                continue;
            }
            self.idle.store(false, Ordering::Relaxed);
            arrival.take();
            patience = SILENCE;
            let header = message.header();
            let answer = self.answer_or_miss(stream, &message, &header).await;
            if !header.primary().flags().contains(Flags::NO_REPLY_EXPECTED) {
                stream.send(&answer.map_err(io::Error::other)?).await?;
            }
            self.idle.store(true, Ordering::Relaxed);
        }
    }

    /// Finishes the call even if its caller leaves meanwhile; but nobody is asked anything on their behalf any more.
    async fn answer_or_miss(
        &self,
        stream: &Stream,
        message: &Incoming,
        header: &Header<'_>,
    ) -> zbus::Result<Outgoing> {
        let mut answering = std::pin::pin!(self.answer(message, header));
        tokio::select! {
            biased;
            answer = &mut answering => return answer,
            () = stream.is_left() => self.core.disconnected(&self.caller.connection),
        }
        answering.await
    }

    /// Waits as long as a dialogue of this peer's runs, and otherwise for `patience`.
    async fn next_message(
        &self,
        stream: &Stream,
        patience: Duration,
        until: Instant,
    ) -> io::Result<Option<Incoming>> {
        let mut receiving = std::pin::pin!(stream.receive());
        loop {
            let silent = until.min(Instant::now() + patience);
            match tokio::time::timeout_at(silent, &mut receiving).await {
                Ok(received) => return received,
                Err(_) if silent < until && self.core.is_asking(&self.caller.connection) => {}
                Err(late) => return Err(late.into()),
            }
        }
    }

    /// The answer to a call. An error is one of zbus's own; what the caller did wrong is an answer.
    async fn answer(&self, message: &Incoming, header: &Header<'_>) -> zbus::Result<Outgoing> {
        let (core, caller) = (&self.core, &self.caller);
        if header
            .path()
            .is_none_or(|path| path.as_str() != names::OBJECT)
        {
            return wrong(header, "UnknownObject", "there is no such object here");
        }
        match header.interface().map(InterfaceName::as_str) {
            None | Some(names::AUTHENTICATION) => {}
            Some(INTROSPECTABLE) => return right(header, &described(core)),
            Some(_) => return wrong(header, "UnknownInterface", "there are only logins here"),
        }
        let body = message.body();
        match header.member().map(MemberName::as_str) {
            Some("Begin") => match body.deserialize::<(Context, Vec<Fd<'_>>)>() {
                Ok((context, descriptors)) => {
                    if !self.room {
                        return right(header, &authentication::turn_away(core, caller, context));
                    }
                    let process = first(&descriptors);
                    let begun = authentication::begin(core, caller, context, process).await;
                    right(header, &begun)
                }
                Err(_) => unfit(header),
            },
            Some("Respond") => match body.deserialize::<(&str, Vec<&[u8]>, Vec<Fd<'_>>)>() {
                Ok((session, answers, descriptors)) => {
                    let answers = answers.into_iter().map(<[u8]>::to_vec);
                    let answers = Zeroizing::new(answers.collect::<Vec<_>>());
                    let descriptor = first(&descriptors);
                    let step =
                        authentication::respond(core, caller, session, answers, descriptor).await;
                    right(header, &step)
                }
                Err(_) => unfit(header),
            },
            Some("Cancel") => match body.deserialize::<&str>() {
                Ok(session) => {
                    authentication::cancel(core, caller, session);
                    right(header, &())
                }
                Err(_) => unfit(header),
            },
            _ => wrong(header, "UnknownMethod", "there is no such method here"),
        }
    }
}

/// What there is to call here (D-Bus specification, "Introspection Data Format").
fn described(core: &Arc<Core>) -> String {
    let mut document = String::from("<node>\n");
    Authentication::new(Arc::clone(core)).introspect_to_writer(&mut document, 2);
    document.push_str("</node>\n");
    document
}

fn right<B: Serialize + DynamicType>(header: &Header<'_>, body: &B) -> zbus::Result<Outgoing> {
    Outgoing::answer(header, body)
}

fn unfit(header: &Header<'_>) -> zbus::Result<Outgoing> {
    wrong(header, "InvalidArgs", "the arguments are not this method's")
}

fn wrong(header: &Header<'_>, name: &str, text: &str) -> zbus::Result<Outgoing> {
    Outgoing::error(header, &format!("org.freedesktop.DBus.Error.{name}"), text)
}
