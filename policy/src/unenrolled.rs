//! `[unenrolled]`: what happens to somebody who would need a factor and has none.

use std::fmt;

use crate::{
    diagnostic::quoted,
    document::{Findings, Value},
};

/// What to do with somebody who has no factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnenrolledAction {
    /// Refuse the login.
    #[default]
    Deny,
    /// Let them in without.
    Allow,
    /// Enroll them in the login itself.
    Enroll,
}

impl UnenrolledAction {
    const ALL: [Self; 3] = [Self::Deny, Self::Allow, Self::Enroll];

    /// The word for it in a policy.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
            Self::Enroll => "enroll",
        }
    }

    /// Reads the word for one.
    pub(crate) fn read(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let word = value.string(findings)?;
        let action = Self::ALL.into_iter().find(|action| action.word() == word);
        if action.is_none() {
            let message = format!(
                "`{}` cannot be {}; it is \"deny\", \"allow\" or \"enroll\"",
                value.key(),
                quoted(word)
            );
            value.error(findings, message);
        }
        action
    }
}

/// The table `[unenrolled]`. Displayed in its canonical spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unenrolled {
    /// What to do.
    pub action: UnenrolledAction,
    /// From this moment on (seconds since the epoch) the action is to deny.
    pub until: Option<i64>,
}

impl Unenrolled {
    /// What to do at `now`, in seconds since the epoch.
    pub fn action_at(&self, now: i64) -> UnenrolledAction {
        if self.until.is_some_and(|until| now >= until) {
            UnenrolledAction::Deny
        } else {
            self.action
        }
    }

    /// Reads the table.
    pub(crate) fn read(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let table = value.table("[unenrolled]", findings)?;
        let action = table
            .require("action", findings)
            .and_then(|value| UnenrolledAction::read(value, findings));
        let written = table.take("until");
        let until = match written {
            Some(value) => value.moment(findings).map(Some),
            None => Some(None),
        };
        table.finish(findings);
        if let (Some(UnenrolledAction::Deny), Some(value)) = (action, written) {
            let message = "`until` means nothing with action \"deny\": what would come after it?";
            value.error(findings, message);
        }
        Some(Self {
            action: action?,
            until: until?,
        })
    }
}

impl fmt::Display for Unenrolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[unenrolled]\naction = \"{}\"", self.action.word())?;
        let until = self
            .until
            .and_then(|until| jiff::Timestamp::from_second(until).ok());
        until.map_or(Ok(()), |until| writeln!(f, "until = {until}"))
    }
}
