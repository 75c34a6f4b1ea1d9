//! What can be said of a factor that is to be enrolled, and what does not go together. It enrolls nothing.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use mfad_protocol::EnrollmentOptions;

use crate::failure::Failure;
use crate::ssh_agent;

/// What to enroll, and how to show it.
#[derive(Debug, Args)]
pub struct EnrollArgs {
    /// What to enroll
    #[arg(value_enum)]
    pub kind: Kind,
    /// What to call it (chosen for you otherwise)
    #[arg(long)]
    pub name: Option<String>,
    /// Hash algorithm; some apps know SHA1 only
    #[arg(long, value_enum, ignore_case = true)]
    pub algorithm: Option<Algorithm>,
    /// Digits of a code, 6 to 8
    #[arg(long, value_parser = clap::value_parser!(u32).range(6..=8))]
    pub digits: Option<u32>,
    /// Seconds between two codes, 15 to 120 (totp)
    #[arg(long, value_parser = clap::value_parser!(u32).range(15..=120))]
    pub period: Option<u32>,
    /// Public key to enroll, as in `~/.ssh/id_ed25519_sk.pub` (ssh-sk, ssh-agent)
    #[arg(long, value_name = "FILE.pub")]
    pub file: Option<PathBuf>,
    /// The key that this ssh session was opened with, where sshd exposes it (ssh-sk, ssh-agent)
    #[arg(long, action = ArgAction::SetTrue, conflicts_with = "file")]
    pub session: bool,
    /// The first key in your SSH agent that is not enrolled; as without --file and --session (ssh-sk, ssh-agent)
    #[arg(long, action = ArgAction::SetTrue, conflicts_with_all = ["file", "session"])]
    pub agent: bool,
    /// The key must know you, by its PIN or a finger, at each login (fido2)
    #[arg(long, action = ArgAction::SetTrue)]
    pub pin: bool,
    /// Have the key keep the credential itself; it has room for few (fido2)
    #[arg(long, action = ArgAction::SetTrue)]
    pub resident: bool,
    /// Only a key for whose model its maker's certificate stands (fido2)
    #[arg(long, action = ArgAction::SetTrue)]
    pub attestation: bool,
    /// No QR code: only the secret and its URI
    #[arg(long, action = ArgAction::SetTrue)]
    pub text: bool,
    /// Without colours: draw for a terminal with dark text on a light ground
    #[arg(long, action = ArgAction::SetTrue, conflicts_with = "text")]
    pub invert: bool,
}

impl EnrollArgs {
    /// For `mfactl codes`.
    pub const fn backup_codes() -> Self {
        Self {
            kind: Kind::BackupCodes,
            name: None,
            algorithm: None,
            digits: None,
            period: None,
            file: None,
            session: false,
            agent: false,
            pin: false,
            resident: false,
            attestation: false,
            text: false,
            invert: false,
        }
    }

    /// The options as the daemon takes them, or what does not go together.
    pub fn options(&self) -> Result<EnrollmentOptions, Failure> {
        if self.period.is_some() && self.kind != Kind::Totp {
            return Err(Failure::Usage("--period is for totp only.".to_owned()));
        }
        let is_code = matches!(self.kind, Kind::Totp | Kind::Hotp);
        if !is_code && (self.algorithm.is_some() || self.digits.is_some()) {
            return Err(Failure::Usage(
                "--algorithm and --digits are for totp and hotp only.".to_owned(),
            ));
        }
        let names_key = self.file.is_some() || self.session || self.agent;
        if names_key && !self.kind.is_ssh_key() {
            return Err(Failure::Usage(
                "--file, --session and --agent are for ssh-sk and ssh-agent only.".to_owned(),
            ));
        }
        let of_a_security_key = self.pin || self.resident || self.attestation;
        if of_a_security_key && self.kind != Kind::Fido2 {
            return Err(Failure::Usage(
                "--pin, --resident and --attestation are for fido2 only.".to_owned(),
            ));
        }
        let key = match &self.file {
            Some(path) => Some(ssh_agent::key_in(path)?),
            None if self.session => Some(ssh_agent::key_of_session(self.kind == Kind::SshSk)?),
            None => None,
        };
        Ok(EnrollmentOptions {
            name: self.name.clone(),
            algorithm: self.algorithm.map(|algorithm| algorithm.word().to_owned()),
            digits: self.digits,
            period: self.period,
            key,
            rp_id: None,
            verify: self.pin.then_some(true),
            resident: self.resident.then_some(true),
            attested: self.attestation.then_some(true),
        })
    }
}

/// Kinds of factor that can be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Codes from an authenticator app, by the clock
    Totp,
    /// Codes from a token, by a counter
    Hotp,
    /// Ten codes on paper, each good for one login
    BackupCodes,
    /// A security key (FIDO2) that is plugged in at this machine
    Fido2,
    /// An SSH key that a security key keeps, touched at your desk
    SshSk,
    /// Another key in your SSH agent; it counts only where the policy names it
    SshAgent,
}

impl Kind {
    /// The daemon's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Hotp => "hotp",
            Self::BackupCodes => "backup-codes",
            Self::Fido2 => "fido2",
            Self::SshSk => "ssh-sk",
            Self::SshAgent => "ssh-agent",
        }
    }

    /// Whether it is a key that an SSH agent asks.
    pub const fn is_ssh_key(self) -> bool {
        matches!(self, Self::SshSk | Self::SshAgent)
    }
}

/// Hash algorithms of TOTP and HOTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Algorithm {
    /// What every app knows
    #[value(name = "SHA1")]
    Sha1,
    /// HMAC-SHA-256
    #[value(name = "SHA256")]
    Sha256,
    /// HMAC-SHA-512
    #[value(name = "SHA512")]
    Sha512,
}

impl Algorithm {
    const fn word(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn enroll(arguments: &[&str]) -> Result<EnrollmentOptions, Failure> {
        let line = ["mfactl", "enroll"].iter().chain(arguments);
        match Cli::try_parse_from(line).unwrap().command {
            Command::Enroll(what) => what.options(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_that_make_no_sense_for_a_kind_are_refused_before_the_daemon_is_asked() {
        for line in [
            &["hotp", "--period", "30"][..],
            &["backup-codes", "--digits", "8"],
            &["backup-codes", "--algorithm", "SHA1"],
            &["ssh-sk", "--digits", "6"],
            &["totp", "--pin"],
            &["ssh-sk", "--resident"],
            &["backup-codes", "--attestation"],
            &["totp", "--agent"],
            &["hotp", "--file", "key.pub"],
            &["ssh-sk", "--file", "/nonexistent/key.pub"],
        ] {
            assert_eq!(enroll(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
        let options = enroll(&["totp", "--algorithm", "sha256", "--period", "60"]).unwrap();
        assert_eq!(options.algorithm.as_deref(), Some("SHA256"));
        assert_eq!(options.period, Some(60));
    }
}
