//! Which second factors a login needs and how many: the table of `require`, and what satisfies two of them at once.

use std::fmt;

use crate::{
    Vocabulary,
    diagnostic::quoted,
    document::{Findings, QuotedList, Table, Value},
    duration::{DAY, Seconds},
    suggest,
    verdict::Verdict,
};

/// Most factors that one login may demand.
const MAX_COUNT: u32 = 3;
/// How old a proof may be accepted.
const MAX_AGE: u32 = 30 * DAY;

/// Which second factors, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Factors of which `count` different ones are needed. Empty: any that the user has enrolled.
    pub any: Vec<String>,
    /// At least 1.
    pub count: u8,
    /// Each of them must withstand phishing.
    pub phishing_resistant: bool,
    /// Each of them must have verified its user (PIN, finger), not only a presence.
    pub user_verified: bool,
    /// Seconds: a proof made earlier in the same session, and not longer ago, will do. `None`: only one made now.
    pub max_age: Option<u32>,
}

/// What the policy knows about a factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Factor {
    word: String,
    phishing_resistant: bool,
    user_verified: bool,
    only_named: bool,
}

impl Factor {
    /// The factors of a vocabulary.
    pub(crate) fn all(vocabulary: &Vocabulary<'_>) -> Vec<Self> {
        let factor = |word: &&str| Self {
            word: (*word).to_owned(),
            phishing_resistant: vocabulary.phishing_resistant.contains(word),
            user_verified: vocabulary.user_verified.contains(word),
            only_named: vocabulary.only_named.contains(word),
        };
        vocabulary.factors.iter().map(factor).collect()
    }
}

impl Requirement {
    /// One factor, whichever the user has.
    pub const fn any_factor() -> Self {
        Self {
            any: Vec::new(),
            count: 1,
            phishing_resistant: false,
            user_verified: false,
            max_age: None,
        }
    }

    /// Reads the table.
    pub(crate) fn read(
        table: Table<'_>,
        vocabulary: &Vocabulary<'_>,
        findings: &mut Findings<'_>,
    ) -> Option<Self> {
        if table.is_empty() {
            let message = "`require` is empty; for any factor the user has, write \"any\"";
            findings.error(table.span(), message);
            return None;
        }
        let any = match table.take("any") {
            Some(value) => factors(value, vocabulary, findings),
            None => Some(Vec::new()),
        };
        let written = table.take("count");
        let count = match written {
            Some(value) => value.integer(1..=MAX_COUNT, findings),
            None => Some(1),
        };
        let distinct = match table.take("distinct") {
            Some(value) => distinct(value, findings),
            None => Some(()),
        };
        let flag = |key: &'static str, findings: &mut Findings<'_>| match table.take(key) {
            Some(value) => value.boolean(findings),
            None => Some(false),
        };
        let phishing_resistant = flag("phishing-resistant", findings);
        let user_verified = flag("user-verified", findings);
        let max_age = match table.take("max-age") {
            Some(value) => Seconds::read(value, 1..=MAX_AGE, findings).map(|age| Some(age.0)),
            None => Some(None),
        };
        table.finish(findings);

        let (any, count, ()) = (any?, count?, distinct?);
        let choice = if any.is_empty() {
            let all = Factor::all(vocabulary).into_iter();
            all.filter(|factor| !factor.only_named).count()
        } else {
            any.len()
        };
        if let (Some(value), true) = (written, count as usize > choice) {
            let message =
                format!("`count` is {count}, but there are only {choice} factors to choose from");
            value.error(findings, message);
            return None;
        }
        Some(Self {
            any,
            count: u8::try_from(count).ok()?,
            phishing_resistant: phishing_resistant?,
            user_verified: user_verified?,
            max_age: max_age?,
        })
    }

    /// Whether it asks for the strongest kind of proof, which remembering a device is not.
    pub(crate) const fn is_strong(&self) -> bool {
        self.phishing_resistant || self.user_verified
    }

    /// Where both lists share enough factors, those; else as many of either list's factors as make sure that both
    /// have their share. The latter asks for more than each alone, which is the price of one list and one number.
    /// Where not even all factors would do, the login is refused.
    pub(crate) fn tightened(&self, floor: &Self, factors: &[Factor]) -> Verdict {
        let mut both = Self {
            any: Vec::new(),
            count: self.count.max(floor.count),
            phishing_resistant: self.phishing_resistant || floor.phishing_resistant,
            user_verified: self.user_verified || floor.user_verified,
            // Who may bring no old proof at all is the stricter.
            max_age: self
                .max_age
                .zip(floor.max_age)
                .map(|(ours, theirs)| ours.min(theirs)),
        };
        let (ours, theirs) = (both.fit(&self.any, factors), both.fit(&floor.any, factors));
        if ours.len() < usize::from(self.count) || theirs.len() < usize::from(floor.count) {
            return Verdict::Deny;
        }
        let shared: Vec<&str> = ours
            .iter()
            .copied()
            .filter(|word| theirs.contains(word))
            .collect();
        if shared.len() >= usize::from(both.count) {
            let everything = self.any.is_empty() && floor.any.is_empty();
            if !everything {
                both.any = shared.into_iter().map(str::to_owned).collect();
            }
            return Verdict::Require(both);
        }
        let missed_by = |mine: &[&str], other: &[&str]| {
            other.iter().filter(|word| !mine.contains(word)).count()
        };
        let for_ours = missed_by(&ours, &theirs) + usize::from(self.count);
        let for_theirs = missed_by(&theirs, &ours) + usize::from(floor.count);
        let added = theirs.iter().filter(|word| !ours.contains(word));
        both.any = ours.iter().chain(added).map(ToString::to_string).collect();
        both.count = u8::try_from(for_ours.max(for_theirs)).unwrap_or(u8::MAX);
        Verdict::Require(both)
    }

    /// The same with the factors that can meet it named one by one; refused if they are too few. So nobody else has to
    /// know which factors are strong.
    pub(crate) fn settled(mut self, factors: &[Factor]) -> Verdict {
        if !self.is_strong() {
            return Verdict::Require(self);
        }
        let fit: Vec<String> = self
            .fit(&self.any, factors)
            .into_iter()
            .map(str::to_owned)
            .collect();
        if fit.is_empty() || fit.len() < usize::from(self.count) {
            return Verdict::Deny;
        }
        self.any = fit;
        Verdict::Require(self)
    }

    /// Of the listed factors (none listed: of all) those that are as strong as demanded here.
    pub(crate) fn fit<'f>(&self, listed: &'f [String], factors: &'f [Factor]) -> Vec<&'f str> {
        let strong = |word: &str| {
            !self.is_strong()
                || factors.iter().any(|factor| {
                    factor.word == word
                        && (factor.phishing_resistant || !self.phishing_resistant)
                        && (factor.user_verified || !self.user_verified)
                })
        };
        let words: Vec<&str> = if listed.is_empty() {
            let any = factors.iter().filter(|factor| !factor.only_named);
            any.map(|factor| factor.word.as_str()).collect()
        } else {
            listed.iter().map(String::as_str).collect()
        };
        words.into_iter().filter(|word| strong(word)).collect()
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::any_factor() {
            return f.write_str("\"any\"");
        }
        f.write_str("{ ")?;
        if !self.any.is_empty() {
            write!(f, "any = {}, ", QuotedList(&self.any))?;
        }
        write!(f, "count = {}", self.count)?;
        if self.phishing_resistant {
            f.write_str(", phishing-resistant = true")?;
        }
        if self.user_verified {
            f.write_str(", user-verified = true")?;
        }
        if let Some(age) = self.max_age {
            write!(f, ", max-age = \"{}\"", Seconds(age))?;
        }
        f.write_str(" }")
    }
}

fn factors(
    value: Value<'_>,
    vocabulary: &Vocabulary<'_>,
    findings: &mut Findings<'_>,
) -> Option<Vec<String>> {
    let strings = value.strings(findings)?;
    let count = strings.len();
    let mut words: Vec<String> = Vec::with_capacity(count);
    for (word, span) in strings {
        if !vocabulary.factors.contains(&word) {
            let known = vocabulary.factors.join(", ");
            let hint = suggest::hint(word, vocabulary.factors.iter().copied());
            let message = format!(
                "there is no factor {}{hint}; there are {known}",
                quoted(word)
            );
            findings.error(span, message);
        } else if words.iter().any(|listed| listed == word) {
            findings.error(span, format!("{} is listed twice", quoted(word)));
        } else {
            words.push(word.to_owned());
        }
    }
    (words.len() == count).then_some(words)
}

/// The same factor twice proves little more than once, so that there is nothing to choose.
fn distinct(value: Value<'_>, findings: &mut Findings<'_>) -> Option<()> {
    if value.boolean(findings)? {
        return Some(());
    }
    let message = "`distinct` cannot be false: the factors that are counted are always of distinct kinds; leave it out";
    value.error(findings, message);
    None
}
