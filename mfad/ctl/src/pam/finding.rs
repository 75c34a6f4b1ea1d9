//! What a check found: how bad, where, what is wrong, how it is used, and what to write instead. It judges nothing.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::paths::Way;
use super::stack::{Entry, Phase, Place};
use crate::terminal::{Terminal, Tone};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Weakens the second factor, or keeps people out.
    Risk,
    /// A way in without it, or without the first.
    Hole,
}

impl Severity {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Risk => "risk",
            Self::Hole => "hole",
        }
    }

    const fn tone(self) -> Tone {
        match self {
            Self::Note => Tone::Good,
            Self::Risk => Tone::Caution,
            Self::Hole => Tone::Bad,
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its name for scripts; it stays the same from version to version.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Whose logins; `sshd` and `sudo` for their configurations too.
    pub service: String,
    /// Where.
    pub place: Option<Place>,
    /// What is wrong.
    pub what: String,
    /// How somebody uses it, or what comes of it.
    pub how: String,
    /// What to write instead.
    pub instead: String,
    /// Nobody who should get in does.
    pub locks_out: bool,
    /// The way through a stack that shows it.
    pub way: Option<Trail>,
}

/// A way through a stack, for whoever wants to follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// `auth`, `account`, `session` or `password`.
    pub phase: &'static str,
    /// Each line that is run, and the number of what its module answers.
    pub steps: Vec<(Place, u8)>,
}

impl Finding {
    /// A finding at a place.
    pub(super) fn new(
        rule: &'static str,
        severity: Severity,
        service: &str,
        place: Option<&Place>,
    ) -> Self {
        Self {
            rule,
            severity,
            service: service.to_owned(),
            place: place.cloned(),
            what: String::new(),
            how: String::new(),
            instead: String::new(),
            locks_out: false,
            way: None,
        }
    }

    pub(super) fn what(mut self, text: impl Into<String>) -> Self {
        self.what = text.into();
        self
    }

    pub(super) fn how(mut self, text: impl Into<String>) -> Self {
        self.how = text.into();
        self
    }

    pub(super) fn instead(mut self, text: impl Into<String>) -> Self {
        self.instead = text.into();
        self
    }

    pub(super) fn way(mut self, phase: Phase, way: &Way, stack: &[Entry]) -> Self {
        let steps = way
            .answers
            .iter()
            .map(|answer| (stack[answer.at].place.clone(), answer.code.number()));
        self.way = Some(Trail {
            phase: phase.word(),
            steps: steps.collect(),
        });
        self
    }

    pub(super) fn locks_out(mut self) -> Self {
        self.locks_out = true;
        self
    }

    /// For scripts.
    pub(super) fn json(&self) -> Value {
        json!({
            "rule": self.rule,
            "severity": self.severity.word(),
            "service": self.service,
            "file": self.place.as_ref().map(|place| &place.file),
            "line": self.place.as_ref().map(|place| place.line).filter(|line| *line > 0),
            "what": self.what,
            "how": self.how,
            "instead": self.instead,
            "locks-out": self.locks_out,
        })
    }

    /// For people.
    pub(super) fn text(&self, terminal: &Terminal) -> String {
        let word = terminal.tint(self.severity.tone(), self.severity.word());
        let service = mfad_protocol::printable(&self.service);
        let place = self
            .place
            .as_ref()
            .map(|place| format!("{place}: "))
            .unwrap_or_default();
        let mut text = format!("{word}  {service}  {place}{}  [{}]\n", self.what, self.rule);
        for (label, line) in [("", &self.how), ("→ ", &self.instead)] {
            if !line.is_empty() {
                let _ = writeln!(text, "      {label}{line}");
            }
        }
        text
    }
}
