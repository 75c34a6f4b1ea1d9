//! The words of the factors that a policy may name, and what each of them is good for.

/// Every factor.
pub const ALL: [&str; 6] = [
    "totp",
    "hotp",
    "backup-codes",
    "fido2",
    "ssh-sk",
    "ssh-agent",
];

/// Those that withstand phishing. An `ssh-sk` does so as the key of the login itself, whose signature sshd binds to its
/// session; through an agent it does not (NIST SP 800-63B-4 §3.2.5).
pub const PHISHING_RESISTANT: [&str; 2] = ["fido2", "ssh-sk"];

/// Those that can verify their user. An `ssh-sk` does so through an agent, where the signature says it; of the key of
/// the login, sshd does not tell.
pub const USER_VERIFIED: [&str; 2] = ["fido2", "ssh-sk"];

/// Those that count only where a policy names them: a file that anybody can copy is no thing that one has.
pub const ONLY_NAMED: [&str; 1] = ["ssh-agent"];
