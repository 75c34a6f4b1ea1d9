//! `[trust]` of `mfad.toml`: what ends the trust in remembered devices before their time. That and how a device may be
//! remembered at all is the policy's.

use policy::document::Findings;

use super::section::Section;
use crate::risk::Level;

/// `[trust]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTrust {
    /// A login of this level of risk or above forgets the devices of its person. `None`: no login does.
    pub revoke_at: Option<Level>,
    /// Whether a password change that passes through the module forgets them too.
    pub revoke_on_password_change: bool,
}

impl DeviceTrust {
    pub(super) fn read(section: Section<'_>, findings: &mut Findings<'_>) -> Self {
        let written = section.text("revoke-at", "low", unfit_for_a_level, findings);
        let change = section.boolean("revoke-on-password-change", false, findings);
        section.finish(findings);
        Self {
            revoke_at: level(&written),
            revoke_on_password_change: change,
        }
    }
}

fn level(word: &str) -> Option<Level> {
    [Level::Low, Level::Medium, Level::High]
        .into_iter()
        .find(|level| level.word() == word)
}

fn unfit_for_a_level(text: &str) -> Option<String> {
    let known = text == "never" || level(text).is_some();
    (!known).then(|| "must be \"low\", \"medium\", \"high\" or \"never\"".to_owned())
}
