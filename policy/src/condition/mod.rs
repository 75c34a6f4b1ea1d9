//! What a rule's `when` may ask of a login.
//!
//! Each condition is a file here and a line of [`KINDS`]; nothing else knows which conditions exist. A condition sees
//! the [`Request`] and nothing besides.

mod all;
mod any;
mod branches;
mod ca;
mod compare;
mod country;
mod device;
mod dormant;
mod fingerprint;
mod first_factor;
mod group;
mod key;
mod last_mfa;
mod named;
mod network;
mod not;
mod risk;
mod seat;
mod service;
mod signal;
mod target;
mod time;
mod tty;
mod uid;
mod user;
pub(crate) mod words;

use std::{borrow::Cow, fmt, net::IpAddr};

use crate::{
    Request, Vocabulary,
    document::{Findings, Value},
    explain::{ConditionReport, bounded},
    fact::FactSet,
    truth::{Sense, Truth},
};

pub(crate) use fingerprint::is_fingerprint;
pub(crate) use network::Place;

/// Deepest `any`, `all` and `not` in each other.
const MAX_DEPTH: usize = 8;
/// Most tables of conditions in one rule.
const MAX_TABLES: usize = 256;

/// One question about a login. Displayed as the TOML value that it was read from.
pub(crate) trait Condition: fmt::Debug + fmt::Display + Send + Sync {
    /// The answer. `sense` matters only where the login does not tell.
    fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth;

    /// What it asks for.
    fn facts(&self) -> FactSet;

    /// Why the answer is unknown, if it is.
    fn unknown(&self, request: &Request<'_>, sense: Sense) -> FactSet {
        match self.truth(request, sense) {
            Truth::Unknown => self.facts(),
            Truth::No | Truth::Yes => FactSet::NONE,
        }
    }

    /// What it says, to be compared with another of its kind.
    fn meaning(&self) -> Meaning<'_> {
        Meaning::Opaque
    }

    /// What an index may find it by.
    fn handle(&self) -> Handle<'_> {
        Handle::None
    }

    /// The answers of the conditions within.
    fn parts(&self, _: &Request<'_>, _: Sense) -> Vec<ConditionReport> {
        Vec::new()
    }
}

/// What a condition is found by: unless the login offers one of these, the answer at the top of a `when` is no.
pub(crate) enum Handle<'c> {
    /// Nothing: it must always be asked.
    None,
    /// Names, or globs of them.
    Names(Cow<'c, [String]>),
    /// Networks.
    Places(Cow<'c, [Place]>),
}

/// What a condition says, where two of one kind can be compared. Both ask for the same fact, so that either both answers
/// are known or neither is.
pub(crate) enum Meaning<'c> {
    /// Nothing that could be compared.
    Opaque,
    /// A name of the login fits one of these globs; `sole` if it has at most one name.
    Names {
        patterns: Cow<'c, [String]>,
        sole: bool,
    },
    /// The one number that the login has is in one of these spans.
    Spans(Vec<Span>),
    /// All of these hold.
    All(&'c [When]),
    /// One of these holds.
    Any(&'c [When]),
    /// This does not hold.
    Not(&'c When),
}

impl<'c> Meaning<'c> {
    /// For a condition whose answer is yes if, and only if, the login offers one of its handle's names.
    pub(crate) fn of(handle: Handle<'c>, sole: bool) -> Self {
        match handle {
            Handle::Names(patterns) => Self::Names { patterns, sole },
            Handle::None | Handle::Places(_) => Self::Opaque,
        }
    }
}

/// First and last numbers, in one of several spaces (IPv4 and IPv6 addresses).
pub(crate) type Span = (u8, u128, u128);

/// What a login offers to conditions that are found by a [`Handle`].
pub(crate) enum Offer<'r> {
    /// It is not known: every condition must be asked.
    Unknown,
    /// These names.
    Names(Vec<Cow<'r, str>>),
    /// A far end's address, or none and whether that is certain.
    Place(Option<IpAddr>, bool),
}

/// A kind of condition.
pub(crate) struct Kind {
    /// Its key in `when`.
    pub(crate) key: &'static str,
    read: fn(Value<'_>, &mut Reader<'_, '_>) -> Option<Box<dyn Condition>>,
    /// What a login has in its place, for a person.
    pub(crate) found: fn(&Request<'_>) -> String,
    /// What a login offers to it; `None` if conditions of this kind have no handle.
    pub(crate) offer: Option<MakeOffer>,
}

/// Hands what a login offers to whoever asks.
type MakeOffer = fn(&Request<'_>, &mut dyn FnMut(Offer<'_>));

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key)
    }
}

/// The conditions there are, in the order in which they are printed and asked: the cheap ones first.
pub(crate) static KINDS: [Kind; 21] = [
    service::KIND,
    user::KIND,
    uid::KIND,
    group::KIND,
    target::KIND,
    network::KIND,
    tty::KIND,
    seat::KIND,
    country::KIND,
    first_factor::KIND,
    key::KIND,
    ca::KIND,
    device::KIND,
    risk::KIND,
    signal::KIND,
    last_mfa::KIND,
    dormant::KIND,
    time::KIND,
    any::KIND,
    all::KIND,
    not::KIND,
];

/// What conditions are read with.
pub(crate) struct Reader<'r, 's> {
    pub(crate) vocabulary: &'r Vocabulary<'r>,
    pub(crate) findings: &'r mut Findings<'s>,
    depth: usize,
    tables: usize,
}

impl<'r, 's> Reader<'r, 's> {
    /// For one rule.
    pub(crate) fn new(vocabulary: &'r Vocabulary<'r>, findings: &'r mut Findings<'s>) -> Self {
        Self {
            vocabulary,
            findings,
            depth: 0,
            tables: 0,
        }
    }
}

/// One condition of a `when`.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) kind: &'static Kind,
    pub(crate) condition: Box<dyn Condition>,
}

/// Conditions that must all hold. None at all holds always.
#[derive(Debug, Default)]
pub(crate) struct When(pub(crate) Vec<Part>);

impl When {
    /// Reads the table of conditions. What is wrong with it is noted, and left out of the result.
    pub(crate) fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let table = value.table("`when`", reader.findings)?;
        let parts = KINDS
            .iter()
            .filter_map(|kind| {
                let condition = (kind.read)(table.take(kind.key)?, reader)?;
                Some(Part { kind, condition })
            })
            .collect();
        table.finish(reader.findings);
        Some(Self(parts))
    }

    /// Whether all of them hold.
    pub(crate) fn truth(&self, request: &Request<'_>, sense: Sense) -> Truth {
        let mut truth = Truth::Yes;
        for part in &self.0 {
            truth = truth.and(part.condition.truth(request, sense));
            if truth == Truth::No {
                break;
            }
        }
        truth
    }

    /// The facts without which it cannot be told whether they hold.
    pub(crate) fn unknown(&self, request: &Request<'_>, sense: Sense) -> FactSet {
        let unknown = |part: &Part| part.condition.unknown(request, sense);
        match self.truth(request, sense) {
            Truth::Unknown => self.0.iter().map(unknown).collect(),
            Truth::No | Truth::Yes => FactSet::NONE,
        }
    }

    /// The facts that they ask for.
    pub(crate) fn facts(&self) -> FactSet {
        self.0.iter().map(|part| part.condition.facts()).collect()
    }

    /// The answer of each.
    pub(crate) fn report(&self, request: &Request<'_>, sense: Sense) -> Vec<ConditionReport> {
        let report = |part: &Part| ConditionReport {
            text: bounded(format_args!("{} = {}", part.kind.key, part.condition)),
            found: bounded(format_args!("{}", (part.kind.found)(request))),
            holds: part.condition.truth(request, sense),
            parts: part.condition.parts(request, sense),
        };
        self.0.iter().map(report).collect()
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("{}");
        }
        for (position, part) in self.0.iter().enumerate() {
            f.write_str(if position == 0 { "{ " } else { ", " })?;
            write!(f, "{} = {}", part.kind.key, part.condition)?;
        }
        f.write_str(" }")
    }
}
