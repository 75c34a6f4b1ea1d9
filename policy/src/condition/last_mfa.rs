//! `last-mfa`: how long ago the account last proved a second factor.

use std::fmt;

use super::{Condition, Kind, Meaning, Reader, compare::Compare};
use crate::{
    Known, Request,
    diagnostic::quoted,
    document::Value,
    duration::{DAY, Seconds},
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "last-mfa",
    read,
    found: |request| ago(request.last_mfa, request.now),
    offer: None,
};

/// The longest time that can be asked for.
pub(super) const LONGEST: u32 = 3650 * DAY;

#[derive(Debug)]
struct Age(Compare, Seconds);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let text = value.string(reader.findings)?;
    let compared = Compare::split(text).filter(|(compare, _)| *compare != Compare::Equal);
    let Some((compare, age)) = compared else {
        let message = format!(
            "`last-mfa` cannot be {}; write >, >=, < or <= and a duration, as in \"> 30d\"",
            quoted(text)
        );
        value.error(reader.findings, message);
        return None;
    };
    match Seconds::parse(age, &(1..=LONGEST)) {
        Ok(age) => Some(Box::new(Age(compare, age))),
        Err(fault) => {
            value.error(reader.findings, format!("`last-mfa` {fault}"));
            None
        }
    }
}

impl Condition for Age {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        match age(request.last_mfa, request.now) {
            Known::Unknown => Truth::Unknown,
            // Never is longer ago than any time.
            Known::Is(None) => matches!(self.0, Compare::More | Compare::AtLeast).into(),
            Known::Is(Some(age)) => self.0.holds(&age, &i64::from(self.1.0)).into(),
        }
    }

    fn meaning(&self) -> Meaning<'_> {
        let age = u128::from(self.1.0);
        // Never is the last number of all.
        Meaning::Spans(vec![match self.0 {
            Compare::Less => (0, 0, age.saturating_sub(1)),
            Compare::AtMost => (0, 0, age),
            Compare::Equal => (0, age, age),
            Compare::AtLeast => (0, age, u128::MAX),
            Compare::More => (0, age.saturating_add(1), u128::MAX),
        }])
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::LastMfa)
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{} {}\"", self.0.sign(), self.1)
    }
}

/// Seconds since a moment; `Is(None)` if it never was. A moment in the future means that the clock was set back: nobody
/// knows how long ago it was.
pub(super) fn age(moment: Known<Option<i64>>, now: i64) -> Known<Option<i64>> {
    match moment {
        Known::Unknown => Known::Unknown,
        Known::Is(None) => Known::Is(None),
        Known::Is(Some(moment)) => {
            let age = now.saturating_sub(moment);
            if age < 0 {
                Known::Unknown
            } else {
                Known::Is(Some(age))
            }
        }
    }
}

/// The same for a person.
pub(super) fn ago(moment: Known<Option<i64>>, now: i64) -> String {
    match age(moment, now) {
        Known::Unknown => "not known".to_owned(),
        Known::Is(None) => "never".to_owned(),
        Known::Is(Some(age)) => {
            let age = u32::try_from(age).unwrap_or(u32::MAX);
            // Two units are enough to compare with what is written.
            let (unit, coarse) = if age >= DAY { (3600, "h") } else { (60, "m") };
            if age < 60 {
                format!("{age}s ago")
            } else if age >= DAY {
                format!("{}d{}{coarse} ago", age / DAY, age % DAY / unit)
            } else {
                format!("{}h{}{coarse} ago", age / 3600, age % 3600 / unit)
            }
        }
    }
}
