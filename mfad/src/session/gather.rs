//! Finds out what the policy asks for, and no more. Each look-up is bounded in time, and what fails leaves its fact
//! unknown: it decides nothing.

use std::os::fd::OwnedFd;

use policy::{Additions, Fact, FactSet, Known, Policy, Source};

use super::{
    Caller,
    facts::Facts,
    scene::{Demands, Scene},
    verdict::Subject,
    whereabouts::Whereabouts,
};
use crate::{
    audit::Event,
    clock::Now,
    config::{self, Loaded},
    engine::Engine,
    location::Country,
    risk::{self, Assessment, Circumstances, History, Mark, Network},
    store::{Kind, Person, PersonId, Recollection, StoreError},
};

/// What depends on where a person sits.
const OF_A_PLACE: [Fact; 7] = [
    Fact::Network,
    Fact::Seat,
    Fact::Country,
    Fact::Device,
    Fact::Risk,
    Fact::Remembered,
    Fact::Proofs,
];
/// What the store's memory of earlier logins is asked for.
const OF_THE_PAST: [Fact; 5] = [
    Fact::Device,
    Fact::Risk,
    Fact::LastMfa,
    Fact::LastLogin,
    Fact::Remembered,
];
/// What the database of places is asked for.
const OF_THE_GLOBE: [Fact; 2] = [Fact::Country, Fact::Risk];
/// A row that is nobody's, so that somebody unknown is looked up like anybody else.
const NOBODY: PersonId = PersonId(-1);

/// What a login is to be decided by, besides the policy, and which facts that and the policy ask for.
#[derive(Debug)]
pub struct Wanted {
    pub(super) demands: Demands,
    pub(super) needs: FactSet,
}

impl Wanted {
    /// By this policy, and what this person demands beyond it.
    pub fn by(policy: &Policy, person: Option<&Person>) -> Self {
        let mut policy = policy.needs();
        if person.is_some_and(has_a_plugged_key) {
            // Such a key is asked only where its owner sits.
            policy = policy.union(FactSet::of(Fact::Seat));
        }
        let Some(text) = person.and_then(|person| person.requirement.as_deref()) else {
            return Self {
                demands: Demands::default(),
                needs: policy,
            };
        };
        let source = Source {
            name: "own additions",
            text,
        };
        match Additions::parse(source, &config::vocabulary()) {
            Ok(additions) => Self {
                needs: policy.union(additions.needs()),
                demands: Demands::Rules(additions),
            },
            Err(_) => Self {
                demands: Demands::Unreadable,
                needs: policy,
            },
        }
    }
}

fn has_a_plugged_key(person: &Person) -> bool {
    let mut credentials = person.credentials.iter();
    credentials.any(|credential| credential.kind == Kind::Fido2)
}

/// What is not to be looked up, since somebody says what it shall be: of a login that is only thought of.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) country: Known<Option<Country>>,
    pub(super) device: Known<policy::Device>,
    pub(super) risk: Known<Assessment>,
    pub(super) last_mfa: Known<Option<i64>>,
}

impl Given {
    /// A device that nobody has come with.
    fn mark(&self) -> Option<Mark> {
        (self.device == Known::Is(policy::Device::New)).then(|| Mark::of("given", "new"))
    }

    fn put_into(&self, scene: &mut Scene) {
        if self.country != Known::Unknown {
            scene.country = self.country;
        }
        if self.device != Known::Unknown {
            scene.device = self.device;
        }
        if let Known::Is(risk) = &self.risk {
            scene.risk = Some(risk.clone());
        }
        if self.last_mfa != Known::Unknown {
            scene.last_mfa = self.last_mfa;
        }
    }
}

impl Engine {
    /// Settles where the host program runs, if a rule asks for that. Only root's word is taken for which process that is.
    pub(super) async fn find_whereabouts(
        &self,
        caller: &Caller,
        facts: &mut Facts,
        process: Option<OwnedFd>,
        needs: FactSet,
    ) {
        let process = process.filter(|_| needs.contains_any(&OF_A_PLACE));
        let named = match process {
            Some(process) if caller.is_root() => self.sessions.whereabouts(process).await,
            Some(process) => self.own_whereabouts(process).await,
            None => Whereabouts::default(),
        };
        if caller.is_root() {
            facts.settle_whereabouts(named);
        } else {
            facts.settle_whereabouts(Whereabouts::default());
            facts.settle_own_seat(caller.uid, &named);
        }
    }

    /// Looks up what is wanted, except for what is `given`, and changes nothing.
    pub(super) async fn gather(
        &self,
        facts: &Facts,
        subject: &Subject,
        loaded: &Loaded,
        wanted: Wanted,
        given: &Given,
        now: Now,
    ) -> Scene {
        let person = subject.person();
        let needs = wanted.needs;
        let mut scene = Scene {
            additions: wanted.demands,
            circumstances: Circumstances {
                network: facts.address.map(Network::of),
                device: given.mark().or_else(|| mark(facts)),
                ..Circumstances::default()
            },
            ..Scene::default()
        };
        if needs.contains_any(&OF_THE_GLOBE) {
            locate(facts, loaded, given, &mut scene, now);
        }
        if needs.contains_any(&OF_THE_PAST) {
            self.remember_the_past(facts, person, loaded, &mut scene, now)
                .await;
        }
        if let (true, Some(person), Some(session)) = (
            needs.contains(Fact::Proofs),
            person,
            facts.whereabouts.proofs_of(subject.uid()),
        ) {
            let proofs = self.store.proofs(person.id, session, now).await;
            scene.proofs = proofs.unwrap_or_default();
        }
        given.put_into(&mut scene);
        scene
    }

    /// Tells once, in the first login that misses them, that countries are not known.
    pub(super) fn tell_of_places(&self, facts: &Facts, loaded: &Loaded, needs: FactSet, now: Now) {
        if facts.address.is_none() || !needs.contains_any(&OF_THE_GLOBE) {
            return;
        }
        if let Some(problem) = loaded.places.news(now.wall) {
            let mut record = facts.record(now.wall, Event::Alarm, "unavailable");
            record.detail = Some(format!("countries are not known: {problem}"));
            self.trail.send(&record);
        }
    }

    async fn remember_the_past(
        &self,
        facts: &Facts,
        person: Option<&Person>,
        loaded: &Loaded,
        scene: &mut Scene,
        now: Now,
    ) {
        let id = person.map_or(NOBODY, |person| person.id);
        let recalled = match self.store.recall(id, facts.place, now).await {
            // Nobody has been here: that is known, and is not risky.
            Err(StoreError::NotFound) => Recollection::default(),
            Err(_) => return,
            Ok(recalled) => recalled,
        };
        let history = &recalled.history;
        scene.last_mfa = Known::Is(history.last_mfa);
        scene.last_login = Known::Is(history.last_login);
        if facts.awaits_its_key() {
            // The device is not visible yet, and it is what makes a login unusual first of all.
            return;
        }
        scene.device = device(history, &scene.circumstances);
        scene.risk = Some(risk::assess(
            history,
            &scene.circumstances,
            recalled.failures,
            &loaded.settings.risk.settings,
            now.wall,
        ));
    }
}

/// Where on the globe the far end is.
fn locate(facts: &Facts, loaded: &Loaded, given: &Given, scene: &mut Scene, now: Now) {
    if let Known::Is(country) = given.country {
        scene.circumstances.country = country;
        return;
    }
    let Some(address) = facts.address else {
        if facts.local {
            scene.country = Known::Is(None);
        }
        return;
    };
    let found = loaded.places.find(address, now.wall);
    scene.country = found.country;
    scene.circumstances.country = found.country.known().flatten();
    scene.circumstances.position = found.position;
}

/// What a device is recognized by: its key, or the seat that one sits at.
fn mark(facts: &Facts) -> Option<Mark> {
    if let Some(key) = facts.key() {
        return Some(Mark::of("ssh-key", key.fingerprint.as_deref()?));
    }
    match &facts.seat {
        Known::Is(Some(seat)) if facts.local => Some(Mark::of("seat", seat)),
        _ => None,
    }
}

fn device(history: &History, circumstances: &Circumstances) -> Known<policy::Device> {
    circumstances.device.map_or(Known::Unknown, |mark| {
        Known::Is(if history.knows(mark) {
            policy::Device::Known
        } else {
            policy::Device::New
        })
    })
}
