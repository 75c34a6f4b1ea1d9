//! Explains what the policy says of a login, with the facts that a login would be decided by. It changes nothing: no
//! record, no charge, no device forgotten.

mod past;
mod thought;

use std::collections::BTreeSet;

use mfad_protocol::{ExplainQuery, PolicyExplanation};
use past::Past;
use policy::{Bind, Explanation, Fact, FactSet, Known};

use super::{
    Caller,
    facts::Facts,
    gather::Wanted,
    reliance::{Relied, Settled},
    scene::Scene,
    subject::Lost,
    verdict::{Course, Play, Subject, course},
};
use crate::{
    audit::Record,
    clock::Now,
    config::Loaded,
    engine::{Engine, REALM},
    management::Refusal,
    store::{AuditFilter, Kind, Person, PersonId},
};

/// A login to be explained.
struct Case {
    facts: Facts,
    now: Now,
    /// The keys of the conditions whose facts are not looked up.
    given: BTreeSet<&'static str>,
}

/// The same, with all that was found out.
struct Explained {
    case: Case,
    subject: Subject,
    scene: Scene,
    needs: FactSet,
    explanation: Explanation,
    settled: Settled,
    /// Whose remembered devices such a login would end.
    doubted: Option<PersonId>,
}

impl Engine {
    /// What the policy in force says of a login, and why. `caller` has been found to be an administrator.
    pub async fn explain_policy(
        &self,
        caller: &Caller,
        query: ExplainQuery,
    ) -> Result<PolicyExplanation, Refusal> {
        let loaded = self.loaded();
        let settings = &loaded.settings.risk.settings;
        let root = Caller {
            uid: 0,
            connection: caller.connection.clone(),
        };
        if let Some(sequence) = query.audit {
            return self.explain_past(&root, sequence, &loaded).await;
        }
        let (mut case, given) = thought::read(&query, caller, settings, self.now())?;
        let subject = self.find_subject(&root, &case.facts).await.map_err(lost)?;
        case.facts.settle_place(subject.uid());
        let wanted = Wanted::by(&loaded.policy, subject.person());
        let needs = wanted.needs;
        let mut scene = self
            .gather(&case.facts, &subject, &loaded, wanted, &given, case.now)
            .await;
        // Which device it is weighs most in how unusual a login from afar is, and a key may yet tell.
        if case.facts.proven.is_none() && !case.facts.local {
            if given.device == Known::Unknown {
                scene.device = Known::Unknown;
            }
            if given.risk == Known::Unknown {
                scene.risk = None;
            }
        }
        let explained = self.weigh_up(case, subject, scene, needs, &loaded).await;
        explained.report(&loaded)
    }

    /// The same of a login of the past, by its audit record.
    async fn explain_past(
        &self,
        root: &Caller,
        sequence: i64,
        loaded: &Loaded,
    ) -> Result<PolicyExplanation, Refusal> {
        let filter = AuditFilter {
            after: Some(sequence.saturating_sub(1)),
            before: Some(sequence.saturating_add(1)),
            limit: 1,
            ..AuditFilter::default()
        };
        let found = self.store.audit(filter).await?;
        let Some((_, _, json)) = found.first() else {
            return Err(Refusal::NotFound(format!(
                "there is no audit record {sequence}; see: mfactl audit"
            )));
        };
        let past = Past::read(sequence, json)?;
        let case = past.case(root, self.now())?;
        let person = self.store.find_person(REALM, &past.user).await?;
        let wanted = Wanted::by(&loaded.policy, person.as_ref());
        let needs = wanted.needs;
        let scene = past.scene(Scene {
            additions: wanted.demands,
            ..Scene::default()
        });
        let subject = past.subject(person);
        let explanation = scene.explain(&loaded.policy, &case.facts, &subject, case.now);
        let settled = Settled {
            verdict: explanation.decision.verdict.clone(),
            relied: None,
            offer: None,
        };
        let explained = Explained {
            case,
            subject,
            scene,
            needs,
            explanation,
            settled,
            doubted: None,
        };
        let mut report = explained.report(loaded)?;
        for (_, _, from) in &mut report.facts {
            if from == "looked-up" {
                "recorded".clone_into(from);
            }
        }
        // A device stands in for what it stood in for then, or for nothing.
        report.remember = None;
        report.differences = Some(differences(&past.record, &report));
        report.record = Some(past.json);
        Ok(report)
    }

    async fn weigh_up(
        &self,
        case: Case,
        subject: Subject,
        scene: Scene,
        needs: FactSet,
        loaded: &Loaded,
    ) -> Explained {
        let explanation = scene.explain(&loaded.policy, &case.facts, &subject, case.now);
        let (settled, doubted) = self
            .what_stands_in(
                &case.facts,
                &subject,
                &explanation.decision,
                &scene,
                loaded,
                case.now,
            )
            .await;
        Explained {
            case,
            subject,
            scene,
            needs,
            explanation,
            settled,
            doubted,
        }
    }
}

fn lost(why: Lost) -> Refusal {
    match why {
        Lost::Account(why) => why.into(),
        Lost::Person(error) => error.into(),
        // Explained is what root's programs would hear.
        Lost::Caller => Refusal::Denied("nobody has the caller's uid".to_owned()),
    }
}

impl Explained {
    fn report(&self, loaded: &Loaded) -> Result<PolicyExplanation, Refusal> {
        let decision = &self.explanation.decision;
        let reasons = serde_json::to_string(&self.explanation.reasons).map_err(|error| {
            Refusal::Unavailable(format!("the reasons cannot be written: {error}"))
        })?;
        let (outcome, detail) = self.outcome(loaded);
        let action = loaded.policy.unenrolled().action_at(self.case.now.wall);
        Ok(PolicyExplanation {
            user: self.case.facts.user.clone().unwrap_or_default(),
            service: self.case.facts.service.clone(),
            at: self.case.now.wall,
            outcome: outcome.to_owned(),
            detail,
            require: decision.verdict.to_string(),
            rule: decision.rule.clone(),
            unknown: decision
                .unknown
                .iter()
                .map(|fact| fact.word().to_owned())
                .collect(),
            enrolled: self
                .enrolled()
                .into_iter()
                .map(|kind| kind.word().to_owned())
                .collect(),
            unenrolled: action.word().to_owned(),
            remember: self.remember(),
            facts: self.found(),
            reasons,
            record: None,
            differences: None,
        })
    }

    /// Kinds of factors that the user can use, each once.
    fn enrolled(&self) -> Vec<Kind> {
        let person = self.subject.person();
        person.map(Person::kinds).unwrap_or_default()
    }

    /// What becomes of the login: a word, and a sentence.
    fn outcome(&self, loaded: &Loaded) -> (&'static str, String) {
        let Case { facts, now, .. } = &self.case;
        let unenrolled = loaded.policy.unenrolled();
        let taken = course(
            facts,
            &self.subject,
            &self.settled.verdict,
            unenrolled,
            now.wall,
        );
        match (taken, &self.settled.relied) {
            (Course::Pass { .. }, Some(relied)) => (
                "not-required",
                format!("let in without being asked: {}", relied.describe()),
            ),
            (Course::Pass { remind: Some(_) }, None)
            | (
                Course::Ask {
                    play: Play::Formality,
                    ..
                },
                _,
            ) => (
                "not-required",
                "let in without a factor, since none is enrolled, with a reminder".to_owned(),
            ),
            (Course::Pass { remind: None }, None) => {
                ("not-required", "no second factor is asked for".to_owned())
            }
            (Course::Enroll, _) => ("enroll", "enrolls a factor in the login itself".to_owned()),
            (
                Course::Ask {
                    play: Play::Decoy(why),
                    ..
                },
                _,
            ) => ("deny", format!("refused, whatever is answered: {why}")),
            (
                Course::Ask {
                    play: Play::Earnest,
                    allowed,
                    count,
                },
                _,
            ) => {
                let kinds: Vec<&str> = self
                    .enrolled()
                    .into_iter()
                    .filter(|kind| allowed.contains(*kind))
                    .map(Kind::word)
                    .collect();
                let kinds = kinds.join(", ");
                let how_many = if count > 1 {
                    format!("{count} different ones")
                } else {
                    "one".to_owned()
                };
                (
                    "ask",
                    format!("asked for {how_many} of what is enrolled and will do: {kinds}"),
                )
            }
        }
    }

    /// How a device may stand in for the factor, and whether this one does.
    fn remember(&self) -> Option<String> {
        let trust = self.explanation.decision.trust.as_ref()?;
        let binds: Vec<&str> = trust
            .remember
            .bind
            .iter()
            .copied()
            .map(Bind::word)
            .collect();
        let how = format!(
            "{:?} lets a device stand in, recognized by {}",
            trust.rule,
            binds.join(", ")
        );
        let whether = match (&self.settled.relied, &self.settled.offer, self.doubted) {
            (Some(Relied::Device(_)), ..) => "this one is remembered",
            (_, _, Some(_)) => {
                "this one is remembered, and the risk of this login ends the trust in all devices of this user"
            }
            (_, Some(_), _) => "this one is not remembered, and can be once all is proven",
            _ => {
                "this one cannot stand in: by what it is recognized, or the risk, is not known here, or the risk is too high"
            }
        };
        Some(format!("{how}; {whether}"))
    }

    /// What the login has in the place of each condition, and where that is from.
    fn found(&self) -> Vec<(String, String, String)> {
        let Case { facts, now, given } = &self.case;
        let found: Vec<(&str, String)> =
            self.scene
                .with_request(facts, &self.subject, *now, |request| {
                    request.found().collect()
                });
        let row = |(key, value): (&'static str, String)| {
            let unknown = matches!(
                value.as_str(),
                "not known" | "none named" | "no address known"
            );
            let from = match (given.contains(key), unknown) {
                (true, _) => "given",
                (false, true) if !self.needs.contains(fact(key)) => "not-asked",
                (false, true) => "unknown",
                (false, false) => "looked-up",
            };
            (key.to_owned(), value, from.to_owned())
        };
        found.into_iter().map(row).collect()
    }
}

/// What comes out differently now than it did in the recorded login, a sentence each.
fn differences(record: &Record, now: &PolicyExplanation) -> Vec<String> {
    let then = &record.grounds;
    let mut differences = Vec::new();
    let require = then.require.as_deref().unwrap_or_default();
    if require != now.require {
        differences.push(format!("then it demanded {require}, now {}", now.require));
    }
    // Refusals of the later phases name no rule.
    if record.rule.is_some() && record.rule != now.rule {
        let named = |rule: &Option<String>| {
            rule.as_ref()
                .map_or("no rule".to_owned(), |rule| format!("“{rule}”"))
        };
        let (then, now) = (named(&record.rule), named(&now.rule));
        differences.push(format!("then {then} decided, now {now}"));
    }
    let enrolled = then.enrolled.as_deref().unwrap_or_default();
    if enrolled != now.enrolled {
        let listed = |kinds: &[String]| match kinds {
            [] => "nothing".to_owned(),
            kinds => kinds.join(", "),
        };
        let (then, now) = (listed(enrolled), listed(&now.enrolled));
        differences.push(format!("then {then} was enrolled, now {now}"));
    }
    if let Some(relied) = &then.relied {
        differences.push(format!(
            "then it was let in without being asked ({relied}), which is not taken into account now"
        ));
    } else if record.outcome == "not-required" && now.outcome != "not-required" {
        differences.push(format!(
            "then it was let in without a factor, now: {}",
            now.detail
        ));
    } else if record.outcome != "not-required" && now.outcome == "not-required" {
        differences.push(format!(
            "then it was {}, now it is let in without a factor",
            record.outcome
        ));
    } else if record.outcome == "granted" && now.outcome == "deny" {
        differences.push(format!("then it was granted, now: {}", now.detail));
    }
    differences
}

/// The fact that conditions of this key ask for.
fn fact(key: &str) -> Fact {
    match key {
        "first-factor" | "key" | "ca" => Fact::First,
        "signal" | "risk" => Fact::Risk,
        "group" => Fact::Groups,
        "dormant" => Fact::LastLogin,
        other => Fact::ALL
            .into_iter()
            .find(|fact| fact.word() == other)
            .unwrap_or(Fact::Time),
    }
}
