//! What the policy in the shadow would have made of a login: decided beside the policy in force, after it, on the same facts. It
//! changes nothing but the note of a difference in the audit record.
//!
//! Where the shadow asks for a fact that the policy in force does not, the fact is looked up for the shadow alone, and within
//! [`PATIENCE`]: what the real decision rests on is what it would rest on without a shadow.

use std::{os::fd::OwnedFd, time::Duration};

use mfad_protocol::Hook;
use policy::{Decision, FactSet, Policy, Requirement, Unenrolled, Verdict};

use super::{
    Caller,
    facts::{Facts, SELF_SERVICE},
    gather::{Given, Wanted},
    scene::Scene,
    verdict::{Course, Gate, Play, Subject, course, gate},
    weighing::Weighed,
};
use crate::{clock::Now, config::Loaded, engine::Engine};

/// How long what only the shadow asks for may take.
const PATIENCE: Duration = Duration::from_millis(250);

/// A login before anything was looked up, kept for the shadow.
#[derive(Debug)]
pub(super) struct Beside {
    facts: Facts,
    process: Option<OwnedFd>,
    /// What the policy in force has looked up.
    needs: FactSet,
}

/// How a login goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    /// In, without an answer.
    Free,
    /// Asked for this.
    Asked(Requirement),
    /// Enrollment in the login.
    Enrolled,
    /// Refused.
    Refused,
    /// sshd has yet to show the key.
    Open,
}

/// What the shadow would have done otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// `deny`, `ask`, `not-ask`, `ask-otherwise`, `enroll`; or `undecided`, where nobody can say.
    pub would: &'static str,
    /// The rule of the shadow that says so.
    pub rule: Option<String>,
}

impl Beside {
    /// For the shadow of this configuration, if there is one to ask.
    pub(super) fn of(
        loaded: &Loaded,
        facts: &Facts,
        process: Option<&OwnedFd>,
        needs: FactSet,
    ) -> Option<Self> {
        loaded.shadow()?;
        // A user's proof before changing factors is no login; and who failed before is asked in vain by any policy.
        if facts.decoy || facts.service == SELF_SERVICE {
            return None;
        }
        Some(Self {
            facts: facts.clone(),
            process: process.and_then(|process| process.try_clone().ok()),
            needs,
        })
    }
}

impl Engine {
    /// How the shadow differs from what was decided, if it does.
    pub(super) async fn difference(
        &self,
        caller: &Caller,
        beside: Beside,
        facts: &Facts,
        weighed: &Weighed,
        now: Now,
    ) -> Option<Difference> {
        let shadow = weighed.loaded.shadow()?;
        let real = ending(
            facts,
            &weighed.subject,
            &weighed.decision,
            &weighed.settled.verdict,
            weighed.loaded.policy.unenrolled(),
            now.wall,
        );
        let thought = self.thought_of(caller, beside, facts, weighed, shadow, now);
        let Ok((shade, rule)) = tokio::time::timeout(PATIENCE, thought).await else {
            return Some(Difference {
                would: "undecided",
                rule: None,
            });
        };
        let would = compare(&real, &shade)?;
        Some(Difference { would, rule })
    }

    /// How the login would go on, and the rule that would decide.
    async fn thought_of(
        &self,
        caller: &Caller,
        beside: Beside,
        facts: &Facts,
        weighed: &Weighed,
        shadow: &Policy,
        now: Now,
    ) -> (Ending, Option<String>) {
        let (subject, loaded) = (&weighed.subject, &weighed.loaded);
        let wanted = Wanted::by(shadow, subject.person());
        if wanted.needs.iter().all(|fact| beside.needs.contains(fact)) {
            return self
                .judged(facts, weighed, &weighed.scene, shadow, now)
                .await;
        }
        let mut facts = beside.facts;
        self.find_whereabouts(caller, &mut facts, beside.process, wanted.needs)
            .await;
        facts.settle_place(subject.uid());
        let scene = self
            .gather(&facts, subject, loaded, wanted, &Given::default(), now)
            .await;
        self.judged(&facts, weighed, &scene, shadow, now).await
    }

    async fn judged(
        &self,
        facts: &Facts,
        weighed: &Weighed,
        scene: &Scene,
        shadow: &Policy,
        now: Now,
    ) -> (Ending, Option<String>) {
        let (subject, loaded) = (&weighed.subject, &weighed.loaded);
        let decision = scene.decide(shadow, facts, subject, now);
        let (settled, _) = self
            .what_stands_in(facts, subject, &decision, scene, loaded, now)
            .await;
        let unenrolled = shadow.unenrolled();
        let shade = ending(
            facts,
            subject,
            &decision,
            &settled.verdict,
            unenrolled,
            now.wall,
        );
        (shade, decision.rule)
    }
}

fn ending(
    facts: &Facts,
    subject: &Subject,
    decision: &Decision,
    verdict: &Verdict,
    unenrolled: Unenrolled,
    wall: i64,
) -> Ending {
    match facts.hook {
        Hook::Auth | Hook::Password => match course(facts, subject, verdict, unenrolled, wall) {
            Course::Pass { .. } => Ending::Free,
            Course::Enroll => Ending::Enrolled,
            Course::Ask { play, .. } => match (play, verdict) {
                (Play::Earnest, Verdict::Require(requirement)) => Ending::Asked(Requirement {
                    // How old a proof might have been changes nothing about what is asked.
                    max_age: None,
                    ..requirement.clone()
                }),
                (Play::Earnest, _) => Ending::Asked(Requirement::any_factor()),
                (Play::Formality, _) => Ending::Free,
                (Play::Decoy(_), _) => Ending::Refused,
            },
        },
        Hook::Account | Hook::Session => match gate(subject, verdict, unenrolled, wall) {
            Gate::Open(_) => Ending::Free,
            Gate::Shut(_)
                if facts.awaits_its_key() && Scene::waits_for_the_key(facts, decision) =>
            {
                Ending::Open
            }
            Gate::Shut(_) => Ending::Refused,
        },
    }
}

/// What the shadow would do that was not done.
fn compare(real: &Ending, shade: &Ending) -> Option<&'static str> {
    if real == shade {
        return None;
    }
    Some(match (real, shade) {
        (Ending::Open, _) | (_, Ending::Open) => "undecided",
        (_, Ending::Refused) => "deny",
        (_, Ending::Free) => "not-ask",
        (_, Ending::Enrolled) => "enroll",
        (Ending::Asked(_), Ending::Asked(_)) => "ask-otherwise",
        (_, Ending::Asked(_)) => "ask",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_of_endings_has_its_word() {
        let any = Ending::Asked(Requirement::any_factor());
        let two = Ending::Asked(Requirement {
            count: 2,
            ..Requirement::any_factor()
        });
        for (real, shade, word) in [
            (&any, &any, None),
            (&any, &two, Some("ask-otherwise")),
            (&Ending::Free, &any, Some("ask")),
            (&Ending::Refused, &any, Some("ask")),
            (&any, &Ending::Free, Some("not-ask")),
            (&Ending::Refused, &Ending::Free, Some("not-ask")),
            (&Ending::Free, &Ending::Refused, Some("deny")),
            (&any, &Ending::Enrolled, Some("enroll")),
            (&Ending::Free, &Ending::Open, Some("undecided")),
            (&Ending::Open, &any, Some("undecided")),
        ] {
            assert_eq!(compare(real, shade), word, "{real:?} {shade:?}");
        }
    }
}
