//! `org.mfad.Mfad1.Authentication`: logins. Dispatch only.

use std::sync::{Arc, Mutex, PoisonError};

use mfad_protocol::{Context, State, Step};
use zbus::{OwnedFd, interface, message::Header};

use super::{caller, error::Error};
use crate::{
    core::{Arrival, Core},
    session::Caller,
};

/// Where calls come from.
#[derive(Debug, Clone)]
pub enum Whence {
    /// A peer on one of our sockets, identified when it connected.
    Peer(Caller),
    /// The system bus, where each call has a sender.
    Bus,
}

/// The interface, as served to one peer or on the bus.
pub struct Authentication {
    core: Arc<Core>,
    whence: Whence,
    /// Until a peer's first call.
    arrival: Mutex<Option<Arrival>>,
}

impl Authentication {
    /// Serves logins from there.
    pub fn new(core: Arc<Core>, whence: Whence) -> Self {
        let arrival = match &whence {
            Whence::Peer(_) => Some(core.arrival()),
            Whence::Bus => None,
        };
        Self {
            core,
            whence,
            arrival: Mutex::new(arrival),
        }
    }

    async fn caller(&self, bus: &zbus::Connection, header: &Header<'_>) -> Result<Caller, Error> {
        drop(
            self.arrival
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        match &self.whence {
            Whence::Peer(caller) => Ok(caller.clone()),
            Whence::Bus => caller::on_bus(bus, header).await,
        }
    }
}

#[interface(name = "org.mfad.Mfad1.Authentication")]
impl Authentication {
    /// Begins a login.
    #[zbus(out_args("session", "step"))]
    async fn begin(
        &self,
        context: Context,
        descriptors: Vec<OwnedFd>,
        #[zbus(connection)] bus: &zbus::Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(String, Step), Error> {
        // The caller's pidfd: what it says of seat and session is for conditions to come.
        drop(descriptors);
        let _busy = self.core.busy();
        let caller = self.caller(bus, &header).await?;
        Ok(match self.core.engine() {
            Ok(engine) => engine.begin(&caller, context).await,
            Err(_) => (String::new(), Step::of(State::Unavailable)),
        })
    }

    /// Answers a login's prompts.
    #[zbus(out_args("step"))]
    async fn respond(
        &self,
        session: String,
        answers: Vec<Vec<u8>>,
        descriptors: Vec<OwnedFd>,
        #[zbus(connection)] bus: &zbus::Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Step, Error> {
        drop(descriptors);
        let _busy = self.core.busy();
        let caller = self.caller(bus, &header).await?;
        Ok(match self.core.engine() {
            Ok(engine) => engine.respond(&caller, &session, answers).await,
            Err(_) => Step::of(State::Unavailable),
        })
    }

    /// Gives a login up.
    async fn cancel(
        &self,
        session: String,
        #[zbus(connection)] bus: &zbus::Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let _busy = self.core.busy();
        let caller = self.caller(bus, &header).await?;
        if let Ok(engine) = self.core.engine() {
            engine.cancel(&caller, &session);
        }
        Ok(())
    }
}
