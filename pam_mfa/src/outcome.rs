//! Owns the one table from what happened to what the host is told. It must not look at anything but its arguments.
//!
//! `PAM_IGNORE` is said for "nothing is asked of this login here" alone, and never where something went wrong
//! (CVE-2025-23013 of `pam_u2f` began with an IGNORE that an error path returned).

use mfad_protocol::Hook;
use pam::constants::PamResultCode;

/// How the dialogue with the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The second factor was proven.
    Granted,
    /// The policy asks for none here.
    NotRequired,
    /// Refused, by the daemon or because the person could not be asked.
    Denied,
    /// The daemon could not be reached, or says that it can decide nothing.
    Unavailable,
    /// The daemon answered, and then failed or broke the protocol. No argument makes this pass: someone who can bring
    /// it about in the middle of a dialogue must gain nothing.
    Lost,
}

/// What happens where no decision can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// Refuse.
    Closed,
    /// `unreachable=ignore`.
    Ignored,
    /// `breakglass=console`, and this login is root's at a console after the password.
    BreakGlass,
}

/// What else the table depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// `decoy`: the first factor has failed.
    pub decoy: bool,
    /// A first factor is proven: by sshd, or by the stack (`after=password`).
    pub first_factor: bool,
    /// See [`Open`].
    pub open: Open,
}

/// What the host is told.
pub(crate) fn code(hook: Hook, outcome: Outcome, facts: Facts) -> PamResultCode {
    if facts.decoy {
        return decoy(outcome);
    }
    match hook {
        Hook::Auth => auth(outcome, facts),
        Hook::Account => account(outcome, facts.open),
        Hook::Session => session(outcome, facts.open),
        Hook::Password => password(outcome, facts.open),
    }
}

const fn decoy(outcome: Outcome) -> PamResultCode {
    match outcome {
        Outcome::Unavailable | Outcome::Lost => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        Outcome::Granted | Outcome::NotRequired | Outcome::Denied => PamResultCode::PAM_AUTH_ERR,
    }
}

const fn auth(outcome: Outcome, facts: Facts) -> PamResultCode {
    match outcome {
        Outcome::Granted => PamResultCode::PAM_SUCCESS,
        Outcome::NotRequired => unasked(facts.first_factor),
        Outcome::Denied => PamResultCode::PAM_AUTH_ERR,
        Outcome::Lost => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        Outcome::Unavailable => match facts.open {
            Open::Closed => PamResultCode::PAM_AUTHINFO_UNAVAIL,
            Open::Ignored => unasked(facts.first_factor),
            Open::BreakGlass => PamResultCode::PAM_SUCCESS,
        },
    }
}

/// SUCCESS lets a stack that holds this module alone pass, so it needs a first factor. IGNORE denies there.
const fn unasked(first_factor: bool) -> PamResultCode {
    if first_factor {
        PamResultCode::PAM_SUCCESS
    } else {
        PamResultCode::PAM_IGNORE
    }
}

const fn account(outcome: Outcome, open: Open) -> PamResultCode {
    match outcome {
        Outcome::Granted | Outcome::NotRequired => PamResultCode::PAM_SUCCESS,
        Outcome::Denied => PamResultCode::PAM_PERM_DENIED,
        Outcome::Lost => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        Outcome::Unavailable => match open {
            Open::Closed => PamResultCode::PAM_AUTHINFO_UNAVAIL,
            Open::Ignored | Open::BreakGlass => PamResultCode::PAM_SUCCESS,
        },
    }
}

const fn session(outcome: Outcome, open: Open) -> PamResultCode {
    match outcome {
        Outcome::Granted | Outcome::NotRequired => PamResultCode::PAM_SUCCESS,
        Outcome::Denied => PamResultCode::PAM_PERM_DENIED,
        Outcome::Lost => PamResultCode::PAM_SESSION_ERR,
        Outcome::Unavailable => match open {
            Open::Closed => PamResultCode::PAM_SESSION_ERR,
            Open::Ignored | Open::BreakGlass => PamResultCode::PAM_SUCCESS,
        },
    }
}

/// The preliminary check. A password stack's other modules decide about the change itself, so "not asked" is IGNORE.
const fn password(outcome: Outcome, open: Open) -> PamResultCode {
    match outcome {
        Outcome::Granted => PamResultCode::PAM_SUCCESS,
        Outcome::NotRequired => PamResultCode::PAM_IGNORE,
        Outcome::Denied => PamResultCode::PAM_PERM_DENIED,
        Outcome::Lost => PamResultCode::PAM_AUTHINFO_UNAVAIL,
        Outcome::Unavailable => match open {
            Open::Closed => PamResultCode::PAM_AUTHINFO_UNAVAIL,
            Open::Ignored | Open::BreakGlass => PamResultCode::PAM_IGNORE,
        },
    }
}

/// What a hook says when its own code failed: arguments, a panic. It denies in every control word's default.
pub(crate) const fn failed(hook: Hook) -> PamResultCode {
    match hook {
        Hook::Auth => PamResultCode::PAM_AUTH_ERR,
        Hook::Account | Hook::Password => PamResultCode::PAM_PERM_DENIED,
        Hook::Session => PamResultCode::PAM_SESSION_ERR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PamResultCode::*;

    const HOOKS: [Hook; 4] = [Hook::Auth, Hook::Account, Hook::Session, Hook::Password];
    const OUTCOMES: [Outcome; 5] = [
        Outcome::Granted,
        Outcome::NotRequired,
        Outcome::Denied,
        Outcome::Unavailable,
        Outcome::Lost,
    ];
    const OPENS: [Open; 3] = [Open::Closed, Open::Ignored, Open::BreakGlass];

    /// The table as the manual prints it. `/` is without and with a proven first factor.
    #[rustfmt::skip]
    #[allow(clippy::match_same_arms, reason = "a table is checked row by row")]
    fn expected(hook: Hook, outcome: Outcome, open: Open, first_factor: bool) -> PamResultCode {
        let either = |without, with| if first_factor { with } else { without };
        match (hook, outcome, open) {
            (Hook::Auth, Outcome::Granted, _)                        => PAM_SUCCESS,
            (Hook::Auth, Outcome::NotRequired, _)                    => either(PAM_IGNORE, PAM_SUCCESS),
            (Hook::Auth, Outcome::Denied, _)                         => PAM_AUTH_ERR,
            (Hook::Auth, Outcome::Unavailable, Open::Closed)         => PAM_AUTHINFO_UNAVAIL,
            (Hook::Auth, Outcome::Unavailable, Open::Ignored)        => either(PAM_IGNORE, PAM_SUCCESS),
            (Hook::Auth, Outcome::Unavailable, Open::BreakGlass)     => PAM_SUCCESS,
            (Hook::Auth, Outcome::Lost, _)                           => PAM_AUTHINFO_UNAVAIL,
            (Hook::Account, Outcome::Granted, _)                     => PAM_SUCCESS,
            (Hook::Account, Outcome::NotRequired, _)                 => PAM_SUCCESS,
            (Hook::Account, Outcome::Denied, _)                      => PAM_PERM_DENIED,
            (Hook::Account, Outcome::Unavailable, Open::Closed)      => PAM_AUTHINFO_UNAVAIL,
            (Hook::Account, Outcome::Unavailable, _)                 => PAM_SUCCESS,
            (Hook::Account, Outcome::Lost, _)                        => PAM_AUTHINFO_UNAVAIL,
            (Hook::Session, Outcome::Granted, _)                     => PAM_SUCCESS,
            (Hook::Session, Outcome::NotRequired, _)                 => PAM_SUCCESS,
            (Hook::Session, Outcome::Denied, _)                      => PAM_PERM_DENIED,
            (Hook::Session, Outcome::Unavailable, Open::Closed)      => PAM_SESSION_ERR,
            (Hook::Session, Outcome::Unavailable, _)                 => PAM_SUCCESS,
            (Hook::Session, Outcome::Lost, _)                        => PAM_SESSION_ERR,
            (Hook::Password, Outcome::Granted, _)                    => PAM_SUCCESS,
            (Hook::Password, Outcome::NotRequired, _)                => PAM_IGNORE,
            (Hook::Password, Outcome::Denied, _)                     => PAM_PERM_DENIED,
            (Hook::Password, Outcome::Unavailable, Open::Closed)     => PAM_AUTHINFO_UNAVAIL,
            (Hook::Password, Outcome::Unavailable, _)                => PAM_IGNORE,
            (Hook::Password, Outcome::Lost, _)                       => PAM_AUTHINFO_UNAVAIL,
        }
    }

    fn every_case(mut check: impl FnMut(Hook, Outcome, Facts)) {
        for hook in HOOKS {
            for outcome in OUTCOMES {
                for open in OPENS {
                    for first_factor in [false, true] {
                        for decoy in [false, true] {
                            check(
                                hook,
                                outcome,
                                Facts {
                                    decoy,
                                    first_factor,
                                    open,
                                },
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_whole_table() {
        every_case(|hook, outcome, facts| {
            if !facts.decoy {
                assert_eq!(
                    code(hook, outcome, facts),
                    expected(hook, outcome, facts.open, facts.first_factor),
                    "{hook:?} {outcome:?} {facts:?}"
                );
            }
        });
    }

    #[test]
    fn a_decoy_never_succeeds_and_is_never_ignored() {
        every_case(|hook, outcome, facts| {
            if facts.decoy {
                let code = code(hook, outcome, facts);
                assert!(
                    matches!(code, PAM_AUTH_ERR | PAM_AUTHINFO_UNAVAIL),
                    "{hook:?} {outcome:?} {facts:?} {code:?}"
                );
            }
        });
    }

    #[test]
    fn denied_and_lost_never_pass_whatever_the_arguments() {
        every_case(|hook, outcome, facts| {
            if matches!(outcome, Outcome::Denied | Outcome::Lost) {
                let code = code(hook, outcome, facts);
                assert!(
                    !matches!(code, PAM_SUCCESS | PAM_IGNORE),
                    "{hook:?} {outcome:?} {facts:?} {code:?}"
                );
            }
        });
    }

    #[test]
    fn a_hook_that_failed_denies() {
        for hook in HOOKS {
            assert!(!matches!(failed(hook), PAM_SUCCESS | PAM_IGNORE));
        }
    }
}
