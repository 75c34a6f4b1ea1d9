//! What the mock answers a user about their own factors.

use mfad_protocol::{CredentialInfo, DeviceInfo, EnrollmentOffer, EnrollmentOptions, UserInfo};

use super::{FIRST_CODE, MockError, Shared, credential, offer, person};

pub(super) struct MockEnrollment(pub(super) Shared);

#[zbus::interface(name = "org.mfad.Mfad1.Enrollment")]
impl MockEnrollment {
    fn status(&self) -> Result<UserInfo, MockError> {
        let mut state = self.0.lock().unwrap();
        state.calls.push("Status".into());
        if let Some(text) = state.hostile_error.clone() {
            return Err(MockError::NotFound(text));
        }
        Ok(UserInfo {
            requirement: state.requirement.clone(),
            ..person("alice", 1000, &state.credentials)
        })
    }

    fn begin(
        &self,
        kind: &str,
        options: EnrollmentOptions,
        grant: &str,
    ) -> Result<EnrollmentOffer, MockError> {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("Begin {kind} {grant}").trim_end().to_owned());
        if !state.credentials.is_empty() && grant != "grant" {
            return Err(MockError::NeedsGrant("Prove a factor first.".into()));
        }
        let offer = offer("offer-1", kind, &options);
        state.offers.insert(offer.name.clone(), kind.to_owned());
        Ok(offer)
    }

    fn confirm(&self, id: &str, code: &str) -> Result<CredentialInfo, MockError> {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("Confirm {id} {code}").trim_end().to_owned());
        let Some((name, kind)) = state
            .offers
            .first_key_value()
            .map(|(n, k)| (n.clone(), k.clone()))
        else {
            return Err(MockError::NotFound(
                "There is no such offer. Enroll again.".into(),
            ));
        };
        if kind != "backup-codes" && code != FIRST_CODE {
            return Err(MockError::Denied("That code is not right.".into()));
        }
        state.offers.clear();
        let stored = credential(&kind, &name);
        state.credentials.push(stored.clone());
        Ok(stored)
    }

    fn cancel(&self, id: &str) {
        let mut state = self.0.lock().unwrap();
        state.calls.push(format!("Cancel {id}"));
        state.offers.clear();
    }

    fn remove(&self, name: &str, grant: &str) -> Result<(), MockError> {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("Remove {name} {grant}").trim_end().to_owned());
        if grant != "grant" {
            return Err(MockError::NeedsGrant("Prove a factor first.".into()));
        }
        state
            .credentials
            .retain(|credential| credential.name != name);
        Ok(())
    }

    fn rename(&self, name: &str, new: &str) -> Result<(), MockError> {
        let mut state = self.0.lock().unwrap();
        state.calls.push(format!("Rename {name} {new}"));
        match state
            .credentials
            .iter_mut()
            .find(|credential| credential.name == name)
        {
            Some(credential) => {
                new.clone_into(&mut credential.name);
                Ok(())
            }
            None => Err(MockError::NotFound(
                "You have no such factor. See `mfactl status`.".into(),
            )),
        }
    }

    fn list_devices(&self) -> Vec<DeviceInfo> {
        let mut state = self.0.lock().unwrap();
        state.calls.push("ListDevices".into());
        state.devices.clone()
    }

    fn revoke_devices(&self, device: &str) -> Result<u32, MockError> {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("RevokeDevices {device}").trim_end().to_owned());
        let before = state.devices.len();
        state.devices.retain(|known| !known.id.starts_with(device));
        let count = u32::try_from(before - state.devices.len()).unwrap();
        if count == 0 && !device.is_empty() {
            return Err(MockError::NotFound("There is no such device.".into()));
        }
        Ok(count)
    }

    fn require(&self, text: &str, grant: &str) -> Result<(), MockError> {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("Require {grant}").trim_end().to_owned());
        if grant != "grant" {
            return Err(MockError::NeedsGrant("Prove a factor first.".into()));
        }
        state.requirement = (!text.is_empty()).then(|| text.to_owned());
        Ok(())
    }

    fn prefer(&self, kind: &str) {
        let mut state = self.0.lock().unwrap();
        state
            .calls
            .push(format!("Prefer {kind}").trim_end().to_owned());
    }
}
