//! Whose second factor a login asks for, from the name that the host states and the uid that the kernel does.

use mfad_protocol::State;
use policy::{Policy, SuSubject};

use super::{Caller, facts::Facts, verdict::Subject};
use crate::{
    audit::Event,
    clock::Now,
    engine::{Engine, REALM},
    people::NoAnswer,
    store::StoreError,
};

/// su, under the names that hosts give it.
const SU: [&str; 2] = ["su", "su-l"];

/// Whether the login is su's, in which the policy says who is asked.
pub(super) fn is_su(facts: &Facts) -> bool {
    SU.contains(&facts.service.as_str())
}

/// Who cannot say who somebody is.
#[derive(Debug)]
pub(super) enum Lost {
    /// The name service.
    Account(NoAnswer),
    /// The store.
    Person(StoreError),
    /// Nobody has the caller's uid.
    Caller,
}

impl Engine {
    /// Makes who switches the subject of su, where the policy says so. Who that is, the kernel says; an account that
    /// cannot be found leaves nobody, who passes nowhere.
    pub(super) async fn settle_subject(
        &self,
        caller: &Caller,
        facts: &mut Facts,
        policy: &Policy,
    ) -> Result<(), NoAnswer> {
        let by_caller = policy.subject().su == SuSubject::Caller;
        if !(by_caller && caller.is_root() && is_su(facts)) {
            return Ok(());
        }
        let account = match facts.real_uid {
            Some(uid) => self.people.with_uid(uid).await?,
            None => None,
        };
        facts.switch(account.map(|account| account.name));
        Ok(())
    }

    /// Who wants in; or how the login ends where nobody can say (which is recorded).
    ///
    /// A caller other than root may only ask for its own account; for any other it meets nobody, and nothing is looked
    /// up on its behalf but its own uid.
    pub(super) async fn subject(
        &self,
        caller: &Caller,
        facts: &Facts,
        now: Now,
    ) -> Result<Subject, State> {
        let found = self.find_subject(caller, facts).await;
        found.map_err(|lost| match lost {
            Lost::Account(why) => self.no_account(facts, why, now),
            Lost::Person(error) => {
                self.without_subject(facts, State::Unavailable, error.to_string(), now)
            }
            Lost::Caller => {
                let why = "the caller's uid is nobody's".to_owned();
                self.without_subject(facts, State::Denied, why, now)
            }
        })
    }

    /// The same, without a record.
    pub(super) async fn find_subject(
        &self,
        caller: &Caller,
        facts: &Facts,
    ) -> Result<Subject, Lost> {
        let Some(user) = &facts.user else {
            return Ok(Subject::Nobody);
        };
        let account = if caller.is_root() {
            self.people.named(user).await
        } else {
            match self.people.of_caller(caller.uid).await {
                // Somebody's subordinate uid, of which they have thousands: it is not asked anything either.
                Ok(None) => return Err(Lost::Caller),
                own => own.map(|account| account.filter(|account| account.name == *user)),
            }
        };
        let person = self.store.find_person(REALM, user).await;
        match (account, person) {
            (Ok(Some(account)), Ok(_)) if account.name != *user => Ok(Subject::Alias(account)),
            (Ok(Some(account)), Ok(person)) => Ok(Subject::of(account, person)),
            (Ok(None), Ok(_)) => Ok(Subject::Nobody),
            (Err(why), _) => Err(Lost::Account(why)),
            (_, Err(error)) => Err(Lost::Person(error)),
        }
    }

    /// The name service does not say who somebody is.
    pub(super) fn no_account(&self, facts: &Facts, why: NoAnswer, now: Now) -> State {
        let (why, state) = match why {
            NoAnswer::Silent => ("the name service does not answer", State::Unavailable),
            // Anybody can ask for many names.
            NoAnswer::Crowded => ("too many names are being looked up", State::Denied),
        };
        self.without_subject(facts, state, why.to_owned(), now)
    }

    fn without_subject(&self, facts: &Facts, state: State, why: String, now: Now) -> State {
        let outcome = if state == State::Denied {
            "denied"
        } else {
            "unavailable"
        };
        let mut record = facts.record(now.wall, Event::Authentication, outcome);
        record.detail = Some(why);
        self.note(record);
        state
    }
}
