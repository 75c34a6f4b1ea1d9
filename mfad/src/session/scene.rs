//! What was found out about a login besides its facts, as values, and the policy's view of all of it. It looks nothing up.

use policy::{Additions, Decision, Explanation, Fact, FactSet, Known, Policy};

use super::{facts::Facts, first_factor::Proven, verdict::Subject};
use crate::{
    audit::Grounds,
    clock::Now,
    location::Country,
    risk::{Assessment, Circumstances},
    store::Proof,
};

/// Most groups that a record names, and most bytes of their names.
const MOST_GROUPS: usize = 32;
const LONGEST_GROUPS: usize = 1024;

/// A login's surroundings.
#[derive(Debug, Default)]
pub struct Scene {
    /// The far end's country.
    pub country: Known<Option<Country>>,
    /// What risk is judged by, and what a completed login teaches.
    pub circumstances: Circumstances,
    /// Whether its person has come with this device before.
    pub device: Known<policy::Device>,
    /// How unusual it is.
    pub risk: Option<Assessment>,
    /// When its person last proved a second factor.
    pub last_mfa: Known<Option<i64>>,
    /// When they last logged in.
    pub last_login: Known<Option<i64>>,
    /// What they have proven in this login session.
    pub proofs: Vec<Proof>,
    /// What they demand beyond the policy.
    pub additions: Demands,
    /// Of a login of the past: what its record does not tell of the account.
    pub unrecorded: FactSet,
}

/// What a person demands beyond the policy.
#[derive(Debug)]
pub enum Demands {
    /// These rules, which may be none.
    Rules(Additions),
    /// Something that this version cannot read: what it was is not known, so nothing will do.
    Unreadable,
}

impl Default for Demands {
    fn default() -> Self {
        Self::Rules(Additions::default())
    }
}

impl Scene {
    /// Decides by this policy.
    pub fn decide(&self, policy: &Policy, facts: &Facts, subject: &Subject, now: Now) -> Decision {
        self.with_request(facts, subject, now, |request| match &self.additions {
            Demands::Rules(additions) => policy.decide_with(request, additions),
            Demands::Unreadable => Decision::certain(
                policy::Verdict::Deny,
                Some("the user's own additions, which cannot be read".to_owned()),
            ),
        })
    }

    /// Decides likewise, and says why. Additions that cannot be read leave no reasons.
    pub(super) fn explain(
        &self,
        policy: &Policy,
        facts: &Facts,
        subject: &Subject,
        now: Now,
    ) -> Explanation {
        match &self.additions {
            Demands::Rules(additions) => self.with_request(facts, subject, now, |request| {
                policy.explain_with(request, additions)
            }),
            Demands::Unreadable => Explanation {
                decision: self.decide(policy, facts, subject, now),
                reasons: policy::Reasons::default(),
            },
        }
    }

    /// Shows `look` the login as a policy sees it.
    pub fn with_request<T>(
        &self,
        facts: &Facts,
        subject: &Subject,
        now: Now,
        look: impl FnOnce(&policy::Request<'_>) -> T,
    ) -> T {
        let proven = facts.proven.as_ref();
        let keys: Vec<policy::Key<'_>> = proven
            .map(|proven| proven.keys.iter().map(|key| key.as_policy()).collect())
            .unwrap_or_default();
        let seat = match &facts.seat {
            Known::Unknown => Known::Unknown,
            Known::Is(seat) => Known::Is(seat.as_deref()),
        };
        let is_told = |fact| !self.unrecorded.contains(fact);
        look(&policy::Request {
            uid: subject.uid().filter(|_| is_told(Fact::Uid)),
            groups: if is_told(Fact::Groups) {
                Known::Is(subject.groups())
            } else {
                Known::Unknown
            },
            target: facts.target.as_deref(),
            address: facts.address,
            local: facts.local,
            tty: facts.tty.as_deref(),
            seat,
            country: self.country,
            first: Known::from(proven.map(|proven| policy::FirstFactor {
                password: proven.password,
                keys: &keys,
            })),
            device: self.device,
            risk: self.risk.as_ref().map(as_policy).into(),
            last_mfa: self.last_mfa,
            last_login: self.last_login,
            ..policy::Request::new(
                facts.user.as_deref().unwrap_or_default(),
                &facts.service,
                now.wall,
            )
        })
    }

    /// What audit records tell of it.
    pub fn grounds(&self, facts: &Facts, subject: &Subject, decision: &Decision) -> Grounds {
        let or_none = |known: Known<Option<&str>>| {
            known
                .known()
                .map(|value| value.unwrap_or("none").to_owned())
        };
        let seat = match &facts.seat {
            Known::Unknown => Known::Unknown,
            Known::Is(seat) => Known::Is(seat.as_deref()),
        };
        let country = match &self.country {
            Known::Unknown => Known::Unknown,
            Known::Is(country) => Known::Is(country.as_ref().map(Country::as_str)),
        };
        let risk = self.risk.as_ref();
        let groups = subject.groups();
        let length: usize = groups.iter().map(String::len).sum();
        let few = groups.len() <= MOST_GROUPS && length <= LONGEST_GROUPS;
        let account = subject.uid();
        Grounds {
            uid: account,
            groups: account.filter(|_| few).map(|_| groups.to_vec()),
            enrolled: subject.person().map(|person| {
                let kinds = person.kinds().into_iter();
                kinds.map(|kind| kind.word().to_owned()).collect()
            }),
            address: facts.address.map(|address| address.to_string()),
            local: facts.local,
            first_factor: facts.proven.as_ref().and_then(Proven::words),
            ca: facts.key().and_then(|key| key.authority.clone()),
            last_mfa: self.last_mfa.known().map(moment),
            last_login: self.last_login.known().map(moment),
            require: Some(decision.verdict.to_string()),
            relied: None,
            target: facts.target.clone(),
            key: facts.key().and_then(|key| key.fingerprint.clone()),
            session: facts
                .whereabouts
                .session()
                .map(|session| session.id.clone()),
            seat: or_none(seat),
            country: or_none(country),
            device: self.device.known().map(|device| {
                let word = match device {
                    policy::Device::Known => "known",
                    policy::Device::New => "new",
                };
                word.to_owned()
            }),
            risk: risk.map(|risk| risk.level.word().to_owned()),
            signals: risk
                .map(|risk| {
                    let fired = risk.signals.iter();
                    fired
                        .map(|fired| format!("{} {}", fired.signal.word(), fired.weight))
                        .collect()
                })
                .unwrap_or_default(),
            unknown: (!decision.unknown.is_empty()).then(|| decision.unknown.to_string()),
            shadow: None,
            shadow_rule: None,
        }
    }

    /// Whether its person, who has come before, never came with this device.
    pub fn is_first_of_its_device(&self) -> bool {
        self.device == Known::Is(policy::Device::New) && matches!(self.last_mfa, Known::Is(Some(_)))
    }

    /// Whether a key that is not visible yet could make the decision a looser one.
    pub fn waits_for_the_key(facts: &Facts, decision: &Decision) -> bool {
        let by_key = [Fact::First, Fact::Device, Fact::Risk];
        let bound = decision
            .trust
            .as_ref()
            .is_some_and(|trust| trust.remember.bind.contains(&policy::Bind::SshKey));
        facts.proven.is_none() && (decision.unknown.contains_any(&by_key) || bound)
    }
}

/// A moment as records have it, readable for whoever looks at them.
fn moment(moment: Option<i64>) -> String {
    let Some(moment) = moment else {
        return "never".to_owned();
    };
    jiff::Timestamp::from_second(moment).map_or_else(|_| moment.to_string(), |at| at.to_string())
}

/// An assessment as the policy sees it.
fn as_policy(assessment: &Assessment) -> policy::Risk {
    policy::Risk {
        level: assessment.level,
        signals: assessment
            .signals
            .iter()
            .map(|fired| fired.signal)
            .collect(),
    }
}
