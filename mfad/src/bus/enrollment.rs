//! `org.mfad.Mfad1.Enrollment`: a user's own factors. Dispatch only; the user is who the bus says the caller is.

use std::sync::Arc;

use mfad_protocol::{
    CredentialInfo, DeviceInfo, EnrollmentOffer, EnrollmentOptions, Step, UserInfo,
};
use zbus::{Connection, Fd, interface, message::Header};

use super::{
    authentication::first,
    caller::{Call, on_bus},
    error::Error,
};
use crate::core::Core;

/// The interface.
pub struct Enrollment {
    core: Arc<Core>,
}

impl Enrollment {
    /// Serves it.
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// By whoever the bus says it is.
    async fn call(&self, bus: &Connection, header: &Header<'_>) -> Result<Call<'_>, Error> {
        Call::by(&self.core, on_bus(bus, header)).await
    }
}

#[interface(name = "org.mfad.Mfad1.Enrollment")]
impl Enrollment {
    /// What the caller has enrolled.
    #[zbus(out_args("user"))]
    async fn status(
        &self,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<UserInfo, Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.own_status(&call.caller).await?)
    }

    /// Offers a new factor.
    #[zbus(out_args("offer"))]
    async fn begin(
        &self,
        kind: String,
        options: EnrollmentOptions,
        grant: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<EnrollmentOffer, Error> {
        let call = self.call(bus, &header).await?;
        Ok(call
            .engine
            .offer_own(&call.caller, &kind, options, &grant)
            .await?)
    }

    /// Keeps an offered factor once its owner has proven it.
    #[zbus(out_args("credential"))]
    async fn confirm(
        &self,
        offer: String,
        code: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<CredentialInfo, Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.confirm_own(&call.caller, &offer, &code).await?)
    }

    /// Keeps an offered SSH key once it has signed, through its owner's agent.
    #[zbus(out_args("credential"))]
    async fn confirm_key(
        &self,
        offer: String,
        descriptors: Vec<Fd<'_>>,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<CredentialInfo, Error> {
        let call = self.call(bus, &header).await?;
        let socket = first(&descriptors);
        Ok(call
            .engine
            .confirm_own_key(&call.caller, &offer, socket)
            .await?)
    }

    /// One turn of enrolling the security key that is offered; what it asks for is answered in the next.
    #[zbus(out_args("step", "stored"))]
    async fn confirm_security_key(
        &self,
        offer: String,
        answers: Vec<Vec<u8>>,
        descriptors: Vec<Fd<'_>>,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(Step, Vec<CredentialInfo>), Error> {
        let call = self.call(bus, &header).await?;
        let process = first(&descriptors);
        Ok(call
            .engine
            .confirm_own_security_key(&call.caller, &offer, answers, process)
            .await?)
    }

    /// Forgets an offered factor.
    async fn cancel(
        &self,
        offer: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let call = self.call(bus, &header).await?;
        call.engine.withdraw_own(&call.caller, &offer);
        Ok(())
    }

    /// Removes a factor, named by its id or name.
    async fn remove(
        &self,
        credential: String,
        grant: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let call = self.call(bus, &header).await?;
        Ok(call
            .engine
            .remove_own(&call.caller, &credential, &grant)
            .await?)
    }

    /// Renames a factor.
    async fn rename(
        &self,
        credential: String,
        name: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let call = self.call(bus, &header).await?;
        Ok(call
            .engine
            .rename_own(&call.caller, &credential, &name)
            .await?)
    }

    /// The caller's remembered devices, oldest first.
    #[zbus(out_args("devices"))]
    async fn list_devices(
        &self,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<DeviceInfo>, Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.own_devices(&call.caller).await?)
    }

    /// Forgets a remembered device, named by its id; all of them if that is empty.
    #[zbus(out_args("count"))]
    async fn revoke_devices(
        &self,
        device: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<u32, Error> {
        let call = self.call(bus, &header).await?;
        let wanted = (!device.is_empty()).then_some(device.as_str());
        Ok(call.engine.revoke_own(&call.caller, wanted).await?)
    }

    /// Sets what the caller demands beyond the policy.
    async fn require(
        &self,
        text: String,
        grant: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.require_own(&call.caller, &text, &grant).await?)
    }

    /// Sets which kind of factor the caller is asked for first.
    async fn prefer(
        &self,
        kind: String,
        #[zbus(connection)] bus: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), Error> {
        let call = self.call(bus, &header).await?;
        Ok(call.engine.prefer_own(&call.caller, &kind).await?)
    }
}
