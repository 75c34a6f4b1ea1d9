//! Changing passwords: the owner proves a second factor first, root does not.

use super::Case;
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    pty::Pty,
    ssh::PROMPT,
    totp::Totp,
};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "passwd asks for a code before it changes the password",
        changes,
    ),
    Case::new("passwd with a wrong code changes nothing", wrong),
    Case::new("root's passwd and chpasswd are asked nothing", root),
];

const NEW: &str = "an entirely new phrase 7";

fn begin(host: &Host) -> Result<(Person, Totp, Pty), Failure> {
    host.use_stack("passwd")?;
    host.write("/etc/pam.d/chpasswd", "0644", "@include passwd\n")?;
    let (alice, totp) = host.enrolled("alice")?;
    let mut screen = host.terminal_as("alice", "passwd")?;
    screen.expect("Current password: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect("Verification code: ", PROMPT)?;
    Ok((alice, totp, screen))
}

fn shadow(host: &Host) -> Result<String, Failure> {
    host.ok("grep ^alice: /etc/shadow")
}

fn changes(host: &Host) -> Outcome {
    let (_, totp, mut screen) = begin(host)?;
    let before = shadow(host)?;
    screen.line(&totp.code(0)?)?;
    screen.expect("New password: ", PROMPT)?;
    screen.line(NEW)?;
    screen.expect("Retype new password: ", PROMPT)?;
    screen.line(NEW)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success(), || format!("{status}: {shown}"))?;
    ensure(shadow(host)? != before, || {
        "the password is the old one".to_owned()
    })
}

fn wrong(host: &Host) -> Outcome {
    let (_, totp, mut screen) = begin(host)?;
    let before = shadow(host)?;
    screen.line(&totp.wrong_code()?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(!status.success(), || format!("{status}: {shown}"))?;
    ensure(shadow(host)? == before, || {
        "the password was changed".to_owned()
    })
}

fn root(host: &Host) -> Outcome {
    let (..) = begin(host)?;
    let before = shadow(host)?;
    host.ok("echo 'alice:another phrase 8' | chpasswd")?;
    let between = shadow(host)?;
    ensure(between != before, || "chpasswd changed nothing".to_owned())?;
    let mut screen = host.terminal(&["passwd", "alice"])?;
    screen.expect("New password: ", PROMPT)?;
    screen.line(NEW)?;
    screen.expect("Retype new password: ", PROMPT)?;
    screen.line(NEW)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shadow(host)? != between, || {
        format!("{status}: {shown}")
    })
}
