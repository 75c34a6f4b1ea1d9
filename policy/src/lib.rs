//! What a login needs: a pure function from a policy and a request to a decision.
//!
//! It reads no file, no clock, no environment and no user database: texts come in, diagnostics and decisions go out.
//! Whoever calls it opens the files, finds a user's groups and knows the time.
//!
//! ```
//! use policy::{Policy, Request, Source, Verdict, Vocabulary};
//!
//! let text = r#"
//! [[rule]]
//! name    = "office"
//! when    = { service = "sshd", network = "10.20.0.0/16" }
//! require = "none"
//! "#;
//! let vocabulary = Vocabulary::new(&["totp", "backup-codes"]);
//! let policy = Policy::parse(&[Source { name: "policy.toml", text }], &vocabulary).unwrap();
//!
//! let request = Request {
//!     address: Some([10, 20, 7, 1].into()),
//!     ..Request::new("alice", "sshd", 1_795_000_000)
//! };
//! assert_eq!(policy.decide(&request).verdict, Verdict::NotRequired);
//! ```
#![forbid(unsafe_code)]

mod blame;
mod condition;
mod decide;
mod diagnostic;
pub mod document;
mod duration;
mod expect;
mod explain;
mod fact;
mod index;
mod load;
mod name;
mod own;
pub mod preset;
mod print;
mod remember;
mod request;
mod requirement;
mod review;
mod rule;
mod subject;
mod suggest;
mod truth;
mod unenrolled;
mod verdict;
mod weight;

use index::Index;

pub use blame::Blame;
pub use decide::Decision;
pub use diagnostic::{Diagnostic, Source};
pub use expect::{Expectation, MAX_EXPECTATIONS, MAX_EXPECTATIONS_SOURCE, Trial};
pub use explain::{ConditionReport, Effect, Explanation, Reasons, RuleReport, StepReport};
pub use fact::{Fact, FactSet, FactSet as Needs};
pub use own::{Additions, MAX_OWN_RULES, MAX_OWN_SOURCE};
pub use remember::{Bind, Remember, Trust};
pub use request::{
    Country, Device, FirstFactor, Key, Known, Level, Request, Risk, Signal, Signals,
};
pub use requirement::Requirement;
pub use review::{Concern, Prospect, Review, Warning};
pub use rule::Place;
pub use subject::{SuSubject, Subject};
pub use truth::Truth;
pub use unenrolled::{Unenrolled, UnenrolledAction};
pub use verdict::Verdict;

/// Largest source that is read, in bytes: room for 100,000 networks.
pub const MAX_SOURCE: usize = 4 * 1024 * 1024;
/// Most rules of one policy, all its sources together.
pub const MAX_RULES: usize = 20_000;

/// The words that a policy may use besides its own. Start from [`Vocabulary::new`].
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'a> {
    /// Factors that exist, as in `totp`, `hotp`, `backup-codes`.
    pub factors: &'a [&'a str],
    /// Those of them that withstand phishing.
    pub phishing_resistant: &'a [&'a str],
    /// Those of them that verify their user, by a PIN or a finger.
    pub user_verified: &'a [&'a str],
    /// Those of them that count only where a policy names them: they are not among "any factor".
    pub only_named: &'a [&'a str],
    /// Finds a time zone by its name in the IANA database. `UTC` is known without.
    pub zone: fn(&str) -> Option<jiff::tz::TimeZone>,
}

impl<'a> Vocabulary<'a> {
    /// These factors, none of them strong, and no time zone but UTC.
    pub const fn new(factors: &'a [&'a str]) -> Self {
        Self {
            factors,
            phishing_resistant: &[],
            user_verified: &[],
            only_named: &[],
            zone: |_| None,
        }
    }
}

/// A policy that was read without an error. Made by [`Policy::parse`].
#[derive(Debug)]
pub struct Policy {
    rules: Vec<rule::Rule>,
    /// Of the rules of which the first that matches decides.
    first: Index,
    /// Of the others.
    floors: Index,
    unenrolled: Option<Unenrolled>,
    subject: Option<Subject>,
    /// The vocabulary it was read with: what "any factor" stands for when a floor is put on top of it.
    factors: Vec<requirement::Factor>,
    needs: Needs,
}

impl Policy {
    fn new(
        rules: Vec<rule::Rule>,
        unenrolled: Option<Unenrolled>,
        subject: Option<Subject>,
        factors: Vec<requirement::Factor>,
    ) -> Self {
        Self {
            first: Index::new(&rules, |rule| !rule.floor),
            floors: Index::new(&rules, |rule| rule.floor),
            needs: rules.iter().map(rule::Rule::facts).collect(),
            rules,
            unenrolled,
            subject,
            factors,
        }
    }

    /// What happens to somebody who has no factor and would need one. Without an `[unenrolled]` in any source:
    /// denied.
    pub fn unenrolled(&self) -> Unenrolled {
        self.unenrolled.unwrap_or_default()
    }

    /// What a demand comes to with the factors that there are, as a decision does.
    fn settle(&self, verdict: &Verdict) -> Verdict {
        verdict.clone().settled(&self.factors)
    }

    /// Whose factor is asked for where two accounts are involved.
    pub fn subject(&self) -> Subject {
        self.subject.unwrap_or_default()
    }

    /// The facts that some rule asks for: of the others, nobody needs to look anything up. For a user who has
    /// [`Additions`], theirs come on top.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// How many rules there are, floors included.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }
}
