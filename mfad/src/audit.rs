//! One structured record for every decision, enrollment and administrative act.

use serde::Serialize;

/// What happened, in the field's words; kebab-case in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A second factor was asked for and answered, or a decision was reached without asking.
    Authentication,
    /// A whole login succeeded (the account phase).
    Login,
    /// A factor was added.
    Enrollment,
    /// A factor was removed or renamed, a person reset or unlocked.
    Administration,
    /// The configuration was loaded, kept or refused.
    Configuration,
    /// Something an operator should look at now.
    Alarm,
}

/// One audit record. It never holds a code, a secret or anything derived from one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// When, seconds since the epoch.
    pub time: i64,
    /// What.
    pub event: Event,
    /// What came of it: `granted`, `wrong`, `delayed`, `denied`, `not-required`, `unavailable`, `added`, …
    pub outcome: String,
    /// Whom it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// PAM service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Far end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rhost: Option<String>,
    /// Terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<String>,
    /// Factor kind and name that matched or was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<String>,
    /// Name of the policy rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Who acted: the caller's uid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<u32>,
    /// Anything else worth knowing, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
