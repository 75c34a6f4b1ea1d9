//! One login's dialogue: what the module tells the daemon, and what the daemon asks it to show.

use serde::{Deserialize, Serialize};
use zbus::{DeserializeDict, SerializeDict, Type};

/// Which PAM entry point is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[zbus(signature = "s")]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// `pam_sm_authenticate`.
    Auth,
    /// `pam_sm_acct_mgmt`; and `pam_sm_chauthtok`, in its update, to commit what the preliminary check left pending.
    Account,
    /// `pam_sm_open_session`.
    Session,
    /// `pam_sm_chauthtok`, in its preliminary check.
    Password,
}

/// What the module knows about a login. Every text is bounded by [`limits`](crate::limits) and, before it is shown or
/// logged, passed through [`printable`](crate::printable) by whoever shows it.
///
/// Who is asking comes from the kernel (socket credentials), never from here.
#[derive(Debug, Clone, Default, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct Context {
    /// [`PROTOCOL`](crate::PROTOCOL) of the sender.
    pub protocol: u32,
    /// Which entry point asks; a missing one is refused.
    pub hook: Option<Hook>,
    /// `PAM_SERVICE`.
    pub service: String,
    /// `PAM_USER`: who wants in.
    pub user: String,
    /// Real uid of the host process: in sudo the caller, in `su` too.
    pub real_uid: Option<u32>,
    /// `PAM_RUSER`.
    pub ruser: Option<String>,
    /// `PAM_RHOST`: the far end; a name or an address.
    pub rhost: Option<String>,
    /// `PAM_TTY`.
    pub tty: Option<String>,
    /// `SSH_AUTH_INFO_0` of the PAM environment: what sshd has verified so far, one method a line.
    pub ssh_auth_info: Option<String>,
    /// `SSH_CONNECTION` of the PAM environment: client address and port, server address and port.
    pub ssh_connection: Option<String>,
    /// The stack says that a first factor stands before the module (`after=password`).
    pub after_password: Option<bool>,
    /// The first factor has failed already: prompt alike, evaluate nothing, charge nothing, refuse.
    pub decoy: Option<bool>,
    /// The service is one of the module's `guard=` services: a login without a grant must be judged here.
    pub guarded: Option<bool>,
    /// The stack has a session line too (`defer=session`), where a decision that needs the key can wait for it.
    pub defer: Option<bool>,
    /// The caller's `SSH_AUTH_SOCK` names a path: an SSH agent may be there, and the module will connect to it if asked.
    pub agent: Option<bool>,
    /// The grant that an earlier phase of this transaction received.
    pub grant: Option<String>,
    /// `PAM_SILENT` was set: informational lines are unwanted (prompts still are).
    pub silent: Option<bool>,
}

/// How a line is shown, and whether it wants an answer (`pam_conv(3)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[zbus(signature = "s")]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// Prompt, input hidden.
    Secret,
    /// Prompt, input echoed.
    Visible,
    /// A line of information.
    Info,
    /// A line about a failure.
    Error,
}

impl Style {
    /// Whether a message of this style wants an answer.
    pub const fn prompts(self) -> bool {
        matches!(self, Self::Secret | Self::Visible)
    }
}

/// One line for the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
pub struct Message {
    /// How to show it.
    pub style: Style,
    /// What to show: one line of printable UTF-8.
    pub text: String,
}

/// Where the dialogue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[zbus(signature = "s")]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Show the messages, send one answer for each that prompts.
    Continue,
    /// Show the messages, then respond with no answers after `retry-after-ms`: something happens elsewhere.
    Wait,
    /// The policy is met, and what prevents a replay is durable.
    Granted,
    /// Refused. Nothing says why.
    Denied,
    /// No decision could be reached (store, key or configuration out of order).
    Unavailable,
    /// The policy asks for no second factor here.
    NotRequired,
}

impl State {
    /// Whether the dialogue is over.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Continue | Self::Wait)
    }
}

/// The daemon's turn in a dialogue.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDict, DeserializeDict, Type)]
#[zbus(signature = "dict", rename_all = "kebab-case")]
pub struct Step {
    /// Where the dialogue stands.
    pub state: State,
    /// What to show, in order.
    pub messages: Vec<Message>,
    /// With `Granted` and `NotRequired`: what the account and session phases present, so that they know this login.
    pub grant: Option<PendingReference>,
    /// With `Wait`: the daemon wants a connection to the person's SSH agent with the next response, or, as its one answer,
    /// the word of an [`AgentTrouble`](crate::AgentTrouble).
    pub wants_fd: Option<bool>,
    /// With `Wait`: how long to wait before the next `Respond`, in milliseconds. 0: not at all, since the daemon holds its
    /// answer back until there is one, for some seconds at most.
    pub retry_after_ms: Option<u32>,
}

impl Step {
    /// A final step with nothing to say.
    pub const fn of(state: State) -> Self {
        Self {
            state,
            messages: Vec::new(),
            grant: None,
            wants_fd: None,
            retry_after_ms: None,
        }
    }
}

/// Names a grant between the phases of one login. It is no secret: the daemon accepts it only from the uid that
/// obtained it, for the same user and service, once per phase, and for a short time.
pub type PendingReference = String;
