//! What may stand in for an answer: a remembered device where the rule has `remember`, an earlier proof of this session
//! where it has `max-age`. The weighing is pure; the look-up of the device is the store's.

use mfad_protocol::Hook;
use policy::{Bind, Decision, Known, Requirement, Trust, Verdict};

use super::{
    facts::{Facts, SELF_SERVICE},
    scene::Scene,
    verdict::Subject,
};
use crate::{
    audit::Event,
    clock::Now,
    config::Loaded,
    engine::Engine,
    factor::{Allowed, Evidence},
    risk::Level,
    store::{BindKind, Binding, DeviceId, Kind, NewDevice, PersonId, Proof},
};

/// What a login needs once that is taken into account.
#[derive(Debug)]
pub struct Settled {
    /// What is still needed.
    pub verdict: Verdict,
    /// What stood in for an answer.
    pub relied: Option<Relied>,
    /// What may be offered to be remembered when all is proven.
    pub offer: Option<NewDevice>,
}

/// What stood in for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relied {
    /// A remembered device.
    Device(DeviceId),
    /// A proof made earlier in this session, so many seconds ago.
    Proof(i64),
}

impl Relied {
    /// For the audit log.
    pub fn describe(&self) -> String {
        match self {
            Self::Device(device) => format!("remembered device {}", short(*device)),
            Self::Proof(age) => format!("proven {} min ago in this session", age / 60),
        }
    }
}

/// A device as people see it: its first 16 hexadecimal digits.
pub fn short(device: DeviceId) -> String {
    let mut hex = mfad_protocol::hex::encode(&device.0);
    hex.truncate(16);
    hex
}

impl Engine {
    /// Takes into account what may stand in for an answer. A remembered device that shows up with a sign of risk is
    /// forgotten, and all others of its person with it.
    pub(super) async fn settle(
        &self,
        facts: &Facts,
        subject: &Subject,
        decision: &Decision,
        scene: &Scene,
        loaded: &Loaded,
        now: Now,
    ) -> Settled {
        let (settled, doubted) = self
            .what_stands_in(facts, subject, decision, scene, loaded, now)
            .await;
        if let Some(person) = doubted {
            self.forget_devices(facts, person, "a sign of risk", now)
                .await;
        }
        settled
    }

    /// The same, without forgetting anything: names whose devices are to be forgotten.
    pub(super) async fn what_stands_in(
        &self,
        facts: &Facts,
        subject: &Subject,
        decision: &Decision,
        scene: &Scene,
        loaded: &Loaded,
        now: Now,
    ) -> (Settled, Option<PersonId>) {
        let mut settled = Settled {
            verdict: decision.verdict.clone(),
            relied: None,
            offer: None,
        };
        let mut doubted = None;
        let Subject::Enrolled(_, person) = subject else {
            return (settled, doubted);
        };
        // Whoever changes their factors proves one, always.
        if facts.decoy || facts.service == SELF_SERVICE {
            return (settled, doubted);
        }
        if let Some((trust, binding)) = decision
            .trust
            .as_ref()
            .and_then(|trust| Some((trust, binding(trust, facts)?)))
        {
            let known = self.store.find_devices(person.id, vec![binding.id()], now);
            let known = known
                .await
                .ok()
                .and_then(|devices| devices.into_iter().next());
            let risky = is_risky(scene, loaded);
            match (known, risky) {
                (Some(_), Some(true)) => doubted = Some(person.id),
                (Some(device), Some(false)) => {
                    settled.verdict = trust.left.clone();
                    settled.relied = Some(Relied::Device(device.id));
                }
                // A password change has no account phase that could keep it.
                (None, Some(false)) if facts.hook != Hook::Password => {
                    settled.offer = Some(NewDevice {
                        binding,
                        lifetime: i64::from(trust.remember.seconds),
                    });
                }
                // With a sign of risk, no device becomes one. Where nobody knows, one that is stays, and may not stand in now.
                (None, Some(_)) | (_, None) => {}
            }
        }
        if let Verdict::Require(requirement) = &settled.verdict
            && let Some(age) = proven(requirement, &scene.proofs, now)
        {
            settled.verdict = Verdict::NotRequired;
            settled.relied = Some(Relied::Proof(age));
            settled.offer = None;
        }
        (settled, doubted)
    }

    /// A password is about to be changed: whoever knew the old one may have been trusted for it.
    pub(super) async fn note_password_change(
        &self,
        facts: &Facts,
        person: Option<PersonId>,
        loaded: &Loaded,
        now: Now,
    ) {
        let wanted = loaded.settings.trust.revoke_on_password_change;
        if let Some(person) = person.filter(|_| wanted && facts.hook == Hook::Password) {
            self.forget_devices(facts, person, "a password change", now)
                .await;
        }
    }

    async fn forget_devices(&self, facts: &Facts, person: PersonId, why: &str, now: Now) {
        let mut record = facts.record(now.wall, Event::Administration, "forgotten");
        record.detail = Some(format!("remembered devices, on {why}"));
        let forgotten = self.recorded(record, |record| self.store.revoke_devices(person, record));
        if let Err(error) = forgotten.await {
            let mut record = facts.record(now.wall, Event::Alarm, "not-kept");
            record.detail = Some(format!("that remembered devices are forgotten: {error}"));
            self.trail.send(&record);
        }
    }
}

/// Whether the login shows a sign of risk that ends trust in devices; `None` if nobody could say.
fn is_risky(scene: &Scene, loaded: &Loaded) -> Option<bool> {
    let Some(limit) = loaded.settings.trust.revoke_at else {
        return Some(false);
    };
    let level = scene.risk.as_ref()?.level;
    Some(level != Level::None && level >= limit)
}

/// How old the proofs are that meet the requirement: of distinct kinds, as many as it counts, and none older than it
/// allows.
fn proven(requirement: &Requirement, proofs: &[Proof], now: Now) -> Option<i64> {
    let oldest = i64::from(requirement.max_age?);
    let allowed = Allowed::by_policy(requirement);
    let mut newest: Vec<(Kind, i64)> = Vec::new();
    for proof in proofs {
        let Some(evidence) =
            Evidence::from_word(&proof.kind).filter(|evidence| allowed.accepts(*evidence))
        else {
            continue;
        };
        let Some(age) = age(proof, now).filter(|age| *age <= oldest) else {
            continue;
        };
        match newest.iter_mut().find(|(kind, _)| *kind == evidence.kind) {
            Some((_, least)) => *least = age.min(*least),
            None => newest.push((evidence.kind, age)),
        }
    }
    newest.sort_by_key(|(_, age)| *age);
    let needed = usize::from(requirement.count.max(1));
    newest.get(needed - 1).map(|(_, age)| *age)
}

/// By whichever clock it is older: setting one back makes nothing younger. `None` if it is of the future by either.
fn age(proof: &Proof, now: Now) -> Option<i64> {
    let ages = [
        now.wall.checked_sub(proof.at)?,
        now.boot.checked_sub(proof.booted)?,
    ];
    (ages.iter().min() >= Some(&0)).then(|| ages[0].max(ages[1]))
}

/// What a device of this login is bound to, as the rule demands. `None` if one of the values is not known, or is the
/// client's to choose.
fn binding(trust: &Trust, facts: &Facts) -> Option<Binding> {
    let values: Option<Vec<(BindKind, String)>> = trust
        .remember
        .bind
        .iter()
        .map(|bind| {
            Some(match bind {
                Bind::SshKey => (BindKind::SshKey, facts.key()?.fingerprint.clone()?),
                Bind::Address => (BindKind::Address, facts.source()?.to_string()),
                Bind::Service => (BindKind::Service, facts.service.clone()),
                Bind::Tty => (BindKind::Tty, facts.tty.clone()?),
                Bind::Seat => match &facts.seat {
                    Known::Is(Some(seat)) if facts.local => (BindKind::Seat, seat.clone()),
                    _ => return None,
                },
            })
        })
        .collect();
    Binding::of(values?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(any: &[&str], count: u8, max_age: Option<u32>) -> Requirement {
        Requirement {
            any: any.iter().map(|word| (*word).to_owned()).collect(),
            count,
            max_age,
            ..Requirement::any_factor()
        }
    }

    fn proofs(of: &[(&str, i64)]) -> Vec<Proof> {
        of.iter()
            .map(|(kind, at)| Proof {
                kind: (*kind).to_owned(),
                at: *at,
                booted: *at,
            })
            .collect()
    }

    fn at(second: i64) -> Now {
        Now {
            wall: second,
            steady: second,
            boot: second,
        }
    }

    #[test]
    fn setting_the_clock_makes_no_proof_younger() {
        let quarter = requirement(&[], 1, Some(900));
        let proof = proofs(&[("totp", 1000)]);
        for (wall, boot, age) in [
            (1000, 1900, Some(900)),
            (1000, 1901, None),
            (1900, 1000, Some(900)),
            (1901, 1000, None),
            (1500, 1100, Some(500)),
            (999, 1100, None),
            (1100, 999, None),
            (i64::MIN, i64::MAX, None),
        ] {
            let now = Now {
                wall,
                boot,
                ..at(0)
            };
            assert_eq!(proven(&quarter, &proof, now), age, "{wall} {boot}");
        }
    }

    #[test]
    fn a_proof_stands_in_for_as_long_as_the_rule_allows_and_not_a_second_longer() {
        let quarter = requirement(&[], 1, Some(900));
        assert_eq!(
            proven(&quarter, &proofs(&[("totp", 100)]), at(1000)),
            Some(900)
        );
        assert_eq!(proven(&quarter, &proofs(&[("totp", 100)]), at(1001)), None);
        assert_eq!(proven(&quarter, &[], at(1000)), None);
        let never = requirement(&[], 1, None);
        assert_eq!(proven(&never, &proofs(&[("totp", 1000)]), at(1000)), None);
    }

    #[test]
    fn a_proof_of_the_future_proves_nothing() {
        let quarter = requirement(&[], 1, Some(900));
        assert_eq!(proven(&quarter, &proofs(&[("totp", 1001)]), at(1000)), None);
    }

    #[test]
    fn only_kinds_that_the_rule_asks_for_count_and_each_once() {
        let of_code = requirement(&["totp"], 1, Some(900));
        assert_eq!(
            proven(&of_code, &proofs(&[("backup-codes", 990)]), at(1000)),
            None
        );
        assert_eq!(
            proven(&of_code, &proofs(&[("unheard-of", 990)]), at(1000)),
            None
        );
        let two = requirement(&[], 2, Some(900));
        assert_eq!(
            proven(&two, &proofs(&[("totp", 990), ("totp", 995)]), at(1000)),
            None
        );
        let both = proofs(&[("totp", 990), ("backup-codes", 700)]);
        assert_eq!(proven(&two, &both, at(1000)), Some(300));
        assert_eq!(
            proven(&two, &both, at(1700)),
            None,
            "the older one is too old"
        );
    }
}
