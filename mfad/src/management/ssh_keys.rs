//! SSH keys as factors: which key is meant, and that its owner can sign with it before it counts.

use std::os::fd::OwnedFd;

use mfad_protocol::{CredentialInfo, limits};

use super::{
    Refusal,
    offers::{Offer, Offered},
};
use crate::{
    engine::{Engine, REALM},
    enrollment::Maker,
    factor::{otp::identity, ssh_key},
    session::{Caller, asking_agent},
    ssh::key::PublicKey,
    store::{Kind, NewCredential, Person},
};

impl Engine {
    /// Stores an offered SSH key once it has signed, through the agent behind `socket`, which must be the caller's.
    pub async fn confirm_own_key(
        &self,
        caller: &Caller,
        id: &str,
        socket: Option<OwnedFd>,
    ) -> Result<CredentialInfo, Refusal> {
        let now = self.now();
        let Some(offer) = self.offers.take(id, caller.uid, now) else {
            return Err(Refusal::NotFound(
                "that enrollment has expired or is used up; begin again".into(),
            ));
        };
        match self.proven_by_signature(&offer, socket).await {
            Ok(new) => self.keep_own(caller, id, offer, new, now).await,
            Err(refusal) => {
                if matches!(refusal, Refusal::Exists(_)) {
                    // No other try would end otherwise.
                    let _forgotten = self.offers.close(id);
                } else {
                    self.offers.put_back(id, offer);
                }
                Err(refusal)
            }
        }
    }

    /// What is to be stored of the key that is offered, once it has signed.
    async fn proven_by_signature(
        &self,
        offer: &Offer,
        socket: Option<OwnedFd>,
    ) -> Result<NewCredential, Refusal> {
        let Offered::SshKey(kind, wanted) = &offer.what else {
            return Err(Refusal::Invalid("that factor is no key".into()));
        };
        let socket = socket.ok_or_else(|| {
            Refusal::Invalid("a connection to an SSH agent must come along".into())
        })?;
        let person = self.store.find_person(REALM, &offer.person.name).await?;
        let known = person.map(|person| self.ssh_keys_of(&person));
        let known = known.unwrap_or_default();
        if let Some(key) = wanted {
            not_enrolled(key, &known)?;
        }
        let (key, signed) =
            asking_agent::prove(socket, &offer.person, *kind, wanted.clone(), &known)
                .await
                .map_err(Refusal::Denied)?;
        let loaded = self.loaded();
        let maker = Maker {
            keyring: &self.keyring,
            settings: &loaded.settings,
        };
        let counter = signed.authenticator.map_or(0, |says| says.counter);
        Ok(maker.ssh_key(&offer.person, &key, counter, offer.name.clone())?)
    }

    /// The SSH keys that a person has enrolled.
    pub(super) fn ssh_keys_of(&self, person: &Person) -> Vec<PublicKey> {
        let keys = person
            .credentials
            .iter()
            .filter(|credential| matches!(credential.kind, Kind::SshSk | Kind::SshAgent));
        keys.filter_map(|credential| {
            let bound = identity(&person.key, credential.kind, credential.id);
            ssh_key::open(&self.keyring, &bound, &credential.sealed).ok()
        })
        .collect()
    }
}

/// The key that is meant, if any is: it must be of that kind.
pub(super) fn meant(kind: Kind, line: Option<&str>) -> Result<Option<PublicKey>, Refusal> {
    let Some(line) = line else {
        return Ok(None);
    };
    if line.len() > limits::KEY {
        return Err(Refusal::Invalid("that is no SSH public key".into()));
    }
    let key = PublicKey::read_line(line).map_err(|unfit| Refusal::Invalid(unfit.to_string()))?;
    match (kind, key.kind()) {
        (kind, found) if kind == found => Ok(Some(key)),
        (Kind::SshSk, _) => Err(Refusal::Invalid(
            "that key is in no security key (its type does not begin with sk-); a plain key is enrolled as ssh-agent, \
             and counts only where the policy names that"
                .into(),
        )),
        _ => Err(Refusal::Invalid(
            "that key is in a security key: enroll it as ssh-sk".into(),
        )),
    }
}

/// One key is one factor.
pub(super) fn not_enrolled(key: &PublicKey, known: &[PublicKey]) -> Result<(), Refusal> {
    if known.contains(key) {
        return Err(Refusal::Exists("that key is enrolled already".into()));
    }
    Ok(())
}

/// A plain key counts only where a policy names it, so that nobody may have it alone.
pub(super) fn not_alone(kind: Kind, is_enrolled: bool) -> Result<(), Refusal> {
    if kind == Kind::SshAgent && !is_enrolled {
        return Err(Refusal::Invalid(
            "a plain SSH key needs another factor first: mfactl enroll totp".into(),
        ));
    }
    Ok(())
}
