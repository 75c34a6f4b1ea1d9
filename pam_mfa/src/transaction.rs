//! Owns what one PAM transaction carries from hook to hook: how the auth phase passed, and the reference to it. It
//! must never hold an answer or anything else that is secret.

use std::ffi::{CStr, CString};

use mfad_protocol::{PendingReference, limits, names};
use pam::module::PamHandle;

use crate::{ffi, outcome::Outcome};

/// Longest reference that is passed on, in bytes.
const MAX_GRANT: usize = 128;

/// How an earlier hook let this login pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// The second factor was proven.
    Granted,
    /// The policy asked for none.
    NotRequired,
    /// The daemon was unreachable and the administrator lets that pass.
    Ignored,
    /// Root at the console, in an emergency.
    BreakGlass,
}

/// For whom something was decided, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whose {
    pub user: String,
    pub service: String,
}

/// Kept in the PAM handle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Transaction {
    /// Whose the rest is.
    pub whose: Option<Whose>,
    /// How the auth phase passed, if it ran and did.
    pub passed: Option<Passed>,
    pub grant: Option<PendingReference>,
    /// What the preliminary check of a password change came to.
    pub preliminary: Option<Preliminary>,
}

/// What a step-up before a password change came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Preliminary {
    pub outcome: Outcome,
    /// What it left pending.
    pub grant: Option<PendingReference>,
}

impl Transaction {
    /// What of this holds for `whose`: hosts and modules may set another user or service in a handle, and what was proven
    /// for one is nothing for another. The grant stays: the daemon knows whose it is, and refuses it to anybody else.
    pub(crate) fn of(self, whose: &Whose) -> Self {
        if self.whose.as_ref() == Some(whose) {
            return self;
        }
        Self {
            grant: self.grant,
            ..Self::default()
        }
    }
}

/// `grant` if it can be carried: short, and of characters that mean nothing to an environment or a log.
pub(crate) fn carried(grant: Option<PendingReference>) -> Option<PendingReference> {
    grant.filter(|text| {
        !text.is_empty()
            && text.len() <= MAX_GRANT
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.:/+".contains(&b))
    })
}

/// Takes the grant out of the PAM environment, so that the user's session never shows it. sshd carries it there from the
/// process of auth and account to that of the session.
pub(crate) fn take_grant_from_environment(pamh: &mut PamHandle) -> Option<PendingReference> {
    let name = CString::new(names::GRANT_VARIABLE).ok()?;
    // Present but unfit to be carried is removed too. Removing what is not there would log an error in libpam.
    ffi::pam_env(pamh, &name, 1)?;
    let grant = environment_grant(pamh, &name);
    ffi::set_pam_env(pamh, &name);
    grant
}

fn environment_grant(pamh: &mut PamHandle, name: &CStr) -> Option<PendingReference> {
    let bytes = ffi::pam_env(pamh, name, limits::TEXT)?;
    carried(String::from_utf8(bytes).ok())
}

/// Leaves the grant for the session's process.
pub(crate) fn leave_grant_in_environment(pamh: &mut PamHandle, grant: &str) -> bool {
    CString::new(format!("{}={grant}", names::GRANT_VARIABLE))
        .is_ok_and(|entry| ffi::set_pam_env(pamh, &entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decided_for_one_is_nothing_for_another() {
        let whose = |user: &str, service: &str| Whose {
            user: user.to_owned(),
            service: service.to_owned(),
        };
        let kept = Transaction {
            whose: Some(whose("alice", "su")),
            passed: Some(Passed::BreakGlass),
            grant: Some("g".to_owned()),
            preliminary: Some(Preliminary {
                outcome: Outcome::Granted,
                grant: None,
            }),
        };
        assert_eq!(kept.clone().of(&whose("alice", "su")), kept);
        for other in [whose("bob", "su"), whose("alice", "passwd")] {
            let left = kept.clone().of(&other);
            assert_eq!((left.passed, left.preliminary), (None, None));
            assert_eq!(left.grant, kept.grant);
        }
    }

    #[test]
    fn only_a_harmless_reference_is_carried() {
        let good = "6f1c-ab_9.z:+/".to_owned();
        assert_eq!(carried(Some(good.clone())), Some(good));
        for bad in [
            String::new(),
            "a b".into(),
            "a\nLD_PRELOAD=x".into(),
            "a=b".into(),
            "é".into(),
            "x".repeat(129),
        ] {
            assert_eq!(carried(Some(bad.clone())), None, "{bad:?}");
        }
        assert_eq!(carried(None), None);
    }
}
