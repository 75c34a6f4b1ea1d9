//! A user's own factors, as they are, and who may change them: once somebody has a factor, that takes a fresh proof of it.

use mfad_protocol::{UserInfo, factors};
use policy::UnenrolledAction;

use super::{Refusal, checked_name, find_credential, show::nobody};
use crate::{
    audit::{Event, Record},
    clock::Now,
    engine::{Engine, REALM},
    people::Account,
    session::{
        Caller,
        facts::SELF_SERVICE,
        grant::{Claim, Earned},
        running::Running,
    },
    store::{Kind, Person, Standing},
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
        let account = self.people.of_caller(caller.uid).await?;
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
        let closed = unenrolled.action_at(now.wall) == UnenrolledAction::Deny;
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
