//! A user's own factors. Once somebody has a factor, changing what is enrolled takes a fresh proof of it.

use mfad_protocol::{CredentialInfo, EnrollmentOffer, EnrollmentOptions, UserInfo, factors};
use policy::UnenrolledAction;
use zeroize::Zeroizing;

use super::{
    Refusal, checked_name,
    fido2::Terms,
    find_credential,
    offers::{Offer, Offered},
    show::nobody,
    ssh_keys,
};
use crate::{
    audit::{Event, Record},
    clock::Now,
    engine::{Engine, HASHING_PATIENCE, REALM},
    enrollment::{self, Maker, offer_codes, offer_key},
    factor::{answer::Answer, backup::Set},
    people::Account,
    session::{
        Caller,
        facts::SELF_SERVICE,
        grant::{Claim, Earned},
        running::Running,
    },
    store::{Kind, NewCredential, Person, PersonKey, Standing},
};

impl Engine {
    /// What the caller has enrolled.
    pub async fn own_status(&self, caller: &Caller) -> Result<UserInfo, Refusal> {
        let (account, person) = self.own(caller).await?;
        Ok(match person {
            Some(person) => self.show(&person).await?,
            None => nobody(&account),
        })
    }

    /// Makes a factor and offers it; nothing is stored before [`Engine::confirm_own`].
    pub async fn offer_own(
        &self,
        caller: &Caller,
        kind: &str,
        options: EnrollmentOptions,
        grant: &str,
    ) -> Result<EnrollmentOffer, Refusal> {
        let now = self.now();
        let (account, person) = self.own(caller).await?;
        let kind = known_kind(kind)?;
        let name = options.name.as_deref().map(checked_name).transpose()?;
        self.may_change(caller, &account, person.as_ref(), grant, now)?;
        if kind == Kind::BackupCodes && !person.as_ref().is_some_and(is_enrolled) {
            return Err(Refusal::Invalid(
                "backup codes need another factor first: mfactl enroll totp".into(),
            ));
        }
        let only_first = !person.as_ref().is_some_and(is_enrolled);
        let loaded = self.loaded();
        let maker = Maker {
            keyring: &self.keyring,
            settings: &loaded.settings,
        };
        let key = enrollment::person_key(&account);
        let no_id = || {
            Refusal::Unavailable(
                "your other enrollments are still going on; try again in a moment".into(),
            )
        };
        let shown_name = name.clone().unwrap_or_else(|| kind.word().to_owned());
        if kind == Kind::BackupCodes {
            let (set, codes, digests) = self.make_codes().await?;
            let what = Offered::Backup(set, Zeroizing::new(digests));
            let offer = Offer::new(key, name, what, only_first);
            let id = self.offers.file(offer, now).ok_or_else(no_id)?;
            return Ok(offer_codes(id, &shown_name, &codes));
        }
        if matches!(kind, Kind::SshSk | Kind::SshAgent) {
            ssh_keys::not_alone(kind, !only_first)?;
            let what = Offered::SshKey(kind, ssh_keys::meant(kind, options.key.as_deref())?);
            let offer = Offer::new(key, name, what, only_first);
            let id = self.offers.file(offer, now).ok_or_else(no_id)?;
            return Ok(offer_key(id, kind, &shown_name));
        }
        if kind == Kind::Fido2 {
            let what = Offered::Fido2(Terms {
                verify: options.verify == Some(true),
                resident: options.resident == Some(true),
                attested: options.attested == Some(true),
            });
            let offer = Offer::new(key, name, what, only_first);
            let id = self.offers.file(offer, now).ok_or_else(no_id)?;
            return Ok(offer_key(id, kind, &shown_name));
        }
        let kind = made_here(kind)?;
        let generator = maker.generator(kind, &options)?;
        let what = Offered::Otp(kind, generator.clone());
        let offer = Offer::new(key, name, what, only_first);
        let id = self.offers.file(offer, now).ok_or_else(no_id)?;
        Ok(maker.offer_otp(id, kind, &shown_name, &generator, &account.name)?)
    }

    /// Stores an offered factor once its owner has shown that it works (a code), or that they kept it (backup codes).
    pub async fn confirm_own(
        &self,
        caller: &Caller,
        id: &str,
        code: &str,
    ) -> Result<CredentialInfo, Refusal> {
        let now = self.now();
        let Some(offer) = self.offers.take(id, caller.uid, now) else {
            return Err(Refusal::NotFound(
                "that enrollment has expired or is used up; begin again".into(),
            ));
        };
        let new = match self.proven(&offer, code, now) {
            Ok(new) => new,
            Err(refusal) => {
                self.offers.put_back(id, offer);
                return Err(refusal);
            }
        };
        self.keep_own(caller, id, offer, new, now).await
    }

    /// Stores what an offer has come to.
    pub(super) async fn keep_own(
        &self,
        caller: &Caller,
        id: &str,
        offer: Offer,
        new: NewCredential,
        now: Now,
    ) -> Result<CredentialInfo, Refusal> {
        if !self.offers.close(id) {
            return Err(Refusal::NeedsGrant(
                "what you have enrolled has changed meanwhile; begin again".into(),
            ));
        }
        let new = NewCredential {
            only_first: offer.only_first,
            ..new
        };
        let credential = new.id;
        let record = self.act(
            caller,
            &offer.person.name,
            Event::Enrollment,
            "added",
            Some(factor(new.kind, new.name.as_deref())),
        );
        let person = self
            .recorded(record, |record| {
                self.store.add_credential(offer.person, new, now, record)
            })
            .await?;
        let added = person
            .credentials
            .iter()
            .find(|known| known.id == credential);
        added
            .map(|added| self.show_credential(&person, added))
            .ok_or_else(|| {
                Refusal::Unavailable(
                    "the factor was stored but is not found again; see: mfactl status".into(),
                )
            })
    }

    fn proven(&self, offer: &Offer, code: &str, now: Now) -> Result<NewCredential, Refusal> {
        let loaded = self.loaded();
        let maker = Maker {
            keyring: &self.keyring,
            settings: &loaded.settings,
        };
        match &offer.what {
            Offered::Otp(kind, generator) => {
                let answer = Answer::sort(code.as_bytes());
                let moving = generator.matches(&answer, 0, now, Self::windows(&loaded)).ok_or_else(|| {
                    Refusal::Denied("that code does not match; check that both clocks are right, and try the next code".into())
                })?;
                Ok(maker.otp(
                    &offer.person,
                    *kind,
                    generator,
                    offer.name.clone(),
                    Standing::Active,
                    moving,
                )?)
            }
            Offered::Backup(set, digests) => {
                Ok(maker.backup(&offer.person, set, digests.to_vec(), offer.name.clone())?)
            }
            Offered::SshKey(..) | Offered::Fido2(_) => Err(Refusal::Invalid(
                "a key is proven by its signature, not by a code".into(),
            )),
        }
    }

    /// Removes a factor of the caller's.
    pub async fn remove_own(
        &self,
        caller: &Caller,
        wanted: &str,
        grant: &str,
    ) -> Result<(), Refusal> {
        let (account, person) = self.own(caller).await?;
        self.may_change(caller, &account, person.as_ref(), grant, self.now())?;
        let person = person.ok_or_else(|| Refusal::NotFound("you have nothing enrolled".into()))?;
        self.remove(caller, &person, wanted).await
    }

    /// Renames a factor of the caller's: harmless, so no proof is asked for.
    pub async fn rename_own(
        &self,
        caller: &Caller,
        wanted: &str,
        name: &str,
    ) -> Result<(), Refusal> {
        let (_, person) = self.own(caller).await?;
        let person = person.ok_or_else(|| Refusal::NotFound("you have nothing enrolled".into()))?;
        let credential = find_credential(&person, wanted)?;
        let name = checked_name(name)?;
        let record = self.act(
            caller,
            &person.key.name,
            Event::Administration,
            "renamed",
            Some(factor(credential.kind, Some(&name))),
        );
        Ok(self
            .recorded(record, |record| {
                self.store
                    .rename_credential(person.id, credential.id, name, record)
            })
            .await?)
    }

    /// Removes a factor; who may has been settled.
    pub(super) async fn remove(
        &self,
        caller: &Caller,
        person: &Person,
        wanted: &str,
    ) -> Result<(), Refusal> {
        let credential = find_credential(person, wanted)?;
        let what = factor(credential.kind, Some(&credential.name));
        let record = self.act(
            caller,
            &person.key.name,
            Event::Administration,
            "removed",
            Some(what),
        );
        self.forget_proofs(&person.key.name);
        self.recorded(record, |record| {
            self.store
                .remove_credential(person.id, credential.id, record)
        })
        .await?;
        self.forget_proofs(&person.key.name);
        Ok(())
    }

    /// Ends what was begun with a proof of a factor that goes: whoever has stolen it may have used it. Before it goes and
    /// after, so that nothing that began in between outlives it.
    pub(super) fn forget_proofs(&self, user: &str) {
        self.offers.forget(user);
        self.grants.forget(user);
        self.registry.end(user, Running::rests_on_a_proof);
    }

    /// Makes backup codes beside the event loop: hashing ten of them takes a third of a second.
    pub(super) async fn make_codes(
        &self,
    ) -> Result<(Set, Zeroizing<Vec<String>>, Vec<[u8; 32]>), Refusal> {
        let busy =
            || Refusal::Unavailable("too busy to make backup codes; try again in a moment".into());
        let turn = tokio::time::timeout(HASHING_PATIENCE, self.hashing.acquire()).await;
        let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let keyring = std::sync::Arc::clone(&self.keyring);
        let made = tokio::task::spawn_blocking(move || Set::generate(&keyring))
            .await
            .map_err(|_| busy())?;
        Ok(made?)
    }

    /// An audit record of somebody's act.
    pub(super) fn act(
        &self,
        caller: &Caller,
        user: &str,
        event: Event,
        outcome: &str,
        factor: Option<String>,
    ) -> Record {
        Record {
            user: Some(mfad_protocol::printable(user)),
            service: Some(SELF_SERVICE.to_owned()),
            factor,
            by: Some(caller.uid),
            ..Record::new(self.now().wall, event, outcome)
        }
    }

    pub(super) async fn own(&self, caller: &Caller) -> Result<(Account, Option<Person>), Refusal> {
        let no_answer = |_| {
            Refusal::Unavailable(
                "the name service does not answer; try again, or see: getent passwd".into(),
            )
        };
        let account = self.people.of_caller(caller.uid).await.map_err(no_answer)?;
        let account = account
            .ok_or_else(|| Refusal::Denied(format!("uid {} has no account here", caller.uid)))?;
        let person = self.store.find_person(REALM, &account.name).await?;
        if person
            .as_ref()
            .is_some_and(|person| person.key.uid != account.uid)
        {
            return Err(Refusal::Denied(format!(
                "{} was enrolled under another uid; an administrator must run: mfactl user reset {}",
                account.name, account.name
            )));
        }
        Ok((account, person))
    }

    /// Whether the caller may change what is enrolled: with a fresh proof of a factor, or, for the first one, if the
    /// policy lets people enroll themselves. A grant serves once.
    pub(super) fn may_change(
        &self,
        caller: &Caller,
        account: &Account,
        person: Option<&Person>,
        grant: &str,
        now: Now,
    ) -> Result<(), Refusal> {
        if person.is_some_and(is_enrolled) {
            let claim = Claim {
                reference: grant,
                caller_uid: caller.uid,
                user: &account.name,
                service: SELF_SERVICE,
                real_uid: None,
            };
            let presented = self.grants.present(&claim, now);
            self.grants.retire(grant);
            return match presented.map(|grant| grant.earned) {
                Some(Earned::Proven(_)) => Ok(()),
                _ => Err(Refusal::NeedsGrant(
                    "first prove a factor that you have".into(),
                )),
            };
        }
        let unenrolled = self.loaded().policy.unenrolled();
        let closed = unenrolled.action == UnenrolledAction::Deny
            || unenrolled.until.is_some_and(|until| now.wall >= until);
        if closed && !caller.is_root() {
            return Err(Refusal::Denied(format!(
                "the policy does not let people enroll themselves; ask an administrator for: mfactl user enroll {} totp",
                account.name
            )));
        }
        Ok(())
    }
}

pub(super) fn known_kind(word: &str) -> Result<Kind, Refusal> {
    Kind::from_word(word).ok_or_else(|| {
        Refusal::Invalid(format!(
            "{} is no factor; there are {}",
            mfad_protocol::printable(word),
            factors::ALL.join(", ")
        ))
    })
}

/// A kind whose credential is made here, from random bytes.
pub(super) fn made_here(kind: Kind) -> Result<Kind, Refusal> {
    match kind {
        Kind::Totp | Kind::Hotp | Kind::BackupCodes => Ok(kind),
        Kind::Fido2 | Kind::SshSk | Kind::SshAgent => Err(Refusal::Invalid(format!(
            "{} cannot be enrolled in this way; see mfactl(1)",
            kind.word()
        ))),
    }
}

pub(super) fn is_enrolled(person: &Person) -> bool {
    person
        .credentials
        .iter()
        .any(|credential| credential.standing == Standing::Active)
}

pub(super) fn factor(kind: Kind, name: Option<&str>) -> String {
    name.map_or_else(
        || kind.word().to_owned(),
        |name| format!("{} {name}", kind.word()),
    )
}

/// The key under which an administrator enrolls an account.
pub(super) fn key_of(account: &Account) -> PersonKey {
    enrollment::person_key(account)
}
