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
//! let vocabulary = Vocabulary { factors: &["totp", "backup-codes"] };
//! let policy = Policy::parse(&[Source { name: "policy.toml", text }], &vocabulary).unwrap();
//!
//! let request = Request {
//!     address: Some([10, 20, 7, 1].into()),
//!     ..Request::new("alice", "sshd", 1_795_000_000)
//! };
//! assert_eq!(policy.decide(&request).verdict, Verdict::NotRequired);
//! ```
#![forbid(unsafe_code)]

mod condition;
mod decide;
mod diagnostic;
pub mod document;
mod fact;
mod load;
mod name;
mod print;
mod request;
mod rule;
mod truth;
mod unenrolled;
mod verdict;

pub use decide::Decision;
pub use diagnostic::{Diagnostic, Source};
pub use fact::{Fact, FactSet, FactSet as Needs};
pub use request::{
    Country, Device, FirstFactor, Key, Known, Level, Request, Risk, Signal, Signals,
};
pub use truth::Truth;
pub use unenrolled::{Unenrolled, UnenrolledAction};
pub use verdict::{Requirement, Verdict};

/// Largest source that is read, in bytes.
pub const MAX_SOURCE: usize = 1024 * 1024;
/// Most rules of one policy, all its sources together.
pub const MAX_RULES: usize = 20_000;

/// The words that a policy may use besides its own.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'a> {
    /// Factors that exist, as in `totp`, `hotp`, `backup-codes`.
    pub factors: &'a [&'a str],
}

/// A policy that was read without an error. Made by [`Policy::parse`].
#[derive(Debug)]
pub struct Policy {
    rules: Vec<rule::Rule>,
    unenrolled: Option<Unenrolled>,
    /// The vocabulary it was read with: what "any factor" stands for when a floor is put on top of it.
    factors: Vec<String>,
}

impl Policy {
    /// What happens to somebody who has no factor and would need one. Without an `[unenrolled]` in any source:
    /// denied.
    pub fn unenrolled(&self) -> Unenrolled {
        self.unenrolled.unwrap_or_default()
    }

    /// The facts that some rule asks for: of the others, nobody needs to look anything up.
    pub fn needs(&self) -> Needs {
        self.rules.iter().map(|rule| rule.when.needs()).collect()
    }

    /// How many rules there are, floors included.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }
}
