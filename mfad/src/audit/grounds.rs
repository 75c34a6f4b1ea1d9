//! What a decision rested on, as audit records tell it: enough to explain a login of the past.

use mfad_protocol::printable;
use serde::{Deserialize, Serialize};

/// What was known when a login was decided. What is absent was not known, or nobody asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Grounds {
    /// su: the account that was switched to, where `user` is who switched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The account's uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Its groups, where they are not very many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// The kinds of factors that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<Vec<String>>,
    /// The far end's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// There was no far end, for certain.
    #[serde(default, skip_serializing_if = "is_false")]
    pub local: bool,
    /// What was proven before: `password`, `publickey`, `certificate`, `sk-key`. Absent with several keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_factor: Option<Vec<String>>,
    /// Fingerprint of the authority of that key's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Fingerprint of the key that was proven before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// logind's session of the host program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The seat; `none` for a session without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<String>,
    /// The far end's country; `none` for an address that the database has in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// `known` or `new`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The level of risk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<String>,
    /// The signals that had fired, each with its weight: `new-network 25`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<String>,
    /// When its person had last proven a second factor, in RFC 3339, or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_mfa: Option<String>,
    /// When they had last logged in, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login: Option<String>,
    /// What the policy demanded, as the value of `require`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<String>,
    /// What stood in for an answer: a remembered device or an earlier proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relied: Option<String>,
    /// Facts that were not known and could have made the decision a looser one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// What the policy in the shadow would have done, if that is something else: `deny`, `ask`, `not-ask`,
    /// `ask-otherwise`, `enroll`; or `undecided`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<String>,
    /// The shadow's rule that would have decided so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_rule: Option<String>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands a reference to it"
)]
const fn is_false(value: &bool) -> bool {
    !*value
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
        let all = |texts: &[String]| texts.iter().map(|text| printable(text)).collect();
        let cleaned = |texts: &Option<Vec<String>>| texts.as_deref().map(all);
        Self {
            uid: self.uid,
            groups: cleaned(&self.groups),
            enrolled: cleaned(&self.enrolled),
            address: clean(&self.address),
            local: self.local,
            first_factor: cleaned(&self.first_factor),
            ca: clean(&self.ca),
            last_mfa: clean(&self.last_mfa),
            last_login: clean(&self.last_login),
            require: clean(&self.require),
            relied: clean(&self.relied),
            target: clean(&self.target),
            key: clean(&self.key),
            session: clean(&self.session),
            seat: clean(&self.seat),
            country: clean(&self.country),
            device: clean(&self.device),
            risk: clean(&self.risk),
            signals: all(&self.signals),
            unknown: clean(&self.unknown),
            shadow: clean(&self.shadow),
            shadow_rule: clean(&self.shadow_rule),
        }
    }
}
