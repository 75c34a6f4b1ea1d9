//! People, guesses and attempts to try a store with.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use mfad::{
    audit::{Event, Record},
    clock::Now,
    store::{
        Attempt, Credential, CredentialId, Guess, Judgement, Kind, Match, NewCredential, Person,
        PersonId, PersonKey, Standing, Store,
    },
    throttle::{Class, Place},
};

/// When everything begins: 15 January 2027.
pub(crate) const START: i64 = 1_800_000_000;
pub(crate) const DAY: i64 = 86_400;

pub(crate) fn at(seconds: i64) -> Now {
    Now {
        wall: START + seconds,
        steady: START + seconds,
        boot: 1_000 + seconds,
    }
}

pub(crate) fn key(name: &str) -> PersonKey {
    PersonKey {
        realm: "local".into(),
        name: name.into(),
        uid: 1000,
    }
}

pub(crate) fn record(user: &str, event: Event) -> Record {
    Record {
        time: START,
        event,
        outcome: "asked".into(),
        user: Some(user.into()),
        service: Some("sshd".into()),
        rhost: None,
        tty: None,
        factor: None,
        rule: None,
        grounds: mfad::audit::Grounds::default(),
        by: None,
        detail: None,
    }
}

pub(crate) fn new(kind: Kind, number: u8) -> NewCredential {
    NewCredential {
        id: CredentialId([number; 16]),
        kind,
        name: None,
        standing: Standing::Active,
        only_first: false,
        sealed: vec![number; 120],
        moving: if kind == Kind::Totp { -1 } else { 0 },
        codes: if kind == Kind::BackupCodes {
            (0..10).map(|code| [code; 32]).collect()
        } else {
            Vec::new()
        },
    }
}

/// Adds a TOTP credential numbered 1.
pub(crate) async fn enroll(store: &dyn Store, name: &str) -> Person {
    add(store, name, new(Kind::Totp, 1)).await
}

pub(crate) async fn add(store: &dyn Store, name: &str, new: NewCredential) -> Person {
    store
        .add_credential(key(name), new, at(0), record(name, Event::Enrollment))
        .await
        .unwrap()
}

/// A guess whose outcome the test decides.
#[derive(Clone)]
pub(crate) struct Says {
    pub(crate) matched: Option<Match>,
    pub(crate) cost: u32,
    /// How often it was asked about credentials that could match, and about none.
    pub(crate) looked: Arc<AtomicU32>,
    pub(crate) decoys: Arc<AtomicU32>,
}

impl Says {
    pub(crate) fn of(matched: Option<Match>) -> Self {
        Self {
            matched,
            cost: 1,
            looked: Arc::default(),
            decoys: Arc::default(),
        }
    }

    pub(crate) fn step(to: i64) -> Self {
        Self::of(Some(Match::Advance {
            credential: CredentialId([1; 16]),
            to,
        }))
    }

    pub(crate) fn wrong() -> Self {
        Self::of(None)
    }
}

impl Guess for Says {
    fn examine(&mut self, credentials: &[Credential]) -> Option<Match> {
        if credentials.is_empty() {
            self.decoys.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.looked.fetch_add(1, Ordering::Relaxed);
        self.matched
    }

    fn cost(&self, _credentials: &[Credential]) -> u32 {
        self.cost
    }
}

pub(crate) fn attempt(person: Option<PersonId>, place: Place, now: Now) -> Attempt {
    let record = Record {
        time: now.wall,
        ..record("alice", Event::Authentication)
    };
    Attempt {
        completes: true,
        person,
        class: Class::Otp,
        place,
        now,
        record,
    }
}

/// An address of the documentation's network 203.0.113.0/24.
pub(crate) fn from(last: u8) -> Place {
    Place::Remote(Some(std::net::Ipv4Addr::new(203, 0, 113, last).into()))
}

pub(crate) async fn judge(
    store: &dyn Store,
    person: &Person,
    place: Place,
    now: Now,
    guess: Says,
) -> Judgement {
    store
        .judge(attempt(Some(person.id), place, now), Box::new(guess))
        .await
        .unwrap()
}

/// Outcomes of the audit records, oldest first.
pub(crate) async fn outcomes(store: &dyn Store) -> Vec<String> {
    let filter = mfad::store::AuditFilter {
        limit: 1000,
        ..Default::default()
    };
    let records = store.audit(filter).await.unwrap();
    records
        .iter()
        .map(|(_, _, json)| {
            serde_json::from_str::<serde_json::Value>(json).unwrap()["outcome"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

pub(crate) fn accepted(judgement: &Judgement) -> bool {
    matches!(judgement, Judgement::Accepted { .. })
}
