//! The decision on one login. Total: every request gets one, and none can make it panic.

use std::net::IpAddr;

use crate::{
    Policy,
    verdict::{Requirement, Verdict},
};

/// What is known about a login.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The account that is logged in to.
    pub user: &'a str,
    /// Its groups. May be empty where [`Policy::needs_groups`] says no.
    pub groups: &'a [String],
    /// The PAM service.
    pub service: &'a str,
    /// The far end's address, if there is a far end and its address is known.
    pub address: Option<IpAddr>,
    /// It is certain that there is no far end.
    pub local: bool,
}

/// What a login needs, and which rule says so.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What it needs.
    pub verdict: Verdict,
    /// The rule that decided: the last floor that tightened the verdict, else the first rule that matched. `None` if none
    /// did.
    pub rule: Option<String>,
}

impl Policy {
    /// Decides: the first rule that matches, else one factor of any kind; then every floor that matches on top.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        let mut matching = self.rules.iter().filter(|rule| !rule.floor);
        let mut decision = match matching.find(|rule| rule.when.holds(request)) {
            Some(rule) => Decision {
                verdict: rule.verdict.clone(),
                rule: Some(rule.name.clone()),
            },
            None => Decision {
                verdict: Verdict::Require(Requirement::any_factor()),
                rule: None,
            },
        };
        for floor in self.rules.iter().filter(|rule| rule.floor) {
            if floor.when.holds(request) {
                let verdict = decision.verdict.tightened(&floor.verdict, &self.factors);
                if verdict != decision.verdict {
                    let rule = Some(floor.name.clone());
                    decision = Decision { verdict, rule };
                }
            }
        }
        decision
    }
}
