//! The words that `pam_mfa.so`, `mfad` and `mfactl` exchange over D-Bus: names, limits, and the shape of each message.
//!
//! It holds no logic but how a message is laid out (`wire`), and no I/O, so that the module stays small. What travels as
//! `a{sv}` may gain keys within one protocol number; a key that changes its meaning needs a new number.

mod agent;
mod dialogue;
pub mod factors;
#[cfg(feature = "fido")]
pub mod fido;
pub mod hex;
mod management;
pub mod names;
mod text;
#[cfg(feature = "wire")]
pub mod wire;

pub use agent::AgentTrouble;
pub use dialogue::{Context, Hook, Message, PendingReference, State, Step, Style};
pub use management::{
    AuditQuery, BudgetInfo, CredentialInfo, DaemonStatus, DeviceInfo, EnrollmentOffer,
    EnrollmentOptions, ExplainQuery, PolicyExplanation, ReloadReport, UserInfo,
};
pub use text::{MAX_SHOWN, printable};

/// The protocol that this build speaks. See [`serves`].
pub const PROTOCOL: u32 = 1;

/// Whether a daemon of this build serves a module that speaks `protocol`: the current number and the one before,
/// so that a daemon upgraded before its modules (or a host still running an old module) locks nobody out.
pub const fn serves(protocol: u32) -> bool {
    protocol >= 1 && protocol <= PROTOCOL && PROTOCOL - protocol <= 1
}

/// Bounds on what comes from outside. Each is checked by the receiver too.
pub mod limits {
    use std::time::Duration;

    /// Longest user name, in bytes. Longer than any that `useradd` makes (32), short enough to log.
    pub const USER: usize = 256;
    /// Longest other text of a [`Context`](crate::Context) (service, tty, hosts), in bytes.
    pub const TEXT: usize = 512;
    /// Longest `SSH_AUTH_INFO_0` that is looked at, in bytes: it holds whole public keys.
    pub const SSH_AUTH_INFO: usize = 16 * 1024;
    /// Longest line with a public key, in bytes: of RSA with 8192 bits, and room for a comment.
    pub const KEY: usize = 4096;
    /// Longest answer to one prompt, in bytes. A longer one is cut here and can match nothing.
    pub const ANSWER: usize = 512;
    /// Most messages in one step, and so most answers to it: an enrollment QR code takes one a line.
    pub const MESSAGES: usize = 64;
    /// Longest text of one prompt or line shown, in bytes.
    pub const MESSAGE: usize = 512;
    /// Most steps of one dialogue before the module gives up.
    pub const STEPS: usize = 64;
    /// Largest D-Bus message that `mfad` reads from a login socket, in bytes.
    pub const WIRE_MESSAGE: usize = 64 * 1024;
    /// How long the module may take to reach the daemon, its activation included.
    pub const CONNECT: Duration = Duration::from_secs(2);
    /// How long the module waits for a person, unless `timeout=` says otherwise.
    pub const DIALOGUE: Duration = Duration::from_secs(45);
    /// Shortest and longest time that `timeout=` may give a person, in seconds. No dialogue of a login lasts longer.
    pub const TIMEOUT: std::ops::RangeInclusive<u64> = 5..=300;
    /// How long a grant waits for the account phase of its login.
    pub const GRANT: Duration = Duration::from_mins(2);
}
