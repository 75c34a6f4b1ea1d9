//! The clock that takes an unconfirmed installation back, though the shell that made it is gone. With systemd a timer that
//! is enabled, and so survives a restart; without it a process of its own, which does not.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{about, journal, refused};
use crate::failure::Failure;
use crate::pam::tree::Tree;

const TIMER: &str = "mfa-pam-undo.timer";
/// Not from `PATH`: what runs here runs as root.
const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
/// Where `systemctl enable` puts the link, the inner directory first.
const ENABLED: [&str; 2] = [
    "/etc/systemd/system/timers.target.wants",
    "/etc/systemd/system",
];
const SETSID: &str = "/usr/bin/setsid";

/// Starts it.
pub(super) fn arm(tree: &Tree) -> Result<(), Failure> {
    if !tree.is_here() {
        // A test's own directory: nobody's logins depend on it.
        return Ok(());
    }
    if tree.exists("/run/systemd/system") {
        systemctl(tree, &["enable", "--now", TIMER])?;
        // The link that starts it after a restart must outlast a power cut, as the stacks will.
        for directory in ENABLED {
            journal::sync(&tree.below(directory))?;
        }
        return Ok(());
    }
    let program = std::env::current_exe().map_err(about(Path::new("mfactl")))?;
    // In a session of its own: what becomes of this terminal does not concern it.
    let status = Command::new(SETSID)
        .arg("--fork")
        .arg(program)
        .args(["pam", "rollback", "--when-due"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(about(Path::new(SETSID)))?;
    if status.success() {
        Ok(())
    } else {
        Err(refused(
            "The process that would take it back does not start: nothing was changed.",
        ))
    }
}

/// Stops it. The waiting process, without systemd, sees by itself that there is nothing left to wait for.
pub(super) fn disarm(tree: &Tree) {
    if tree.is_here() && tree.exists("/run/systemd/system") {
        // A timer that goes on finds nothing to do.
        let _ = systemctl(tree, &["disable", "--now", TIMER]);
    }
}

fn systemctl(tree: &Tree, arguments: &[&str]) -> Result<(), Failure> {
    let program = SYSTEMCTL.iter().find(|program| tree.exists(program));
    let program = program.ok_or_else(|| refused("systemctl is missing."))?;
    let output = Command::new(program)
        .arg("--no-ask-password")
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(about(Path::new(program)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(refused(format!(
        "{TIMER}, which would take it back, does not start: {} Nothing was changed.",
        mfad_protocol::printable(said.trim())
    )))
}
