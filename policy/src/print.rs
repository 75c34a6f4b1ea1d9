//! A policy in its canonical spelling: what was read, without comments, defaults filled in, sources joined.

use std::fmt;

use crate::Policy;

/// TOML. Parsed again (within the bounds of one source) it is the same policy, and displays the same.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for rule in &self.rules {
            write!(f, "{separator}{rule}")?;
            separator = "\n";
        }
        if let Some(subject) = self.subject {
            write!(f, "{separator}{subject}")?;
            separator = "\n";
        }
        if let Some(unenrolled) = self.unenrolled {
            write!(f, "{separator}{unenrolled}")?;
        }
        Ok(())
    }
}
