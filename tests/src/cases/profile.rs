//! The pam-auth-update profile: one command puts the module behind every service's password, another takes it away.

use super::{Case, WITH_SYSTEMD};
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    ssh::PROMPT,
    totp::Totp,
};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "with the profile, sudo, su and login ask for a code after the password",
        locally,
    )
    .on(WITH_SYSTEMD),
    Case::new(
        "with the profile, sudo, su and login refuse a wrong code",
        locally_wrong,
    )
    .on(WITH_SYSTEMD),
    Case::new(
        "with the profile, sshd asks for password and code, and refuses a key alone",
        remotely,
    )
    .on(WITH_SYSTEMD),
    Case::new(
        "the profile taken away leaves the stacks as they were, and nobody is asked",
        removed,
    )
    .on(WITH_SYSTEMD),
];

const CODE: &str = "Verification code: ";

/// Switches the profile on, as its documentation says.
pub fn enable(host: &Host) -> Outcome {
    host.ok("DEBIAN_FRONTEND=noninteractive pam-auth-update --enable mfa")
        .map(drop)
}

fn sudoer(host: &Host) -> Result<(Person, Totp), Failure> {
    let (alice, totp) = host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    enable(host)?;
    Ok((alice, totp))
}

fn locally(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host)?;
    host.person("bob")?;
    for (who, line, code) in [
        ("alice", "sudo sh -c 'echo as-$(id -un)'", totp.code(-1)?),
        ("bob", "su alice -c 'echo as-$(id -un)'", totp.code(0)?),
    ] {
        let mut screen = host.terminal_as(who, line)?;
        screen.expect_any(&["Password: ", "password for alice: "], PROMPT)?;
        screen.line(&alice.password)?;
        screen.expect(CODE, PROMPT)?;
        screen.line(&code)?;
        let (status, shown) = screen.end(PROMPT)?;
        ensure(status.success() && shown.contains("as-"), || {
            format!("`{line}`: {status}: {shown}")
        })?;
    }
    let mut screen = host.terminal(&["login"])?;
    screen.expect("login: ", PROMPT)?;
    screen.line("alice")?;
    screen.expect("Password: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(1)?)?;
    screen.expect("$ ", PROMPT)?;
    screen.line("echo in-$(id -un)")?;
    screen.expect("in-alice", PROMPT).map(drop)
}

fn locally_wrong(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host)?;
    host.person("bob")?;
    let wrong = totp.wrong_code()?;
    for (who, line, refusal) in [
        ("alice", "sudo touch /root/done", "try again"),
        (
            "bob",
            "su alice -c 'touch /tmp/done'",
            "Authentication failure",
        ),
    ] {
        let mut screen = host.terminal_as(who, line)?;
        screen.expect_any(&["Password: ", "password for alice: "], PROMPT)?;
        screen.line(&alice.password)?;
        screen.expect(CODE, PROMPT)?;
        screen.line(&wrong)?;
        screen.expect(refusal, PROMPT)?;
    }
    let mut screen = host.terminal(&["login"])?;
    screen.expect("login: ", PROMPT)?;
    screen.line("alice")?;
    screen.expect("Password: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&wrong)?;
    screen.expect("Login incorrect", PROMPT)?;
    host.ok("[ ! -e /root/done ] && [ ! -e /tmp/done ]")
        .map(drop)
}

/// sshd's own stack, Debian's, with the settings that the shipped stack for passwords asks for.
fn remotely(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host)?;
    let by_password = "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\nAuthenticationMethods ";
    host.sshd_settings(&format!("{by_password}keyboard-interactive:pam"))?;
    host.ssh_refused(
        &alice,
        "",
        &[("Password: ", &alice.password), (CODE, &totp.wrong_code()?)],
    )?;
    host.ssh_in(
        &alice,
        "",
        &[("Password: ", &alice.password), (CODE, &totp.code(0)?)],
    )?;
    host.sshd_settings(&format!("{by_password}publickey"))?;
    host.ssh_refused(&alice, "", &[])
}

fn removed(host: &Host) -> Outcome {
    const LOOK: &str = "sha256sum /etc/pam.d/common-*";
    let before = host.ok(LOOK)?;
    let (alice, _) = sudoer(host)?;
    ensure(host.ok(LOOK)? != before, || {
        "enabling it changed nothing".to_owned()
    })?;
    host.ok("DEBIAN_FRONTEND=noninteractive pam-auth-update --remove mfa")?;
    let after = host.ok(LOOK)?;
    ensure(after == before, || {
        format!("before:\n{before}after:\n{after}")
    })?;
    let mut screen = host.terminal_as("alice", "sudo sh -c 'echo uid-$(id -u)'")?;
    screen.expect("password for alice: ", PROMPT)?;
    screen.line(&alice.password)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(
        status.success() && shown.contains("uid-0") && !shown.contains(CODE),
        || format!("{status}: {shown}"),
    )
}
