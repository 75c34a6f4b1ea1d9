//! Everything between a login's facts and its course: who, where, what the policy says of it, and what may stand in for an
//! answer. It asks in that order, and decides nothing by itself.

use std::{os::fd::OwnedFd, sync::Arc};

use mfad_protocol::State;
use policy::Decision;

use super::{
    Caller,
    facts::Facts,
    gather::{Given, Wanted},
    reliance::{Relied, Settled},
    scene::Scene,
    shadowing::{Beside, Difference},
    verdict::Subject,
};
use crate::{
    clock::Now,
    config::Loaded,
    engine::Engine,
    store::{Lesson, Login},
};

/// A login, decided.
#[derive(Debug)]
pub(super) struct Weighed {
    /// The policy that it was decided by.
    pub loaded: Arc<Loaded>,
    /// Who wants in.
    pub subject: Subject,
    /// What else is known.
    pub scene: Scene,
    /// What the policy says.
    pub decision: Decision,
    /// What is left of that.
    pub settled: Settled,
}

impl Weighed {
    /// What it leaves behind if nothing is proven in it. Nothing, if its caller alone says that there is a login.
    pub(super) fn login(&self, caller: &Caller, facts: &Facts, now: Now) -> Option<Login> {
        if !caller.is_root() {
            return None;
        }
        let person = self.subject.person()?;
        let remembered = match &self.settled.relied {
            Some(Relied::Device(device)) => Some(*device),
            Some(Relied::Proof(_)) | None => None,
        };
        let usual = |scene: &Scene| {
            let assessed = scene.risk.as_ref();
            assessed.is_some_and(|risk| risk.signals.is_empty())
        };
        // Who was let in for what was proven before must not make a new place a usual one with it.
        let lesson = if self.settled.relied.is_none() && usual(&self.scene) {
            Lesson::Usual
        } else {
            Lesson::Nothing
        };
        Some(Login {
            lesson,
            remembered,
            circumstances: self.scene.circumstances,
            ..Login::proven(person.id, facts.place, now)
        })
    }
}

impl Engine {
    /// Weighs a login by this policy; or says how it ends where nobody can say whose it is.
    pub(super) async fn weigh(
        &self,
        caller: &Caller,
        facts: &mut Facts,
        process: Option<OwnedFd>,
        loaded: Arc<Loaded>,
        now: Now,
    ) -> Result<Weighed, State> {
        let stated = Beside::asks_another(&loaded, facts).then(|| facts.clone());
        if let Err(why) = self.settle_subject(caller, facts, &loaded.policy).await {
            return Err(self.no_account(facts, why, now));
        }
        let subject = self.subject(caller, facts, now).await?;
        let wanted = Wanted::by(&loaded.policy, subject.person());
        let beside = Beside::of(&loaded, facts, stated, process.as_ref(), wanted.needs);
        self.find_whereabouts(caller, facts, process, wanted.needs)
            .await;
        facts.settle_place(subject.uid());
        let needs = wanted.needs;
        let nothing = Given::default();
        let scene = self
            .gather(facts, &subject, &loaded, wanted, &nothing, now)
            .await;
        self.tell_of_places(facts, &loaded, needs, now);
        let decision = scene.decide(&loaded.policy, facts, &subject, now);
        facts.grounds = scene.grounds(facts, &subject, &decision);
        let settled = self
            .settle(facts, &subject, &decision, &scene, &loaded, now)
            .await;
        facts.grounds.relied = settled.relied.as_ref().map(Relied::describe);
        let weighed = Weighed {
            loaded,
            subject,
            scene,
            decision,
            settled,
        };
        if let Some(beside) = beside {
            // On the heap, so that logins without a shadow have no room for it.
            let found = Box::pin(self.difference(caller, beside, facts, &weighed, now)).await;
            if let Some(Difference { would, rule }) = found {
                facts.grounds.note_shadow(would, rule);
            }
        }
        Ok(weighed)
    }
}
