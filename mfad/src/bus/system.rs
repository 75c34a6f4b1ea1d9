//! The daemon on the system bus: for management, and for logins that cannot reach the sockets.
//!
//! The bus may be restarted under a running daemon; logins go on over the sockets meanwhile.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mfad_protocol::names;
use tokio::net::UnixStream;
use zbus::{Connection as Bus, connection::Builder, fdo::DBusProxy, names::WellKnownName};

use super::{
    administration::Administration, authentication::Authentication, enrollment::Enrollment,
    intake::BusStream,
};
use crate::{core::Core, session::Connection};

/// How long to wait before the bus is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long a bus may take to let the daemon in.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects, serves the three interfaces, and only then asks for the name, so that whoever activated the daemon finds
/// them there.
pub async fn connect(core: &Arc<Core>, socket: &PathBuf) -> zbus::Result<Bus> {
    // Without blocking: a bus that somebody keeps too busy to accept anybody must not hold up the logins on the sockets.
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| zbus::Error::InputOutput(Arc::new(error)))?;
    let building = Builder::socket(BusStream::new(stream))
        .serve_at(names::OBJECT, Authentication::new(Arc::clone(core)))
        .serve_at(names::OBJECT, Enrollment::new(Arc::clone(core)))
        .serve_at(names::OBJECT, Administration::new(Arc::clone(core)))
        .name(names::BUS_NAME)
        .build();
    let late = |_| zbus::Error::Failure("the system bus does not answer".to_owned());
    tokio::time::timeout(PATIENCE, building)
        .await
        .map_err(late)?
}

/// Stays on the bus, for as long as the daemon runs, beginning with the connection that there is already.
pub async fn stay(
    core: Arc<Core>,
    socket: PathBuf,
    mut first: Option<Bus>,
    current: Arc<tokio::sync::Mutex<Option<Bus>>>,
) {
    loop {
        let connected = match first.take() {
            Some(bus) => Some(bus),
            None => connect(&core, &socket).await.ok(),
        };
        if let Some(bus) = connected {
            *current.lock().await = Some(bus.clone());
            // Not a task of its own: whoever ends this one must end the watcher too, whose hold on the connection would
            // otherwise keep a shutdown waiting.
            tokio::select! {
                () = bus.closed() => {}
                () = watch_callers(&core, &bus) => bus.closed().await,
            }
            *current.lock().await = None;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// A dialogue dies with the connection that began it: on the bus, when its unique name goes away.
async fn watch_callers(core: &Core, bus: &Bus) {
    let Ok(proxy) = DBusProxy::new(bus).await else {
        return;
    };
    let Ok(mut changes) = proxy.receive_name_owner_changed().await else {
        return;
    };
    while let Some(change) = next(&mut changes).await {
        if let Ok(change) = change.args()
            && change.new_owner.is_none()
            && change.name.starts_with(':')
        {
            core.disconnected(&Connection::Bus(change.name.to_string()));
        }
    }
}

async fn next<S: zbus::export::futures_core::Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *stream).poll_next(context)).await
}

/// Gives the name up, so that the bus sends no more calls here, and waits until all that it has sent have arrived.
pub async fn leave(bus: &Bus) {
    let Ok(name) = WellKnownName::try_from(names::BUS_NAME) else {
        return;
    };
    let leaving = async {
        let _released = bus.release_name(name).await;
        // The bus answers in order: what it sent us before this reply is in our queue when the reply is.
        if let Ok(proxy) = DBusProxy::new(bus).await {
            let _answered = proxy.get_id().await;
        }
    };
    let _in_time = tokio::time::timeout(PATIENCE, leaving).await;
}
