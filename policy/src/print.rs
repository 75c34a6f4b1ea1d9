//! A policy in its canonical spelling: what was read, without comments, defaults filled in, sources joined.

use std::fmt;

use crate::Policy;

/// TOML. Parsed again (within the bounds of one source) it is the same policy, and displays the same.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, rule) in self.rules.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { "\n" })?;
            rule.fmt(f)?;
        }
        match self.unenrolled {
            Some(unenrolled) if self.rules.is_empty() => unenrolled.fmt(f),
            Some(unenrolled) => write!(f, "\n{unenrolled}"),
            None => Ok(()),
        }
    }
}
