//! Why a command did not do what was asked: exit code, what happened, and what to do next. It prints nothing.

use std::fmt;
use std::io;

use serde_json::{Value, json};

/// Exit code of a command that did what was asked.
pub const DONE: u8 = 0;
/// Exit code of a refusal.
pub const REFUSED: u8 = 1;
/// Exit code of a wrong command line.
pub const USAGE: u8 = 2;
/// Exit code when the daemon does not answer.
pub const UNREACHABLE: u8 = 3;
/// Exit code after Ctrl-C, as shells have it (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;

/// What to look at when the daemon does not answer.
pub const UNREACHABLE_HINT: &str =
    "Look at `systemctl status mfad.socket mfad` and `journalctl -u mfad`.";

/// Kinds of refusal that the daemon knows, from the names of its D-Bus errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not allowed, or a wrong code.
    Denied,
    /// No such user, factor or enrollment.
    NotFound,
    /// The name is taken.
    Exists,
    /// An argument that the daemon does not accept.
    Invalid,
    /// Store, key or configuration out of order.
    Unavailable,
    /// The caller has to prove a factor that they have already.
    NeedsGrant,
    /// No room for another factor.
    Full,
    /// An error that this build does not know.
    Other,
}

impl Refusal {
    /// The refusal that the last part of a D-Bus error name stands for.
    pub fn from_word(word: &str) -> Self {
        match word {
            "Denied" => Self::Denied,
            "NotFound" => Self::NotFound,
            "Exists" => Self::Exists,
            "Invalid" => Self::Invalid,
            "Unavailable" => Self::Unavailable,
            "NeedsGrant" => Self::NeedsGrant,
            "Full" => Self::Full,
            _ => Self::Other,
        }
    }

    /// Its word in `--json`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::NotFound => "not-found",
            Self::Exists => "exists",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::NeedsGrant => "needs-grant",
            Self::Full => "full",
            Self::Other => "other",
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub enum Failure {
    /// The daemon refused; the message is its own.
    Refused(Refusal, String),
    /// The caller is not root, and the daemon wants an administrator.
    NeedsRoot {
        /// The command to run instead.
        command: String,
    },
    /// The person did not confirm, or could not prove what was asked.
    Stopped(String),
    /// A check found something, and the command's own output says what.
    Reported,
    /// A check could not begin: its input has mistakes, which the command's own output names.
    NotTried,
    /// The command line cannot be carried out as it is.
    Usage(String),
    /// The daemon does not answer.
    Unreachable(String),
    /// Ctrl-C or a signal to end.
    Interrupted {
        /// A factor was on offer, and is now forgotten.
        offered: bool,
    },
    /// The output could not be written.
    Output(io::Error),
}

impl Failure {
    /// The exit code that tells a script.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(..) | Self::NeedsRoot { .. } | Self::Stopped(_) | Self::Reported => {
                REFUSED
            }
            Self::Usage(_) | Self::NotTried => USAGE,
            Self::Unreachable(_) => UNREACHABLE,
            Self::Interrupted { .. } => INTERRUPTED,
            // `mfactl audit | head`: whoever read the output has had enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
            Self::Output(_) => REFUSED,
        }
    }

    /// Whether all is said, or nobody is there to hear it.
    pub fn is_silent(&self) -> bool {
        match self {
            Self::Reported | Self::NotTried => true,
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }

    /// What to do next, where the message does not say it.
    pub fn next(&self) -> Option<String> {
        match self {
            Self::NeedsRoot { command } => Some(format!("Run: {command}")),
            Self::Unreachable(_) => Some(UNREACHABLE_HINT.to_owned()),
            _ => None,
        }
    }

    /// The failure for `--json`.
    pub fn json(&self) -> Value {
        let kind = match self {
            Self::Refused(refusal, _) => refusal.word(),
            Self::NeedsRoot { .. } => "needs-root",
            Self::Stopped(_) => "stopped",
            Self::Reported => "reported",
            Self::NotTried => "not-tried",
            Self::Usage(_) => "usage",
            Self::Unreachable(_) => "unreachable",
            Self::Interrupted { .. } => "interrupted",
            Self::Output(_) => "output",
        };
        json!({"error": kind, "message": self.to_string(), "next": self.next()})
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_, message)
            | Self::Stopped(message)
            | Self::Usage(message)
            | Self::Unreachable(message) => f.write_str(message),
            Self::NeedsRoot { .. } => f.write_str("This needs root."),
            Self::Reported => f.write_str("Something is out of order."),
            Self::NotTried => f.write_str("Nothing was tried."),
            Self::Interrupted { offered: true } => f.write_str("Interrupted: nothing was stored."),
            Self::Interrupted { offered: false } => f.write_str("Interrupted."),
            Self::Output(error) => write!(f, "Cannot write the output: {error}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Output(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_the_exit_code_of_the_manual() {
        let cases = [
            (Failure::Refused(Refusal::Denied, String::new()), 1),
            (
                Failure::NeedsRoot {
                    command: String::new(),
                },
                1,
            ),
            (Failure::Usage(String::new()), 2),
            (Failure::Unreachable(String::new()), 3),
            (Failure::Interrupted { offered: true }, 130),
            (Failure::Reported, 1),
            (Failure::NotTried, 2),
            (Failure::Output(io::ErrorKind::BrokenPipe.into()), 0),
            (Failure::Output(io::ErrorKind::StorageFull.into()), 1),
        ];
        for (failure, code) in cases {
            assert_eq!(failure.exit_code(), code, "{failure:?}");
        }
    }

    #[test]
    fn an_unreachable_daemon_comes_with_the_next_command() {
        let failure = Failure::Unreachable("The daemon did not answer.".into());
        assert!(failure.next().unwrap().contains("journalctl -u mfad"));
        assert_eq!(failure.json()["error"], "unreachable");
    }
}
