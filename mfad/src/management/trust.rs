//! Remembered devices, what a user demands beyond the policy, and which factor they prefer. Whoever takes trust away needs
//! no proof; whoever changes a demand proves a factor, as for any change of what guards an account.

use mfad_protocol::DeviceInfo;
use policy::{Additions, Source};

use super::{Refusal, own::known_kind};
use crate::{
    audit::Event,
    config,
    engine::Engine,
    session::{Caller, reliance::short},
    store::{Device, Person, Standing, StoreError},
};

/// Fewest digits that name a device.
const FEWEST_DIGITS: usize = 4;

impl Engine {
    /// The caller's remembered devices.
    pub async fn own_devices(&self, caller: &Caller) -> Result<Vec<DeviceInfo>, Refusal> {
        match self.own(caller).await?.1 {
            Some(person) => self.devices(&person).await,
            None => Ok(Vec::new()),
        }
    }

    /// Forgets one of the caller's devices, or all (`None`) and what was proven in their sessions; says how many.
    pub async fn revoke_own(&self, caller: &Caller, wanted: Option<&str>) -> Result<u32, Refusal> {
        match self.own(caller).await?.1 {
            Some(person) => self.revoke(caller, &person, wanted).await,
            None if wanted.is_none() => Ok(0),
            None => Err(no_device()),
        }
    }

    /// A user's remembered devices.
    pub async fn devices_of(&self, user: &str) -> Result<Vec<DeviceInfo>, Refusal> {
        let person = self.known_person(user).await?;
        self.devices(&person).await
    }

    /// Forgets one of a user's devices, or all (`None`).
    pub async fn revoke_of(
        &self,
        caller: &Caller,
        user: &str,
        wanted: Option<&str>,
    ) -> Result<u32, Refusal> {
        let person = self.known_person(user).await?;
        self.revoke(caller, &person, wanted).await
    }

    /// Sets what the caller demands beyond the policy; an empty text demands nothing more.
    pub async fn require_own(
        &self,
        caller: &Caller,
        text: &str,
        grant: &str,
    ) -> Result<(), Refusal> {
        let (account, person) = self.own(caller).await?;
        let source = Source {
            name: "additions",
            text,
        };
        let additions = Additions::parse(source, &config::vocabulary());
        let additions = additions.map_err(|found| {
            let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
            Refusal::Invalid(lines.join("; "))
        })?;
        let person = person
            .filter(super::own::is_enrolled)
            .ok_or_else(|| Refusal::NotFound("enroll a factor first: mfactl enroll totp".into()))?;
        self.may_change(caller, &account, Some(&person), grant, self.now())?;
        let text = (!additions.is_empty()).then(|| additions.to_string());
        self.demand(caller, &person, text).await
    }

    /// Takes away what a user demands beyond the policy.
    pub async fn clear_requirement_of(&self, caller: &Caller, user: &str) -> Result<(), Refusal> {
        let person = self.known_person(user).await?;
        self.demand(caller, &person, None).await
    }

    /// Sets which kind of factor the caller wants to be asked for first; an empty word sets none.
    pub async fn prefer_own(&self, caller: &Caller, kind: &str) -> Result<(), Refusal> {
        let (_, person) = self.own(caller).await?;
        let nothing = || Refusal::NotFound("enroll a factor first: mfactl enroll totp".into());
        let person = person.ok_or_else(nothing)?;
        let preferred = if kind.is_empty() {
            None
        } else {
            let kind = known_kind(kind)?;
            let has = person.credentials.iter().any(|credential| {
                credential.kind == kind && credential.standing == Standing::Active
            });
            if !has {
                return Err(Refusal::NotFound(format!(
                    "you have no {0}; add one: mfactl enroll {0}",
                    kind.word()
                )));
            }
            Some(kind.word().to_owned())
        };
        let record = self.act(
            caller,
            &person.key.name,
            Event::Administration,
            "preferred",
            preferred.clone(),
        );
        Ok(self
            .recorded(record, |record| {
                self.store.set_preferred(person.id, preferred, record)
            })
            .await?)
    }

    async fn demand(
        &self,
        caller: &Caller,
        person: &Person,
        text: Option<String>,
    ) -> Result<(), Refusal> {
        let outcome = if text.is_some() {
            "required"
        } else {
            "released"
        };
        let record = self.act(
            caller,
            &person.key.name,
            Event::Administration,
            outcome,
            None,
        );
        let set = self.recorded(record, |record| {
            self.store.set_requirement(person.id, text, record)
        });
        set.await.map_err(|error| match error {
            StoreError::Full => Refusal::Full("what you demand is too long: 4 KiB are kept".into()),
            error => error.into(),
        })
    }

    async fn devices(&self, person: &Person) -> Result<Vec<DeviceInfo>, Refusal> {
        let devices = self.store.list_devices(person.id, self.now()).await?;
        Ok(devices.into_iter().map(show).collect())
    }

    async fn revoke(
        &self,
        caller: &Caller,
        person: &Person,
        wanted: Option<&str>,
    ) -> Result<u32, Refusal> {
        let mut record = self.act(
            caller,
            &person.key.name,
            Event::Administration,
            "forgotten",
            None,
        );
        let Some(wanted) = wanted else {
            record.detail = Some("all remembered devices".to_owned());
            // A login that stands at "Remember this device?" must not remember it now; nor, below, one that came there meanwhile.
            self.forget_proofs(&person.key.name);
            let count = self
                .recorded(record, |record| {
                    self.store.revoke_devices(person.id, record)
                })
                .await?;
            self.forget_proofs(&person.key.name);
            return Ok(count);
        };
        let devices = self.store.list_devices(person.id, self.now()).await?;
        let device = find(&devices, wanted)?;
        record.detail = Some(format!("remembered device {}", short(device.id)));
        let revoked = self.recorded(record, |record| {
            self.store.revoke_device(person.id, device.id, record)
        });
        match revoked.await {
            Ok(()) => Ok(1),
            Err(StoreError::NotFound) => Err(no_device()),
            Err(error) => Err(error.into()),
        }
    }
}

fn show(device: Device) -> DeviceInfo {
    DeviceInfo {
        id: short(device.id),
        label: device.label,
        created: device.created,
        expires: device.expires,
        last_used: device.last_used,
    }
}

fn no_device() -> Refusal {
    Refusal::NotFound("there is no such remembered device; see: mfactl trust list".into())
}

/// The one device whose id begins so.
fn find<'a>(devices: &'a [Device], wanted: &str) -> Result<&'a Device, Refusal> {
    let prefix = wanted.to_ascii_lowercase();
    let mut begun = devices.iter().filter(|device| {
        prefix.len() >= FEWEST_DIGITS
            && mfad_protocol::hex::encode(&device.id.0).starts_with(&prefix)
    });
    match (begun.next(), begun.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(Refusal::Invalid(
            "that begins the id of more than one device; give more of it".into(),
        )),
        (None, _) => Err(no_device()),
    }
}
