//! One structured record for every decision, enrollment and administrative act. Where records go is the business of
//! [`syslog`] and of the store.

mod chatter;
mod grounds;
pub mod syslog;

pub use chatter::{Admitted, Chatter};
pub use grounds::Grounds;

use mfad_protocol::printable;
use serde::{Deserialize, Serialize};

pub use syslog::Trail;

/// What happened, in the field's words; kebab-case in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A second factor was asked for and answered, or a decision was reached without asking.
    Authentication,
    /// A factor was added.
    Enrollment,
    /// A factor was removed or renamed, a person reset or unlocked.
    Administration,
    /// The configuration was loaded or refused, or the policy in the shadow was.
    Configuration,
    /// Something an operator should look at now.
    Alarm,
}

/// One audit record. It never holds a code, a secret or anything derived from one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, seconds since the epoch.
    pub time: i64,
    /// What.
    pub event: Event,
    /// What came of it: `granted`, `wrong`, `delayed`, `denied`, `not-required`, `unavailable`, `added`, …
    pub outcome: String,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// PAM service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Far end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rhost: Option<String>,
    /// Terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<String>,
    /// Factor kind and name that matched or was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<String>,
    /// Name of the policy rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What the decision rested on.
    #[serde(flatten)]
    pub grounds: Grounds,
    /// Who acted: the caller's uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<u32>,
    /// Anything else worth knowing, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Record {
    /// A record of which nothing more is known yet.
    pub fn new(time: i64, event: Event, outcome: &str) -> Self {
        Self {
            time,
            event,
            outcome: outcome.to_owned(),
            user: None,
            service: None,
            rhost: None,
            tty: None,
            factor: None,
            rule: None,
            grounds: Grounds::default(),
            by: None,
            detail: None,
        }
    }

    /// As one line of JSON, fit for a log: what came from outside is bounded, and without characters that could
    /// break a line or mislead a reader.
    pub fn json(&self) -> String {
        let clean = |text: &Option<String>| text.as_deref().map(printable);
        let shown = Self {
            time: self.time,
            event: self.event,
            outcome: printable(&self.outcome),
            user: clean(&self.user),
            service: clean(&self.service),
            rhost: clean(&self.rhost),
            tty: clean(&self.tty),
            factor: clean(&self.factor),
            rule: clean(&self.rule),
            grounds: self.grounds.printable(),
            by: self.by,
            detail: clean(&self.detail),
        };
        // Text and numbers always serialize; should they not, the fact of the event is still told.
        serde_json::to_string(&shown)
            .unwrap_or_else(|error| format!("{{\"time\":{},\"detail\":\"{error}\"}}", self.time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_within_its_string() {
        let record = Record {
            user: Some("x\nSep  1 sshd[1]: Accepted \u{202E}\" \u{1b}[2J".into()),
            service: Some("s".repeat(10_000)),
            ..Record::new(1, Event::Authentication, "wrong")
        };
        let json = record.json();
        assert!(
            json.chars().all(|c| !c.is_control() && c != '\u{202E}'),
            "{json}"
        );
        assert!(json.len() < 1000, "{}", json.len());
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            read["user"],
            "x\u{FFFD}Sep  1 sshd[1]: Accepted \u{FFFD}\" \u{FFFD}[2J"
        );
        assert_eq!(read.get("rhost"), None);
    }
}
