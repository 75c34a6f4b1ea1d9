//! login(1) on a terminal, as getty runs it.

use super::Case;
use crate::{Failure, Outcome, failure::ensure, host::Host, pty::Pty, ssh::PROMPT};

/// The table.
pub const CASES: &[Case] = &[
    Case::new("login asks for password, then code", both),
    Case::new(
        "login lets root in at the console by password when the key is gone and break-glass is set",
        break_glass,
    ),
    Case::new(
        "break-glass is for root at a console alone",
        break_glass_elsewhere,
    ),
];

const CODE: &str = "Verification code: ";

fn begin(host: &Host, name: &str, password: &str) -> Result<Pty, Failure> {
    let mut screen = host.terminal(&["login"])?;
    screen.expect("login: ", PROMPT)?;
    screen.line(name)?;
    screen.expect("Password: ", PROMPT)?;
    screen.line(password)?;
    Ok(screen)
}

fn both(host: &Host) -> Outcome {
    host.use_stack("login")?;
    let (alice, totp) = host.enrolled("alice")?;
    let mut screen = begin(host, "alice", &alice.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    screen.expect("$ ", PROMPT)?;
    screen.line("echo in-$(id -un)")?;
    screen.expect("in-alice", PROMPT).map(drop)
}

/// Breaks what only an administrator at the console can mend, with a way in prepared.
fn without_key(host: &Host) -> Outcome {
    host.use_stack("login")?;
    host.ok("sed -i '/^auth.*pam_mfa.so/s/$/ breakglass=console/' /etc/pam.d/login")?;
    host.ok("echo 'root:in case of fire 9' | chpasswd")?;
    host.enroll("root")?;
    host.ok("mv /etc/mfa/mfad.key /root/mfad.key")?;
    host.stop_daemon()
}

fn break_glass(host: &Host) -> Outcome {
    without_key(host)?;
    // A console stands in for a real one by its name, which is what login hands to PAM.
    let mut screen = host.terminal(&[
        "bash",
        "-c",
        "touch /dev/tty1 && mount --bind $(tty) /dev/tty1 && exec login </dev/tty1 >/dev/tty1 2>&1",
    ])?;
    screen.expect("login: ", PROMPT)?;
    screen.line("root")?;
    screen.expect("Password: ", PROMPT)?;
    screen.line("in case of fire 9")?;
    screen.expect("# ", PROMPT)?;
    screen.line("echo in-$(id -un)")?;
    screen.expect("in-root", PROMPT)?;
    let log = host.auth_log()?;
    ensure(log.to_lowercase().contains("break"), || {
        "the log does not tell of it".to_owned()
    })
}

fn break_glass_elsewhere(host: &Host) -> Outcome {
    let (alice, _) = host.enrolled("alice")?;
    without_key(host)?;
    for (name, password) in [
        ("root", "in case of fire 9"),
        ("alice", alice.password.as_str()),
    ] {
        let mut screen = begin(host, name, password)?;
        screen.expect("Login incorrect", PROMPT)?;
    }
    Ok(())
}
