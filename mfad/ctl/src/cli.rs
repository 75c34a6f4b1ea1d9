//! The command line: what may be asked and how `--help` teaches it. It decides nothing.

mod enrolling;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::demand::RequireArgs;
use crate::expectations::TestArgs;
use crate::explain::ExplainArgs;
use crate::pam::install::Choice;
use crate::shadow::ShadowCommand;
use crate::trust::{TrustCommand, UserTrustCommand};

pub use enrolling::{Algorithm, EnrollArgs, Kind};

/// Everything that can be asked.
#[derive(Debug, Parser)]
#[command(
    name = "mfactl",
    version,
    about = "Second factors for logins on this machine: yours, and everybody's for an administrator",
    after_help = "\
Examples:
  mfactl enroll totp                  draw a QR code for your authenticator app and try a first code
  mfactl codes                        ten backup codes, for the day the phone is lost
  mfactl status                       what you have, and when it was used
  mfactl test --service sudo          what sudo would ask you, without running it
  sudo mfactl user unlock alice       after too many wrong codes
  sudo mfactl policy check            look for mistakes before `policy reload`
  sudo mfactl doctor                  what is out of order, and what to do about it

Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the daemon does not answer, 130 interrupted.
See mfactl(1)."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print JSON, for scripts (times are seconds since the epoch)
    #[arg(long, global = true)]
    pub json: bool,
    /// Do not ask for confirmation
    #[arg(long, global = true)]
    pub yes: bool,
    /// Socket of the system bus, for tests
    #[arg(long, global = true, hide = true, value_name = "SOCKET")]
    pub bus_socket: Option<PathBuf>,
    /// Directory in which /etc, /usr and /run are looked for, for tests
    #[arg(
        long,
        global = true,
        hide = true,
        value_name = "DIR",
        default_value = "/"
    )]
    pub root: PathBuf,
}

/// One command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show your factors and when they were last used
    Status,
    /// Add a factor
    #[command(after_help = "\
Examples:
  mfactl enroll totp --name phone     QR code; saved only after a right code
  mfactl enroll totp --text           no QR code: the secret and its URI, for screen readers
  mfactl enroll hotp --name token     counter-based, for hardware tokens
  mfactl enroll backup-codes          the same as `mfactl codes`
  mfactl enroll fido2 --name blue     the security key that is plugged in here
  mfactl enroll ssh-sk --name blue    the security key behind your forwarded SSH agent (ssh -A)

With --json the offer is printed as one line, a code is read from the standard input, and the new
factor is printed as a second line.")]
    Enroll(EnrollArgs),
    /// Remove one of your factors
    #[command(after_help = "Example: mfactl remove old-phone")]
    Remove {
        /// Name or id of the factor
        factor: String,
    },
    /// Give one of your factors another name
    #[command(after_help = "Example: mfactl rename totp-2 tablet")]
    Rename {
        /// Name or id of the factor
        factor: String,
        /// New name
        name: String,
    },
    /// Try your factor without logging in
    #[command(after_help = "\
The dialogue is the real one: a right code is used up, and a wrong one counts.
Example: mfactl test --service sudo")]
    Test {
        /// Service whose login is tried
        #[arg(long, default_value = "mfactl")]
        service: String,
    },
    /// Make ten new backup codes; the old ones stop working
    Codes,
    /// Show or end the trust in devices that you wanted remembered
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Demand more for your own logins than the policy does; never less
    #[command(after_help = "\
Without anything: shows what you demand. Changing it takes a proof of one of your factors.
Examples:
  mfactl require any --service sshd            always a factor over ssh, also where the policy asks for none
  mfactl require any --count 2 --service sudo  two different ones for sudo
  mfactl require --file my.toml                [[rule]] tables as in mfa-policy(5); all of them only tighten
  mfactl require --clear")]
    Require(RequireArgs),
    /// Be asked for this kind of factor first, where there is a choice
    #[command(after_help = "\
It only changes what the prompt says, and only to who has proven a key, or in your own session.
Example: mfactl prefer totp")]
    Prefer {
        /// Which kind; without it, none
        #[arg(value_enum)]
        kind: Option<Kind>,
    },
    /// Take over what another module knows of its users (administrators)
    #[command(subcommand)]
    Import(ImportCommand),
    /// Look after users (administrators)
    #[command(subcommand)]
    User(UserCommand),
    /// Check and load the policy (administrators)
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Find ways around the second factor, and change PAM stacks safely (root)
    #[command(subcommand)]
    Pam(PamCommand),
    /// Find out what is out of order on this machine (root)
    #[command(after_help = "\
Each line says ok, warn or fail, and what to do next. The exit code is 1 if anything fails.
It reads files, asks the daemon and runs `sshd -T`; it changes nothing.")]
    Doctor,
    /// Show the audit trail (administrators)
    #[command(after_help = "\
Examples:
  sudo mfactl audit --user alice --since 2d
  sudo mfactl audit --since 2026-11-24 --json | jq 'select(.outcome == \"denied\")'
  sudo mfactl audit --follow")]
    Audit {
        /// Only this user's records
        #[arg(long)]
        user: Option<String>,
        /// Only records since then: 2026-11-24T08:00:00Z, 2026-11-24, or an age such as 90m, 1h, 2d
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Go on showing new records until Ctrl-C
        #[arg(long)]
        follow: bool,
        /// At most so many, the newest
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
}

/// Taking over.
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Security keys that users have registered with pam_u2f; nobody needs to touch them again
    #[command(after_help = "\
A credential counts at once, and can be removed like any other. Files in home directories are the users' own word:
look at them before you take them over.
Example: sudo mfactl import pam-u2f /etc/u2f_mappings --origin pam://host.example.org")]
    PamU2f {
        /// The mapping file: `USER:KEYHANDLE,KEY,TYPE,ATTRIBUTES…`
        file: PathBuf,
        /// What pam_u2f's `origin=` says; `pam://` and this host's name without it
        #[arg(long)]
        origin: Option<String>,
    },
}

/// Looking after users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List enrolled users
    List,
    /// Show one user's factors and guessing budgets
    Show {
        /// Login name
        user: String,
    },
    /// Give a user a factor that works at once
    #[command(after_help = "\
Examples:
  sudo mfactl user enroll alice totp                 draws the QR code, for alice to scan
  sudo mfactl user enroll alice totp --json          {\"id\":…,\"name\":…,\"uri\":…,\"secret\":…}")]
    Enroll {
        /// Login name
        user: String,
        /// What to enroll.
        #[command(flatten)]
        what: EnrollArgs,
    },
    /// Let a user try again after too many wrong codes
    Unlock {
        /// Login name
        user: String,
        /// Also accept codes again after this machine's clock had run ahead
        #[arg(long)]
        clock: bool,
    },
    /// Remove all of a user's factors
    Reset {
        /// Login name
        user: String,
    },
    /// Show or end the trust in a user's devices
    #[command(subcommand)]
    Trust(UserTrustCommand),
    /// Show what a user demands beyond the policy, or take it away
    Require {
        /// Login name
        user: String,
        /// Take it away
        #[arg(long)]
        clear: bool,
    },
    /// Remove one of a user's factors
    Remove {
        /// Login name
        user: String,
        /// Name or id of the factor
        factor: String,
    },
}

/// The policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Look for mistakes in policy files, and for what is probably not meant
    #[command(after_help = "\
Without FILE: /etc/mfa/policy.toml, /etc/mfa/policy.d/*.toml and /usr/lib/mfa/policy.toml.
Mistakes make the exit code 1. Warnings do not, but for --strict: of rules that never decide, of a policy that
lets everybody in, or no administrator. The latter takes root and the daemon, which knows who has a factor.
With --preset, what is lacking for it makes the exit code 1 too.
Examples:
  mfactl policy check new-policy.toml --strict
  sudo mfactl policy check --preset pci")]
    Check(CheckArgs),
    /// Say what the policy in force decides about a login, and rule by rule why
    #[command(after_help = "\
What you do not say is looked up where this machine knows it (groups, factors, history, country), and is
not known otherwise; what is not known never loosens. Nothing is changed, charged or recorded.
Examples:
  sudo mfactl policy explain --user alice --service sshd --rhost 203.0.113.9 --key-file alice.pub
  sudo mfactl policy explain --user alice --service sudo --at 2026-12-24T02:00Z --risk high
  sudo mfactl policy explain --audit 4711            a past login, with the facts as they were then")]
    Explain(Box<ExplainArgs>),
    /// Try what you expect of a policy, without the daemon
    #[command(after_help = "\
FILE holds [[expect]] tables: a login (user, service, rhost, …) and the decision that you expect; see
mfa-policy(5). Without --policy the installed policy is tried, with what is in its files now.
Exit codes: 0 all is as expected, 1 something is not, 2 a file has mistakes.
Examples:
  mfactl policy test /etc/mfa/expect.toml
  mfactl policy test expect.toml --policy new-policy.toml")]
    Test(TestArgs),
    /// Say whether a policy is evaluated in the shadow, or what it would have changed (administrators)
    #[command(after_help = "\
A whole policy in /etc/mfa/shadow.toml is evaluated beside the one in force, and decides nothing.
Examples:
  sudo mfactl policy shadow
  sudo mfactl policy shadow report --since 7d")]
    Shadow {
        /// Without it: whether there is one
        #[command(subcommand)]
        command: Option<ShadowCommand>,
    },
    /// Have the daemon read its configuration; a broken file never replaces a good one
    Reload,
}

/// Which policy is checked, and how.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files to check, in order
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Fail also because of warnings
    #[arg(long)]
    pub strict: bool,
    /// Say what the policy, and the delays in mfad.toml, lack for this preset
    #[arg(long, value_enum)]
    pub preset: Option<crate::preset::Choice>,
}

/// PAM stacks.
#[derive(Debug, Subcommand)]
pub enum PamCommand {
    /// Look for ways around the second factor in PAM stacks, sshd and sudoers
    #[command(after_help = "\
Reads the stacks as libpam does, with everything that they include, sshd's settings in force (also in
Match blocks) and sudoers. Each finding says where, how it is used, and what to write instead:
  hole    a way in without the second factor, or without the first: the exit code is 1
  risk    weakens it, or keeps people out
  note    good to know
It needs no daemon and changes nothing. See mfactl(1).")]
    Check,
    /// Put stacks that ask for a code into place; they go back unless a new login confirms them
    #[command(after_help = "\
Shows what would change. With --apply it is done, and undone after --minutes unless somebody who logged in
anew, with a code, says `mfactl pam confirm`. Refused while no administrator could get in, while the new
stacks would leave a way around, while sshd does not take its configuration, and while an earlier one waits.
Examples:
  sudo mfactl pam install sudo                       shows the difference
  sudo mfactl pam install sudo --apply
  sudo mfactl pam install sshd --sshd key --apply    sshd_config first: see docs/install.md")]
    Install(InstallArgs),
    /// Keep what was installed; from a new login
    Confirm {
        /// Do not ask for a login by this service; at least one must have been tried
        #[arg(long, value_name = "SERVICE")]
        untried: Vec<String>,
    },
    /// Put the stacks from before back
    Rollback(RollbackArgs),
}

/// Which stacks, and for how long they are on trial.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// sshd, sudo (with sudo-i), sudo-critical, su, login, passwd, chsh, polkit-1
    #[arg(required = true, value_name = "SERVICE")]
    pub services: Vec<String>,
    /// What sshd asks for before the code
    #[arg(long, value_enum)]
    pub sshd: Option<Choice>,
    /// Do it
    #[arg(long)]
    pub apply: bool,
    /// Minutes until it is undone, 1 to 1440
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub minutes: u32,
}

/// How to put the old stacks back.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Also over files that were edited since
    #[arg(long)]
    pub force: bool,
    /// Only if its time is over; for mfa-pam-undo.service
    #[arg(long)]
    pub overdue: bool,
    /// Wait until its time is over; for machines without systemd
    #[arg(long, hide = true, conflicts_with = "overdue")]
    pub when_due: bool,
}

/// The command line's definition, for tests.
pub fn definition() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn numbers_out_of_range_are_wrong_usage() {
        for line in [
            &["mfactl", "enroll", "totp", "--digits", "9"][..],
            &["mfactl", "enroll", "totp", "--period", "14"],
            &["mfactl", "audit", "--limit", "0"],
            &["mfactl", "audit", "--limit", "1001"],
        ] {
            assert_eq!(Cli::try_parse_from(line).unwrap_err().exit_code(), 2);
        }
    }
}
