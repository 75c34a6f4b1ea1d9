//! `org.mfad.Mfad1.Administration`: acts of root, or of whom polkit lets. Dispatch only.

use std::sync::Arc;

use mfad_protocol::{
    AuditQuery, DaemonStatus, DeviceInfo, EnrollmentOffer, EnrollmentOptions, ExplainQuery,
    PolicyExplanation, ReloadReport, UserInfo,
};
use zbus::{Connection, interface, message::Header};

use super::{
    caller::{Call, QUESTIONS, administrator},
    error::Error,
    share::Shares,
};
use crate::core::Core;

/// The interface.
pub struct Administration {
    core: Arc<Core>,
    /// To polkit, and not yet answered.
    questions: Shares,
}

impl Administration {
    /// Serves it.
    pub fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            questions: Shares::of(QUESTIONS),
        }
    }

    /// By an administrator.
    async fn call(&self, bus: &Connection, header: &Header<'_>) -> Result<Call<'_>, Error> {
        Call::by(&self.core, administrator(bus, header, &self.questions)).await
    }
}

#[interface(name = "org.mfad.Mfad1.Administration")]
impl Administration {
    /// How the daemon is.
    #[zbus(out_args("status"))]
    async fn status(
        &self,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<DaemonStatus, Error> {
        let _busy = self.core.busy();
        administrator(bus, &header, &self.questions).await?;
        Ok(self.core.status().await)
    }

    /// People after `after`, in the order of their names.
    #[zbus(out_args("users"))]
    async fn list_users(
        &self,
        after: String,
        limit: u32,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<UserInfo>, Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.list_users(&after, limit).await?)
    }

    /// One user.
    #[zbus(out_args("info"))]
    async fn show_user(
        &self,
        user: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<UserInfo, Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.show_user(&user).await?)
    }

    /// Enrolls a factor for a user; it counts at once.
    #[zbus(out_args("offer"))]
    async fn enroll_user(
        &self,
        user: String,
        kind: String,
        options: EnrollmentOptions,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<EnrollmentOffer, Error> {
        let call = self.call(bus, &header).await?;
        Ok(call
            .engine
            .enroll_user(&call.caller, &user, &kind, options)
            .await?)
    }

    /// Removes a user's factor, named by its id or name.
    async fn remove_credential(
        &self,
        user: String,
        credential: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let call = self.call(bus, &header).await?;
        Ok(call
            .engine
            .remove_credential_of(&call.caller, &user, &credential)
            .await?)
    }

    /// Clears a user's delays and failures; with `clock`, codes count again after a clock that had run ahead.
    async fn unlock_user(
        &self,
        user: String,
        clock: bool,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.unlock_user(&call.caller, &user, clock).await?)
    }

    /// Takes every factor of a user away.
    async fn reset_user(
        &self,
        user: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.reset_user(&call.caller, &user).await?)
    }

    /// A user's remembered devices, oldest first.
    #[zbus(out_args("devices"))]
    async fn list_devices(
        &self,
        user: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<DeviceInfo>, Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.devices_of(&user).await?)
    }

    /// Forgets a user's remembered device, named by its id; all of them if that is empty.
    #[zbus(out_args("count"))]
    async fn revoke_devices(
        &self,
        user: String,
        device: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Error> {
        let call = self.call(bus, &header).await?;
        let wanted = (!device.is_empty()).then_some(device.as_str());
        Ok(call.engine.revoke_of(&call.caller, &user, wanted).await?)
    }

    /// Takes away what a user demands beyond the policy.
    async fn clear_requirement(
        &self,
        user: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let call = self.call(bus, &header).await?;
        Ok(call
            .engine
            .clear_requirement_of(&call.caller, &user)
            .await?)
    }

    /// Audit records, oldest first: sequence number, time, JSON.
    #[zbus(out_args("records"))]
    async fn audit(
        &self,
        query: AuditQuery,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<(i64, i64, String)>, Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.audit(query).await?)
    }

    /// What the policy in force says of a login, and why; nothing is changed.
    #[zbus(out_args("explanation"))]
    async fn explain_policy(
        &self,
        query: ExplainQuery,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<PolicyExplanation, Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.explain_policy(&call.caller, query).await?)
    }

    /// Reads the configuration again.
    #[zbus(out_args("report"))]
    async fn reload(
        &self,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<ReloadReport, Error> {
        let _busy = self.core.busy();
        let caller = administrator(bus, &header, &self.questions).await?;
        Ok(self.core.reload(Some(caller.uid)))
    }
}
