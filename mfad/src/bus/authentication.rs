//! `org.mfad.Mfad1.Authentication`: logins, over the bus and over the sockets. Dispatch only.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use mfad_protocol::{Context, State, Step};
use zbus::{Fd, interface, message::Header};
use zeroize::Zeroizing;

use super::{caller, error::Error};
use crate::{core::Core, session::Caller};

/// The first of the descriptors that a call names; more are nobody's. They are the message's own: a list that names one of
/// them a thousand times makes no thousand of it.
pub(super) fn first(descriptors: &[Fd<'_>]) -> Option<OwnedFd> {
    let descriptor = descriptors.first()?;
    descriptor.as_fd().try_clone_to_owned().ok()
}

/// Begins a login. `process` is the host program's pidfd.
pub(super) async fn begin(
    core: &Core,
    caller: &Caller,
    context: Context,
    process: Option<OwnedFd>,
) -> (String, Step) {
    let _busy = core.busy();
    match core.engine() {
        Ok(engine) => engine.begin(caller, context, process).await,
        Err(_) => (String::new(), Step::of(State::Unavailable)),
    }
}

/// Denies a login for which there is no room, whatever else is wrong: who can fill a socket must gain nothing by it.
pub(super) fn turn_away(core: &Core, caller: &Caller, context: Context) -> (String, Step) {
    let _busy = core.busy();
    match core.engine() {
        Ok(engine) => engine.turn_away(caller, context),
        Err(_) => (String::new(), Step::of(State::Denied)),
    }
}

/// Answers a login's prompts.
pub(super) async fn respond(
    core: &Core,
    caller: &Caller,
    session: &str,
    answers: Zeroizing<Vec<Vec<u8>>>,
    descriptor: Option<OwnedFd>,
) -> Step {
    let _busy = core.busy();
    match core.engine() {
        Ok(engine) => {
            engine
                .respond_with(caller, session, answers, descriptor)
                .await
        }
        Err(_) => Step::of(State::Unavailable),
    }
}

/// Gives a login up.
pub(super) fn cancel(core: &Core, caller: &Caller, session: &str) {
    let _busy = core.busy();
    if let Ok(engine) = core.engine() {
        engine.cancel(caller, session);
    }
}

/// The interface as served on the system bus, where each call has a sender.
pub struct Authentication(Arc<Core>);

impl Authentication {
    /// Serves logins.
    pub const fn new(core: Arc<Core>) -> Self {
        Self(core)
    }
}

#[interface(name = "org.mfad.Mfad1.Authentication")]
impl Authentication {
    /// Begins a login.
    #[zbus(out_args("session", "step"))]
    async fn begin(
        &self,
        context: Context,
        descriptors: Vec<Fd<'_>>,
        #[zbus(connection)] bus: &zbus::Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(String, Step), Error> {
        let process = first(&descriptors);
        let _busy = self.0.busy();
        let caller = caller::on_bus(bus, &header).await?;
        Ok(begin(&self.0, &caller, context, process).await)
    }

    /// Answers a login's prompts.
    #[zbus(out_args("step"))]
    async fn respond(
        &self,
        session: String,
        answers: Vec<Vec<u8>>,
        descriptors: Vec<Fd<'_>>,
        #[zbus(connection)] bus: &zbus::Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Step, Error> {
        let answers = Zeroizing::new(answers);
        let descriptor = first(&descriptors);
        let _busy = self.0.busy();
        let caller = caller::on_bus(bus, &header).await?;
        Ok(respond(&self.0, &caller, &session, answers, descriptor).await)
    }

    /// Gives a login up.
    async fn cancel(
        &self,
        session: String,
        #[zbus(connection)] bus: &zbus::Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let _busy = self.0.busy();
        let caller = caller::on_bus(bus, &header).await?;
        cancel(&self.0, &caller, &session);
        Ok(())
    }
}
