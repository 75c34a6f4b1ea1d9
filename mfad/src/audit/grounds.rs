//! What a decision rested on, as audit records tell it: enough to explain a login of the past.

use mfad_protocol::printable;
use serde::Serialize;

/// What was known when a login was decided. What is absent was not known, or nobody asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Grounds {
    /// su: the account that was switched to, where `user` is who switched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Fingerprint of the key that was proven before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// logind's session of the host program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The seat; `none` for a session without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
    /// The far end's country; `none` for an address that the database has in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// `known`, `new`, or `remembered` and the device's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The level of risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<String>,
    /// The signals that had fired, each with its weight: `new-network 25`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<String>,
    /// Facts that were not known and could have made the decision a looser one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// What the policy in the shadow would have done, if that is something else: `deny`, `ask`, `not-ask`,
    /// `ask-otherwise`, `enroll`; or `undecided`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<String>,
    /// The shadow's rule that would have decided so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_rule: Option<String>,
}

impl Grounds {
    /// Notes what the policy in the shadow would have done, by which rule of its.
    pub fn note_shadow(&mut self, would: &str, rule: Option<String>) {
        self.shadow = Some(would.to_owned());
        self.shadow_rule = rule;
    }

    /// The same, fit for a log.
    pub(super) fn printable(&self) -> Self {
        let clean = |text: &Option<String>| text.as_deref().map(printable);
        Self {
            target: clean(&self.target),
            key: clean(&self.key),
            session: clean(&self.session),
            seat: clean(&self.seat),
            country: clean(&self.country),
            device: clean(&self.device),
            risk: clean(&self.risk),
            signals: self.signals.iter().map(|text| printable(text)).collect(),
            unknown: clean(&self.unknown),
            shadow: clean(&self.shadow),
            shadow_rule: clean(&self.shadow_rule),
        }
    }
}
