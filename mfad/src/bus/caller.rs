//! Who calls: from the bus's own word about a sender, or from the kernel's about a peer. Never from an argument.

use std::{collections::HashMap, sync::Arc, time::Duration};

use zbus::{
    Connection as Bus, Variant,
    fdo::DBusProxy,
    message::Header,
    names::{BusName, UniqueName},
};

use super::{error::Error, share::Shares};
use crate::{
    core::{Busy, Core},
    engine::Engine,
    session::{Caller, Connection},
};

/// polkit action for administrative acts by somebody who is not root.
const ACTION: &str = "org.mfad.administer";
/// `CheckAuthorization` may ask the person for an administrator's password.
const ALLOW_USER_INTERACTION: u32 = 1;
/// Most questions to polkit about one uid at once. The bus lets the daemon have 128 unanswered
/// (`max_replies_per_connection`), and somebody whose own agent never answers must not have them all.
pub(super) const QUESTIONS: usize = 4;
/// How long the person may take to answer polkit.
const POLKIT_PATIENCE: Duration = Duration::from_mins(1);

/// A call over the bus that is being served: the engine is reached by way of whoever was found to call. The daemon does not
/// leave until it is dropped.
pub(super) struct Call<'c> {
    pub(super) engine: Arc<Engine>,
    pub(super) caller: Caller,
    _busy: Busy<'c>,
}

impl<'c> Call<'c> {
    /// By the caller that `identify` finds, unless it refuses.
    pub(super) async fn by(
        core: &'c Core,
        identify: impl Future<Output = Result<Caller, Error>>,
    ) -> Result<Self, Error> {
        let busy = core.busy();
        let caller = identify.await?;
        Ok(Self {
            engine: core.engine()?,
            caller,
            _busy: busy,
        })
    }
}

/// The caller of a method that came over the system bus.
pub async fn on_bus(bus: &Bus, header: &Header<'_>) -> Result<Caller, Error> {
    let sender = header
        .sender()
        .ok_or_else(|| Error::Denied("a call without a sender is not served".into()))?;
    let uid = uid_of(bus, sender).await?;
    Ok(Caller {
        uid,
        connection: Connection::Bus(sender.to_string()),
    })
}

/// A sender that has left the bus has no uid any more: refused, never taken for root (polkit CVE-2021-3560).
async fn uid_of(bus: &Bus, sender: &UniqueName<'_>) -> Result<u32, Error> {
    let gone = |_| Error::Denied("the caller left the bus before it could be identified".into());
    let proxy = DBusProxy::new(bus).await.map_err(Error::ZBus)?;
    proxy
        .get_connection_unix_user(BusName::Unique(sender.as_ref()))
        .await
        .map_err(gone)
}

/// The caller, if it may administer: root, or whom polkit lets (asking for an administrator's password).
pub(super) async fn administrator(
    bus: &Bus,
    header: &Header<'_>,
    questions: &Shares,
) -> Result<Caller, Error> {
    let caller = on_bus(bus, header).await?;
    if caller.is_root() {
        return Ok(caller);
    }
    let Some(_question) = questions.take(caller.uid) else {
        return Err(Error::Full(
            "polkit is asking about you already; answer that first".into(),
        ));
    };
    if polkit_allows(bus, header).await {
        return Ok(caller);
    }
    Err(Error::Denied(
        "this needs an administrator: run it with sudo".into(),
    ))
}

/// Asks polkit about the sender's bus connection, letting it ask the person. No polkit, no agent, no answer: no.
async fn polkit_allows(bus: &Bus, header: &Header<'_>) -> bool {
    let Some(sender) = header.sender() else {
        return false;
    };
    let subject = (
        "system-bus-name",
        HashMap::from([("name", Variant::from(sender.as_str()))]),
    );
    let details: HashMap<&str, &str> = HashMap::new();
    let question = (subject, ACTION, details, ALLOW_USER_INTERACTION, "");
    let reply = bus.call_method(
        Some("org.freedesktop.PolicyKit1"),
        "/org/freedesktop/PolicyKit1/Authority",
        Some("org.freedesktop.PolicyKit1.Authority"),
        "CheckAuthorization",
        &question,
    );
    let Ok(Ok(reply)) = tokio::time::timeout(POLKIT_PATIENCE, reply).await else {
        return false;
    };
    let answer: Result<(bool, bool, HashMap<String, String>), _> = reply.body().deserialize();
    answer.is_ok_and(|(authorized, _, _)| authorized)
}
