//! `risk`: how risky the login looks, all signs together.

use std::fmt;

use super::{Condition, Kind, Meaning, Reader, compare::Compare, words};
use crate::{
    Known, Level, Request,
    diagnostic::quoted,
    document::Value,
    fact::{Fact, FactSet},
    truth::{Sense, Truth},
};

pub(super) const KIND: Kind = Kind {
    key: "risk",
    read,
    found: |request| match request.risk {
        Known::Unknown => "not known".to_owned(),
        Known::Is(risk) => risk.level.word().to_owned(),
    },
    offer: None,
};

#[derive(Debug)]
struct Is(Compare, Level);

fn read(value: Value<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Condition>> {
    let text = value.string(reader.findings)?;
    match level(value.key(), text) {
        Ok(is) => Some(Box::new(is)),
        Err(fault) => {
            value.error(reader.findings, fault);
            None
        }
    }
}

fn level(key: &str, text: &str) -> Result<Is, String> {
    let (compare, word) = Compare::split(text).unwrap_or((Compare::Equal, text));
    let all = Level::ALL.map(|level| (level.word(), level));
    let Some((_, level)) = all.iter().find(|(known, _)| *known == word) else {
        let fault = words::unknown(key, word, &all);
        return Err(format!(
            "{fault}, alone or after >=, >, <=, <, as in \">= high\""
        ));
    };
    let holds = |found: &Level| compare.holds(found, level);
    match Level::ALL.iter().filter(|found| holds(found)).count() {
        0 => Err(format!(
            "no risk is {}: it would match nothing",
            quoted(text)
        )),
        4 => Err(format!(
            "every risk is {}; leave the condition out",
            quoted(text)
        )),
        _ => Ok(Is(compare, *level)),
    }
}

impl Condition for Is {
    fn truth(&self, request: &Request<'_>, _sense: Sense) -> Truth {
        match request.risk {
            Known::Unknown => Truth::Unknown,
            Known::Is(risk) => self.0.holds(&risk.level, &self.1).into(),
        }
    }

    fn meaning(&self) -> Meaning<'_> {
        let holds = |(_, level): &(u128, Level)| self.0.holds(level, &self.1);
        let levels = (0..).zip(Level::ALL).filter(holds);
        Meaning::Spans(levels.map(|(number, _)| (0, number, number)).collect())
    }

    fn facts(&self) -> FactSet {
        FactSet::of(Fact::Risk)
    }
}

impl fmt::Display for Is {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Compare::Equal => write!(f, "\"{}\"", self.1.word()),
            compare => write!(f, "\"{} {}\"", compare.sign(), self.1.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_compared_and_what_can_never_or_must_always_hold_is_refused() {
        for (text, printed) in [
            ("high", "\"high\""),
            ("=high", "\"high\""),
            (">=high", "\">= high\""),
            ("<  medium", "\"< medium\""),
            ("<= low", "\"<= low\""),
            ("> none", "\"> none\""),
        ] {
            assert_eq!(
                level("risk", text).map(|is| is.to_string()),
                Ok(printed.into())
            );
        }
        for text in [
            "", ">=", "hihg", ">> low", "> high", "< none", ">= none", "<= high", "High",
        ] {
            assert!(level("risk", text).is_err(), "{text}");
        }
        assert!(
            level("risk", ">= hgih")
                .unwrap_err()
                .contains("did you mean high?")
        );
    }
}
