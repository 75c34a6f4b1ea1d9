//! A login of the past, as its audit record tells it: the facts as they were then. It looks nothing up.

use std::net::IpAddr;

use mfad_protocol::{Context, Hook, PROTOCOL};
use policy::{Fact, FactSet, Known, Level, Signal};

use super::Case;
use crate::{
    audit::{Event, Grounds, Record},
    clock::Now,
    location::Country,
    management::Refusal,
    people::Account,
    risk::{Assessment, Fired},
    session::{
        Caller,
        facts::Facts,
        first_factor::{FirstFactor, Proven},
        scene::Scene,
        ssh_keys::Key,
        verdict::Subject,
    },
    store::Person,
};

/// The words of a record for what there is none of, and for what never was.
const NONE: &str = "none";
const NEVER: &str = "never";

/// A record of a login that the policy decided.
pub(super) struct Past {
    pub(super) record: Record,
    /// As it is kept.
    pub(super) json: String,
    pub(super) user: String,
    service: String,
}

impl Past {
    /// Reads a record.
    pub(super) fn read(sequence: i64, json: &str) -> Result<Self, Refusal> {
        let no_login = || {
            Refusal::Invalid(format!(
                "record {sequence} is not of a login that the policy decided, or of an older version; see: mfactl audit"
            ))
        };
        let record: Record = serde_json::from_str(json).map_err(|_| no_login())?;
        match (&record.user, &record.service, &record.grounds.require) {
            (Some(user), Some(service), Some(_)) if record.event == Event::Authentication => {
                Ok(Self {
                    user: user.clone(),
                    service: service.clone(),
                    json: json.to_owned(),
                    record,
                })
            }
            _ => Err(no_login()),
        }
    }

    /// The login.
    pub(super) fn case(&self, caller: &Caller, now: Now) -> Result<Case, Refusal> {
        let context = Context {
            protocol: PROTOCOL,
            hook: Some(Hook::Auth),
            service: self.service.clone(),
            user: self.user.clone(),
            rhost: self.record.rhost.clone(),
            tty: self.record.tty.clone(),
            ..Context::default()
        };
        let root = Caller {
            uid: 0,
            connection: caller.connection.clone(),
        };
        let mut facts = Facts::derive(context, &root)
            .map_err(|_| Refusal::Invalid("the record's texts are too long".into()))?;
        let told = &self.record.grounds;
        facts.target.clone_from(&told.target);
        facts.address = told
            .address
            .as_deref()
            .and_then(|text| text.parse::<IpAddr>().ok());
        facts.local = told.local;
        facts.seat = or_none(told.seat.as_deref(), |seat| Some(seat.to_owned()));
        facts.proven = proven(told);
        facts.first_factor = match &facts.proven {
            Some(proven) if proven.key().is_some() => FirstFactor::PublicKey,
            _ => FirstFactor::OtherSsh,
        };
        let now = Now {
            wall: self.record.time,
            ..now
        };
        Ok(Case {
            facts,
            now,
            given: [].into(),
        })
    }

    /// Who it was, with the uid and the groups of then. What they have enrolled is what they have now.
    pub(super) fn subject(&self, person: Option<Person>) -> Subject {
        let told = &self.record.grounds;
        let uid = told
            .uid
            .or_else(|| person.as_ref().map(|person| person.key.uid));
        let Some(uid) = uid else {
            return Subject::Nobody;
        };
        let account = Account {
            name: self.user.clone(),
            uid,
            groups: told.groups.clone().unwrap_or_default().into(),
        };
        Subject::of(account, person)
    }

    /// What else was known.
    pub(super) fn scene(&self, mut scene: Scene) -> Scene {
        let told = &self.record.grounds;
        scene.country = or_none(told.country.as_deref(), Country::new);
        scene.device = match told.device.as_deref() {
            Some("known") => Known::Is(policy::Device::Known),
            Some("new") => Known::Is(policy::Device::New),
            _ => Known::Unknown,
        };
        scene.risk = risk(told);
        scene.last_mfa = moment(told.last_mfa.as_deref());
        scene.last_login = moment(told.last_login.as_deref());
        scene.unrecorded = [
            told.uid.is_none().then_some(Fact::Uid),
            told.groups.is_none().then_some(Fact::Groups),
        ]
        .into_iter()
        .flatten()
        .collect::<FactSet>();
        scene
    }
}

/// What a record tells, of which `none` says that there is none.
fn or_none<T>(told: Option<&str>, read: impl FnOnce(&str) -> Option<T>) -> Known<Option<T>> {
    match told {
        None => Known::Unknown,
        Some(NONE) => Known::Is(None),
        Some(text) => read(text).map_or(Known::Unknown, |value| Known::Is(Some(value))),
    }
}

fn moment(told: Option<&str>) -> Known<Option<i64>> {
    match told {
        None => Known::Unknown,
        Some(NEVER) => Known::Is(None),
        Some(text) => {
            let moment = text.parse::<jiff::Timestamp>().ok();
            moment.map_or(Known::Unknown, |moment| Known::Is(Some(moment.as_second())))
        }
    }
}

fn proven(told: &Grounds) -> Option<Proven> {
    let words = told.first_factor.as_deref()?;
    let says = |word: &str| words.iter().any(|told| told == word);
    let key = says("publickey").then(|| Key {
        fingerprint: told.key.clone(),
        kind: String::new(),
        sk: says("sk-key"),
        certificate: says("certificate"),
        authority: told.ca.clone(),
    });
    Some(Proven {
        password: says("password"),
        keys: key.into_iter().collect(),
    })
}

/// The level, and the signals with their weights of then: `new-network 25`.
fn risk(told: &Grounds) -> Option<Assessment> {
    let level = told.risk.as_deref()?;
    let level = Level::ALL.into_iter().find(|known| known.word() == level)?;
    let signals: Option<Vec<Fired>> = told.signals.iter().map(|text| fired(text)).collect();
    let signals = signals?;
    Some(Assessment {
        level,
        score: signals.iter().map(|fired| fired.weight).sum(),
        signals,
    })
}

fn fired(text: &str) -> Option<Fired> {
    let (word, weight) = text.split_once(' ')?;
    Some(Fired {
        signal: Signal::ALL
            .into_iter()
            .find(|signal| signal.word() == word)?,
        weight: weight.parse().ok()?,
        why: "recorded".to_owned(),
    })
}
