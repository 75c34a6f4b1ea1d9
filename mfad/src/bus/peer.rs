//! One peer of a login socket: its calls, one after the other, to the Authentication interface alone.
//! Dispatch only: what it answers is decided behind `authentication`.

use std::{io, os::fd::OwnedFd, sync::Arc, time::Duration};

use mfad_protocol::{Context, names};
use tokio::time::Instant;
use zbus::{
    Fd, Message,
    export::serde::Serialize,
    message::{Flags, Header, Type},
    names::{InterfaceName, MemberName},
    object_server::Interface,
    wire::DynamicType,
};

use super::{
    authentication::{self, Authentication},
    stream::Stream,
};
use crate::{core::Core, session::Caller};

/// Longest life of a connection: the longest dialogue that a module may ask for (300 s), and a little.
const LIFETIME: Duration = Duration::from_secs(310);

/// Asked by people with a debugger, and by the tests.
const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";

/// Serves one peer until it goes away, breaks the protocol, or its time is up. A call that was begun is finished first.
pub(super) async fn serve(core: Arc<Core>, socket: OwnedFd, caller: Caller) {
    let _connected = core.connected();
    if let Ok(stream) = Stream::new(socket) {
        // What is wrong with a connection ends it, and concerns nobody else.
        let _ended = converse(&core, &stream, &caller).await;
    }
    core.disconnected(&caller.connection);
}

async fn converse(core: &Arc<Core>, stream: &Stream, caller: &Caller) -> io::Result<()> {
    let until = Instant::now() + LIFETIME;
    let mut arrival = Some(core.arrival());
    loop {
        let next = tokio::time::timeout_at(until, stream.receive());
        let Some(message) = next.await.map_err(io::Error::from)?? else {
            return Ok(());
        };
        if message.message_type() != Type::MethodCall {
            continue;
        }
        arrival.take();
        let header = message.header();
        let answer = answer(core, caller, &message, &header).await;
        if header.primary().flags().contains(Flags::NO_REPLY_EXPECTED) {
            continue;
        }
        stream.send(&answer.map_err(io::Error::other)?).await?;
    }
}

/// The answer to a call. An error is one of zbus's own; what the caller did wrong is an answer.
async fn answer(
    core: &Arc<Core>,
    caller: &Caller,
    message: &Message,
    header: &Header<'_>,
) -> zbus::Result<Message> {
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
                // The caller's pidfd: what it says of seat and session is for conditions to come.
                drop(descriptors);
                right(header, &authentication::begin(core, caller, context).await)
            }
            Err(_) => unfit(header),
        },
        Some("Respond") => match body.deserialize::<(String, Vec<Vec<u8>>, Vec<Fd<'_>>)>() {
            Ok((session, answers, descriptors)) => {
                drop(descriptors);
                let step = authentication::respond(core, caller, &session, answers).await;
                right(header, &step)
            }
            Err(_) => unfit(header),
        },
        Some("Cancel") => match body.deserialize::<String>() {
            Ok(session) => {
                authentication::cancel(core, caller, &session);
                right(header, &())
            }
            Err(_) => unfit(header),
        },
        _ => wrong(header, "UnknownMethod", "there is no such method here"),
    }
}

/// What there is to call here (D-Bus specification, "Introspection Data Format").
fn described(core: &Arc<Core>) -> String {
    let mut document = String::from("<node>\n");
    Authentication::new(Arc::clone(core)).introspect_to_writer(&mut document, 2);
    document.push_str("</node>\n");
    document
}

fn right<B: Serialize + DynamicType>(header: &Header<'_>, body: &B) -> zbus::Result<Message> {
    Message::method_return(header).build(body)
}

fn unfit(header: &Header<'_>) -> zbus::Result<Message> {
    wrong(header, "InvalidArgs", "the arguments are not this method's")
}

fn wrong(header: &Header<'_>, name: &str, text: &str) -> zbus::Result<Message> {
    Message::error(header, format!("org.freedesktop.DBus.Error.{name}")).build(&(text,))
}
