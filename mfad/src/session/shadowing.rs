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
    login_key,
    scene::Scene,
    subject::is_su,
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
    /// The login as its host states it, where the shadow has su ask somebody else.
    stated: Option<Facts>,
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
    /// Whether the shadow asks somebody else than the policy in force: the caller of su, or its target.
    pub(super) fn asks_another(loaded: &Loaded, facts: &Facts) -> bool {
        let other = |shadow: &Policy| shadow.subject() != loaded.policy.subject();
        is_su(facts) && loaded.shadow().is_some_and(other)
    }

    /// For the shadow of this configuration, if there is one to ask.
    pub(super) fn of(
        loaded: &Loaded,
        facts: &Facts,
        stated: Option<Facts>,
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
            stated,
            process: process.and_then(|process| process.try_clone().ok()),
            needs,
        })
    }
}

/// A login of which it is asked how it goes on.
struct Login<'l> {
    facts: &'l Facts,
    subject: &'l Subject,
    /// Its key is a factor that its person has enrolled.
    keyed: bool,
    wall: i64,
}

/// What the shadow thinks.
struct Thought {
    ending: Ending,
    rule: Option<String>,
    /// Of somebody else than who was asked.
    of_another: bool,
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
        let login = self.login(facts, &weighed.subject, now);
        let (verdict, unenrolled) = (&weighed.settled.verdict, weighed.loaded.policy.unenrolled());
        let real = login.ending(&weighed.decision, verdict, unenrolled);
        let thought = self.thought_of(caller, beside, facts, weighed, shadow, now);
        let Ok(Some(thought)) = tokio::time::timeout(PATIENCE, thought).await else {
            return Some(Difference {
                would: "undecided",
                rule: None,
            });
        };
        let would = compare(&real, &thought.ending, thought.of_another)?;
        let rule = thought.rule;
        Some(Difference { would, rule })
    }

    /// How the login would go on, and the rule that would decide; `None` if nobody can say whose it would be.
    async fn thought_of(
        &self,
        caller: &Caller,
        beside: Beside,
        facts: &Facts,
        weighed: &Weighed,
        shadow: &Policy,
        now: Now,
    ) -> Option<Thought> {
        let (mut facts_then, subject_then) = if let Some(mut stated) = beside.stated {
            let settled = self.settle_subject(caller, &mut stated, shadow).await;
            settled.ok()?;
            let subject = self.find_subject(caller, &stated).await.ok()?;
            (stated, Some(subject))
        } else {
            (beside.facts, None)
        };
        let of_another = subject_then.is_some();
        let subject = subject_then.as_ref().unwrap_or(&weighed.subject);
        let wanted = Wanted::by(shadow, subject.person());
        let known = wanted.needs.iter().all(|fact| beside.needs.contains(fact));
        let (ending, rule) = if known && !of_another {
            let login = self.login(facts, subject, now);
            self.judged(&login, &weighed.scene, weighed, shadow, now)
                .await
        } else {
            self.find_whereabouts(caller, &mut facts_then, beside.process, wanted.needs)
                .await;
            facts_then.settle_place(subject.uid());
            let (loaded, given) = (&weighed.loaded, Given::default());
            let scene = self
                .gather(&facts_then, subject, loaded, wanted, &given, now)
                .await;
            let login = self.login(&facts_then, subject, now);
            self.judged(&login, &scene, weighed, shadow, now).await
        };
        Some(Thought {
            ending,
            rule,
            of_another,
        })
    }

    fn login<'l>(&self, facts: &'l Facts, subject: &'l Subject, now: Now) -> Login<'l> {
        Login {
            facts,
            subject,
            keyed: login_key::of(facts, subject, &self.keyring).is_some(),
            wall: now.wall,
        }
    }

    async fn judged(
        &self,
        login: &Login<'_>,
        scene: &Scene,
        weighed: &Weighed,
        shadow: &Policy,
        now: Now,
    ) -> (Ending, Option<String>) {
        let (facts, subject) = (login.facts, login.subject);
        let decision = scene.decide(shadow, facts, subject, now);
        let (settled, _) = self
            .what_stands_in(facts, subject, &decision, scene, &weighed.loaded, now)
            .await;
        let ending = login.ending(&decision, &settled.verdict, shadow.unenrolled());
        (ending, decision.rule)
    }
}

impl Login<'_> {
    fn ending(&self, decision: &Decision, verdict: &Verdict, unenrolled: Unenrolled) -> Ending {
        let (facts, subject) = (self.facts, self.subject);
        let by_key = self.keyed && login_key::suffices(verdict);
        match facts.hook {
            _ if by_key => Ending::Free,
            Hook::Auth | Hook::Password => asked(
                course(facts, subject, verdict, unenrolled, self.wall),
                verdict,
            ),
            Hook::Account | Hook::Session => match gate(subject, verdict, unenrolled, self.wall) {
                Gate::Open(_) => Ending::Free,
                Gate::Shut(_)
                    if facts.awaits_its_key()
                        && (Scene::waits_for_the_key(facts, decision)
                            || login_key::may_come(subject, verdict)) =>
                {
                    Ending::Open
                }
                Gate::Shut(_) => Ending::Refused,
            },
        }
    }
}

fn asked(course: Course, verdict: &Verdict) -> Ending {
    match course {
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
    }
}

/// What the shadow would do that was not done. Of somebody else it would ask something else, be it the same words.
fn compare(real: &Ending, shade: &Ending, of_another: bool) -> Option<&'static str> {
    let personal = matches!(shade, Ending::Asked(_) | Ending::Enrolled);
    if real == shade && !(of_another && personal) {
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
            assert_eq!(compare(real, shade, false), word, "{real:?} {shade:?}");
        }
        assert_eq!(compare(&any, &any, true), Some("ask-otherwise"));
        assert_eq!(
            compare(&Ending::Enrolled, &Ending::Enrolled, true),
            Some("enroll")
        );
        assert_eq!(compare(&Ending::Free, &Ending::Free, true), None);
    }
}
