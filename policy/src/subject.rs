//! `[subject]`: whose second factor is asked for where two accounts are involved.

use std::fmt;

use crate::{
    diagnostic::quoted,
    document::{Findings, Value},
};

/// Whose factor su asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SuSubject {
    /// The account that is switched to, as su asks for its password.
    #[default]
    Target,
    /// The account that switches.
    Caller,
}

impl SuSubject {
    /// The word for it in a policy.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Caller => "caller",
        }
    }
}

/// The table `[subject]`. Displayed in its canonical spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subject {
    /// For su and su-l.
    pub su: SuSubject,
}

impl Subject {
    /// Reads the table.
    pub(crate) fn read(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let table = value.table("[subject]", findings)?;
        let su = table.require("su", findings).and_then(|value| {
            let word = value.string(findings)?;
            let all = [SuSubject::Target, SuSubject::Caller];
            let su = all.into_iter().find(|su| su.word() == word);
            if su.is_none() {
                let message = format!(
                    "`su` cannot be {}; it is \"target\" or \"caller\"",
                    quoted(word)
                );
                value.error(findings, message);
            }
            su
        });
        table.finish(findings);
        Some(Self { su: su? })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[subject]\nsu = \"{}\"", self.su.word())
    }
}
