//! Policies read with a vocabulary of codes alone, none of them strong, and no time zone but UTC.

use policy::{Policy, Source, Vocabulary};

pub(crate) const VOCABULARY: Vocabulary<'_> = Vocabulary::new(&["totp", "hotp", "backup-codes"]);

/// The policy that is all of `p.toml`, or each of its errors with its place.
pub(crate) fn read(text: &str) -> Result<Policy, Vec<String>> {
    let source = Source {
        name: "p.toml",
        text,
    };
    Policy::parse(&[source], &VOCABULARY)
        .map_err(|found| found.iter().map(ToString::to_string).collect())
}
