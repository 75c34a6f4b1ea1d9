//! Fingerprints of SSH keys as `ssh-keygen -l` prints them: what the conditions `key` and `ca` are made of.

use std::{borrow::Cow, collections::HashSet, fmt};

use super::{Condition, Handle, Meaning, Offer, Reader};
use crate::{
    FirstFactor, Key, Known, Request,
    diagnostic::quoted,
    document::{QuotedList, Value},
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

/// Characters of base64, without padding, that 32 bytes make.
const LENGTH: usize = 43;

/// Whose fingerprint is meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    /// The verified key's own.
    Key,
    /// That of the key that signed its certificate.
    Authority,
}

impl Whose {
    fn print<'r>(self, key: &Key<'r>) -> Option<&'r str> {
        match self {
            Self::Key => key.fingerprint,
            Self::Authority => key.ca,
        }
    }

    /// Whether there is one that is not known.
    fn is_missing(self, first: FirstFactor<'_>) -> bool {
        let has = |key: &Key<'_>| match self {
            Self::Key => true,
            Self::Authority => key.certificate,
        };
        let mut keys = first.keys.iter();
        keys.any(|key| has(key) && self.print(key).is_none())
    }

    fn prints(self, first: FirstFactor<'_>) -> impl Iterator<Item = &str> {
        first.keys.iter().filter_map(move |key| self.print(key))
    }

    /// Reads the condition.
    pub(super) fn read(
        self,
        value: Value<'_>,
        reader: &mut Reader<'_, '_>,
    ) -> Option<Box<dyn Condition>> {
        let listed = read(value, reader)?;
        Some(Box::new(Listed {
            listed,
            whose: self,
        }))
    }

    /// What a login has, for a person.
    pub(super) fn found(self, request: &Request<'_>) -> String {
        let Known::Is(first) = request.first else {
            return "not known".to_owned();
        };
        let prints: Vec<&str> = self.prints(first).collect();
        match (prints.is_empty(), self.is_missing(first)) {
            (true, false) => "none".to_owned(),
            (true, true) => "not known".to_owned(),
            (false, _) => prints.join(", "),
        }
    }

    /// What a login offers to an index.
    pub(super) fn offer(self, request: &Request<'_>, index: &mut dyn FnMut(Offer<'_>)) {
        index(match request.first {
            Known::Unknown => Offer::Unknown,
            Known::Is(first) if self.is_missing(first) => Offer::Unknown,
            Known::Is(first) => Offer::Names(self.prints(first).map(Cow::from).collect()),
        });
    }
}

#[derive(Debug)]
struct Listed {
    listed: Vec<String>,
    whose: Whose,
}

impl Condition for Listed {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        let listed = |print: &str| self.listed.iter().any(|listed| listed == print);
        match request.first {
            Known::Unknown => Truth::Unknown,
            Known::Is(first) if self.whose.prints(first).any(listed) => Truth::Yes,
            Known::Is(first) if self.whose.is_missing(first) => Truth::Unknown,
            Known::Is(_) => Truth::No,
        }
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::First)
    }

    fn meaning(&self) -> Meaning<'_> {
        Meaning::of(self.handle(), false)
    }

    fn handle(&self) -> Handle<'_> {
        Handle::Names(Cow::Borrowed(&self.listed))
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        QuotedList(&self.listed).fmt(f)
    }
}

/// The fingerprints that `value` lists. What is wrong is noted.
fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Vec<String>> {
    let strings = value.strings(reader.findings)?;
    let count = strings.len();
    let mut seen = HashSet::with_capacity(count);
    let mut prints = Vec::with_capacity(count);
    for (text, span) in strings {
        if !is_fingerprint(text) {
            let message = format!(
                "{} is no fingerprint; write it as `ssh-keygen -lf key.pub` prints it: SHA256: and {LENGTH} characters",
                quoted(text)
            );
            reader.findings.error(span, message);
        } else if seen.insert(text) {
            prints.push(text.to_owned());
        } else {
            reader
                .findings
                .error(span, format!("{} is listed twice", quoted(text)));
        }
    }
    (prints.len() == count).then_some(prints)
}

/// Whether `text` is a fingerprint as `ssh-keygen -l` prints it.
pub(crate) fn is_fingerprint(text: &str) -> bool {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.strip_prefix("SHA256:")
        .is_some_and(|hash| hash.len() == LENGTH && hash.bytes().all(base64))
}
