//! What an administrator does for others.

use mfad_protocol::{AuditQuery, EnrollmentOffer, EnrollmentOptions, UserInfo, limits};

use super::{
    Refusal, checked_name, hex_id,
    own::{factor, is_enrolled, known_kind},
    show::nobody,
    ssh_keys,
};
use crate::{
    audit::Event,
    engine::{Engine, REALM},
    enrollment::{Maker, offer_codes, offer_key, person_key},
    factor::fido2::{Registered, pam_u2f},
    people::Account,
    session::Caller,
    ssh::key::PublicKey,
    store::{AuditFilter, Kind, NewCredential, PersonKey, Standing, StoreError},
};

/// Most users and records returned at once.
const PAGE: u32 = 1000;

impl Engine {
    /// People after `after`, in the order of their names.
    pub async fn list_users(&self, after: &str, limit: u32) -> Result<Vec<UserInfo>, Refusal> {
        let people = self
            .store
            .list_people(REALM, after, limit.clamp(1, PAGE))
            .await?;
        let mut users = Vec::with_capacity(people.len());
        for person in &people {
            users.push(self.show(person).await?);
        }
        Ok(users)
    }

    /// One user.
    pub async fn show_user(&self, user: &str) -> Result<UserInfo, Refusal> {
        match self.store.find_person(REALM, user).await? {
            Some(person) => Ok(self.show(&person).await?),
            None => Ok(nobody(&self.account_named(user).await?)),
        }
    }

    /// Enrolls a factor for a user; it counts at once, unproven.
    pub async fn enroll_user(
        &self,
        caller: &Caller,
        user: &str,
        kind: &str,
        options: EnrollmentOptions,
    ) -> Result<EnrollmentOffer, Refusal> {
        let now = self.now();
        let account = self.account_named(user).await?;
        let kind = known_kind(kind)?;
        let name = options.name.as_deref().map(checked_name).transpose()?;
        let key = person_key(&account);
        let (new, mut offer) = self.made_for(&account, &key, kind, name, &options).await?;
        let id = new.id;
        let record = self.act(
            caller,
            &account.name,
            Event::Enrollment,
            "added",
            Some(factor(kind, new.name.as_deref())),
        );
        let added = self
            .recorded(record, |record| {
                self.store.add_credential(key, new, now, record)
            })
            .await;
        let person = added.map_err(|error| match error {
            StoreError::Exists => Refusal::Exists(format!(
                "{0} has a factor of that name, or was enrolled under another uid; see: mfactl user show {0}",
                account.name
            )),
            error => error.into(),
        })?;
        offer.id = hex_id(id);
        if let Some(added) = person
            .credentials
            .into_iter()
            .find(|credential| credential.id == id)
        {
            offer.name = added.name;
        }
        Ok(offer)
    }

    /// What is stored for somebody, and what they are to be shown of it.
    async fn made_for(
        &self,
        account: &Account,
        key: &PersonKey,
        kind: Kind,
        name: Option<String>,
        options: &EnrollmentOptions,
    ) -> Result<(NewCredential, EnrollmentOffer), Refusal> {
        let loaded = self.loaded();
        let maker = Maker {
            keyring: &self.keyring,
            settings: &loaded.settings,
        };
        // The offer is named after the credential once that is stored.
        let nameless = String::new();
        Ok(match kind {
            Kind::BackupCodes => {
                let person = self.store.find_person(REALM, &account.name).await?;
                if !person.as_ref().is_some_and(is_enrolled) {
                    return Err(Refusal::Invalid(format!(
                        "backup codes need another factor first: mfactl user enroll {} totp",
                        account.name
                    )));
                }
                let (set, codes, digests) = self.make_codes().await?;
                let offer = offer_codes(nameless, kind.word(), &codes);
                (maker.backup(key, &set, digests, name)?, offer)
            }
            Kind::SshSk | Kind::SshAgent => {
                let public = self.key_for(account, kind, options.key.as_deref()).await?;
                let offer = offer_key(nameless, kind, kind.word());
                (maker.ssh_key(key, &public, 0, name)?, offer)
            }
            Kind::Fido2 => {
                let registered = self.key_of_pam_u2f(account, options).await?;
                let offer = offer_key(nameless, kind, kind.word());
                (maker.security_key(key, &registered, 0, name)?, offer)
            }
            Kind::Totp | Kind::Hotp => {
                let generator = maker.generator(kind, options)?;
                let offer =
                    maker.offer_otp(nameless, kind, kind.word(), &generator, &account.name)?;
                let start = if kind == Kind::Hotp { 0 } else { -1 };
                let new = maker.otp(key, kind, &generator, name, Standing::Active, start)?;
                (new, offer)
            }
        })
    }

    /// The key that an administrator enrolls for somebody. Nobody has signed with it: like any factor enrolled so, it is
    /// the administrator's word, and its counter begins at the first signature.
    async fn key_for(
        &self,
        account: &Account,
        kind: Kind,
        line: Option<&str>,
    ) -> Result<PublicKey, Refusal> {
        let person = self.store.find_person(REALM, &account.name).await?;
        ssh_keys::not_alone(kind, person.as_ref().is_some_and(is_enrolled))?;
        let key = ssh_keys::meant(kind, line)?
            .ok_or_else(|| Refusal::Invalid("say which key, with --file".into()))?;
        let known = person.map(|person| self.ssh_keys_of(&person));
        ssh_keys::not_enrolled(&key, &known.unwrap_or_default())?;
        Ok(key)
    }

    /// A credential of pam_u2f's that an administrator takes over. The key has not been asked: its counter begins at the
    /// first signature.
    async fn key_of_pam_u2f(
        &self,
        account: &Account,
        options: &EnrollmentOptions,
    ) -> Result<Registered, Refusal> {
        let (Some(record), Some(origin)) = (&options.key, &options.rp_id) else {
            return Err(Refusal::Invalid(
                "a security key is enrolled by its owner (mfactl enroll fido2), or from a file of pam_u2f's (mfactl \
                 import pam-u2f)"
                    .into(),
            ));
        };
        if record.len() > limits::KEY {
            return Err(Refusal::Invalid(
                "that is no credential of pam_u2f's".into(),
            ));
        }
        let registered = pam_u2f::read(record, origin)
            .map_err(|unusable| Refusal::Invalid(unusable.to_string()))?;
        let person = self.store.find_person(REALM, &account.name).await?;
        let known = person.map(|person| self.security_keys_of(&person));
        if known
            .unwrap_or_default()
            .iter()
            .any(|key| key.id == registered.id)
        {
            return Err(Refusal::Exists("that key is enrolled already".into()));
        }
        Ok(registered)
    }

    /// Removes a user's factor.
    pub async fn remove_credential_of(
        &self,
        caller: &Caller,
        user: &str,
        wanted: &str,
    ) -> Result<(), Refusal> {
        let person = self.known_person(user).await?;
        self.remove(caller, &person, wanted).await
    }

    /// Clears a user's delays and failures, and with `clock` the codes' high-water mark that lies in the future.
    pub async fn unlock_user(
        &self,
        caller: &Caller,
        user: &str,
        clock: bool,
    ) -> Result<(), Refusal> {
        let person = self.known_person(user).await?;
        let record = self.act(caller, user, Event::Administration, "unlocked", None);
        let now = self.now();
        Ok(self
            .recorded(record, |record| {
                self.store.unlock(person.id, clock, now, record)
            })
            .await?)
    }

    /// Takes every factor of a user away.
    pub async fn reset_user(&self, caller: &Caller, user: &str) -> Result<(), Refusal> {
        let person = self.known_person(user).await?;
        let record = self.act(caller, user, Event::Administration, "reset", None);
        self.forget_proofs(user);
        self.recorded(record, |record| self.store.reset_person(person.id, record))
            .await?;
        self.forget_proofs(user);
        Ok(())
    }

    /// Audit records, oldest first.
    pub async fn audit(&self, query: AuditQuery) -> Result<Vec<(i64, i64, String)>, Refusal> {
        let filter = AuditFilter {
            user: query.user,
            since: query.since,
            after: query.after,
            before: query.before,
            limit: query.limit.unwrap_or(100).clamp(1, PAGE),
        };
        Ok(self.store.audit(filter).await?)
    }

    async fn account_named(&self, user: &str) -> Result<Account, Refusal> {
        let found = self.people.named(user).await?;
        found.ok_or_else(|| {
            Refusal::NotFound(format!(
                "there is no user {} here",
                mfad_protocol::printable(user)
            ))
        })
    }
}
