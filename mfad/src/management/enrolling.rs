//! Enrolling a factor of one's own: it is made and offered, and stored once its owner has shown that it works.

use mfad_protocol::{CredentialInfo, EnrollmentOffer, EnrollmentOptions};
use zeroize::Zeroizing;

use super::{
    Refusal, checked_name,
    fido2::Terms,
    offers::{Offer, Offered},
    own::{factor, is_enrolled, known_kind},
    ssh_keys,
};
use crate::{
    audit::Event,
    clock::Now,
    engine::{Engine, HASHING_PATIENCE},
    enrollment::{self, Maker, offer_codes, offer_key},
    factor::{
        answer::Answer,
        backup::{Codes, Set},
        otp::Generator,
    },
    session::Caller,
    store::{Kind, NewCredential, Standing},
};

/// What the owner of a new factor must see of it, once.
enum Shown {
    Generator(Generator),
    Codes(Codes),
    Nothing,
}

impl Engine {
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
        let only_first = !person.as_ref().is_some_and(is_enrolled);
        let loaded = self.loaded();
        let maker = Maker {
            keyring: &self.keyring,
            settings: &loaded.settings,
        };
        let (what, shown) = self
            .made_to_offer(&maker, kind, &options, only_first)
            .await?;
        let shown_name = name.clone().unwrap_or_else(|| kind.word().to_owned());
        let offer = Offer::new(enrollment::person_key(&account), name, what, only_first);
        let id = self.offers.file(offer, now).ok_or_else(|| {
            Refusal::Unavailable(
                "your other enrollments are still going on; try again in a moment".into(),
            )
        })?;
        Ok(match shown {
            Shown::Generator(generator) => {
                maker.offer_otp(id, kind, &shown_name, &generator, &account.name)?
            }
            Shown::Codes(codes) => offer_codes(id, &shown_name, &codes),
            Shown::Nothing => offer_key(id, kind, &shown_name),
        })
    }

    /// What is to be offered to somebody who has a factor, or has none (`only_first`), and what they must see of it.
    async fn made_to_offer(
        &self,
        maker: &Maker<'_>,
        kind: Kind,
        options: &EnrollmentOptions,
        only_first: bool,
    ) -> Result<(Offered, Shown), Refusal> {
        Ok(match kind {
            Kind::BackupCodes if only_first => {
                return Err(Refusal::Invalid(
                    "backup codes need another factor first: mfactl enroll totp".into(),
                ));
            }
            Kind::BackupCodes => {
                let (set, codes, digests) = self.make_codes().await?;
                let what = Offered::Backup(set, Zeroizing::new(digests));
                (what, Shown::Codes(codes))
            }
            Kind::SshSk | Kind::SshAgent => {
                ssh_keys::not_alone(kind, !only_first)?;
                let key = ssh_keys::meant(kind, options.key.as_deref())?;
                (Offered::SshKey(kind, key), Shown::Nothing)
            }
            Kind::Fido2 => {
                let what = Offered::Fido2(Terms {
                    verify: options.verify == Some(true),
                    resident: options.resident == Some(true),
                    attested: options.attested == Some(true),
                });
                (what, Shown::Nothing)
            }
            Kind::Totp | Kind::Hotp => {
                let generator = maker.generator(kind, options)?;
                let what = Offered::Otp(kind, generator.clone());
                (what, Shown::Generator(generator))
            }
        })
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

    /// Forgets what was offered to the caller.
    pub fn withdraw_own(&self, caller: &Caller, id: &str) {
        self.offers.withdraw(id, caller.uid);
        if self.makings.withdraw(id, caller.uid) {
            let _its_place = self.offers.close(id);
        }
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

    /// Makes backup codes beside the event loop: hashing ten of them takes a third of a second.
    pub(super) async fn make_codes(&self) -> Result<(Set, Codes, Vec<[u8; 32]>), Refusal> {
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
}
