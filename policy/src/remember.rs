//! `remember`: for how long a rule lets a device stand in for the factor, and by what it is recognized.

use std::{fmt, ops::Range};

use crate::{
    Verdict,
    diagnostic::quoted,
    document::{Findings, Value},
    duration::{DAY, Seconds},
    suggest,
};

/// For how long a device may be remembered, in seconds.
const MIN: u32 = 60;
const MAX: u32 = 90 * DAY;

/// What a remembered device is recognized by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bind {
    /// The public key that sshd verified.
    SshKey,
    /// The far end's address.
    Address,
    /// The PAM service.
    Service,
    /// The terminal.
    Tty,
    /// The seat of this machine.
    Seat,
}

impl Bind {
    /// Everything there is.
    pub const ALL: [Self; 5] = [
        Self::SshKey,
        Self::Address,
        Self::Service,
        Self::Tty,
        Self::Seat,
    ];

    /// The word for it in a policy.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SshKey => "ssh-key",
            Self::Address => "address",
            Self::Service => "service",
            Self::Tty => "tty",
            Self::Seat => "seat",
        }
    }
}

/// The value of `remember`. Displayed as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remember {
    /// For how long, in seconds.
    pub seconds: u32,
    /// By what, all of it together: at least the key, or the seat, or address and service and terminal. In the order of
    /// [`Bind::ALL`].
    pub bind: Vec<Bind>,
}

/// Where a decision lets a device be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The rule that has the `remember`.
    pub rule: String,
    /// How.
    pub remember: Remember,
    /// What a device that is remembered still needs: what the floors demand.
    pub left: Verdict,
}

impl Remember {
    /// Reads the table.
    pub(crate) fn read(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let table = value.table("`remember`", findings)?;
        let seconds = table
            .require("for", findings)
            .and_then(|value| Seconds::read(value, MIN..=MAX, findings));
        let written = table.require("bind", findings);
        let bind = written.and_then(|value| binds(value, findings));
        table.finish(findings);
        Some(Self {
            seconds: seconds?.0,
            bind: bind?,
        })
    }
}

fn binds(value: Value<'_>, findings: &mut Findings<'_>) -> Option<Vec<Bind>> {
    let strings = value.strings(findings)?;
    let count = strings.len();
    let mut bind: Vec<Bind> = Vec::with_capacity(count);
    for (word, span) in strings {
        bind.extend(one(word, span, &bind, findings));
    }
    if bind.len() < count {
        return None;
    }
    bind.sort_unstable();
    let has = |wanted: Bind| bind.contains(&wanted);
    let far = has(Bind::Address) && has(Bind::Service) && has(Bind::Tty);
    if !(has(Bind::SshKey) || has(Bind::Seat) || far) {
        let message = "`bind` holds too little to recognize a device by; it needs \"ssh-key\", or \"seat\", or \"address\" with \"service\" and \"tty\"";
        value.error(findings, message);
        return None;
    }
    Some(bind)
}

fn one(
    word: &str,
    span: Range<usize>,
    before: &[Bind],
    findings: &mut Findings<'_>,
) -> Option<Bind> {
    let words = Bind::ALL.map(Bind::word);
    let Some(bind) = Bind::ALL.into_iter().find(|bind| bind.word() == word) else {
        let hint = suggest::hint(word, words);
        let message = format!(
            "`bind` cannot hold {}{hint}; it holds {}",
            quoted(word),
            words.join(", ")
        );
        findings.error(span, message);
        return None;
    };
    if before.contains(&bind) {
        findings.error(span, format!("{} is listed twice", quoted(word)));
        return None;
    }
    Some(bind)
}

impl fmt::Display for Remember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ for = \"{}\", bind = [", Seconds(self.seconds))?;
        for (position, bind) in self.bind.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}\"{}\"", bind.word())?;
        }
        f.write_str("] }")
    }
}
