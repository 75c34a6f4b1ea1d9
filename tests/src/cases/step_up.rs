//! The shipped rules for step-up, at the real sudo, chsh, passwd and pkexec: content with what this session has proven, and
//! with nothing else.

use super::{
    Case, WITH_SYSTEMD,
    polkit::{attended, type_hidden},
};
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
        "in a session begun with a code, sudo, chsh, passwd and pkexec ask for the password alone",
        within,
    )
    .on(WITH_SYSTEMD),
    Case::new(
        "in a session begun with a code, a risky command asks for another",
        risky_within,
    )
    .on(WITH_SYSTEMD),
    Case::new(
        "in a session begun without a code, sudo, chsh, passwd and pkexec ask for one",
        without,
    )
    .on(WITH_SYSTEMD)
    .within(180),
    Case::new(
        "in a session begun with a code, su asks for the target's password alone, where it is the caller's factor",
        su_within,
    )
    .on(WITH_SYSTEMD),
    Case::new(
        "pkcheck, with an agent at the terminal, asks as the rule for polkit says, and denies by a wrong code",
        pkcheck,
    )
    .on(WITH_SYSTEMD),
    Case::new("chsh asks for a code before it changes the shell", chsh),
    Case::new("chsh with a wrong code changes nothing", chsh_wrong),
];

const CODE: &str = "Verification code: ";
const NEW: &str = "an entirely new phrase 7";
const PKEXEC: &str = "pkexec test -w /etc/shadow";
/// An authorization by itself, for this shell.
const PKCHECK: &str =
    "pkcheck --action-id org.freedesktop.policykit.exec --process $$ --allow-user-interaction";
fn put_into_place(host: &Host) -> Result<(Person, Totp), Failure> {
    for stack in [
        "sshd-key",
        "sudo",
        "sudo-critical",
        "chsh",
        "passwd",
        "polkit-1",
    ] {
        host.use_stack(stack)?;
    }
    host.ok(
        "install -m 0440 /usr/share/mfa/examples/mfa-critical /etc/sudoers.d/mfa-critical && \
         mkdir -p /etc/mfa/policy.d && cp /usr/share/mfa/examples/step-up.toml /etc/mfa/policy.d/ && \
         mfactl policy reload",
    )?;
    let (alice, totp) = host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    Ok((alice, totp))
}

/// A shell of alice's in an ssh session.
fn session(host: &Host, alice: &Person, code: Option<&str>) -> Result<Pty, Failure> {
    let mut screen = host.ssh(alice, "-tt", "PS1='ready> ' exec bash --norc -i")?;
    if let Some(code) = code {
        screen.expect(CODE, PROMPT)?;
        screen.line(code)?;
    }
    screen.expect("ready> ", PROMPT)?;
    Ok(screen)
}

fn type_at(screen: &mut Pty, prompt: &str, text: &str) -> Outcome {
    screen.expect(prompt, PROMPT)?;
    screen.line(text)
}

fn within(host: &Host) -> Outcome {
    let (alice, totp) = put_into_place(host)?;
    let mut screen = session(host, &alice, Some(&totp.code(0)?))?;
    screen.line("sudo id -un; echo sudo-$?")?;
    type_at(&mut screen, "password for alice: ", &alice.password)?;
    screen.expect("sudo-0", PROMPT)?;
    screen.line("chsh -s /bin/sh; echo chsh-$?")?;
    type_at(&mut screen, "Password: ", &alice.password)?;
    screen.expect("chsh-0", PROMPT)?;
    screen.line(&format!("{}; echo pkexec-$?", attended(PKEXEC)))?;
    type_hidden(host, &mut screen, "Password: ", &alice.password)?;
    screen.expect("pkexec-0", PROMPT)?;
    screen.line("passwd; echo passwd-$?")?;
    type_at(&mut screen, "Current password: ", &alice.password)?;
    type_at(&mut screen, "New password: ", NEW)?;
    type_at(&mut screen, "Retype new password: ", NEW)?;
    screen.expect("passwd-0", PROMPT)?;
    let audit = host.ok("mfactl audit --user alice --json")?;
    for service in ["sudo", "chsh", "polkit-1", "passwd"] {
        ensure(
            audit.lines().any(|line| {
                line.contains(&format!("\"{service}\"")) && line.contains("in this session")
            }),
            || format!("no record of why {service} did not ask: {audit}"),
        )?;
    }
    Ok(())
}

fn risky_within(host: &Host) -> Outcome {
    let (alice, totp) = put_into_place(host)?;
    let mut screen = session(host, &alice, Some(&totp.code(-1)?))?;
    screen.line("sudo useradd carol; echo added-$?")?;
    type_at(&mut screen, "password for alice: ", &alice.password)?;
    type_at(&mut screen, CODE, &totp.code(0)?)?;
    screen.expect("added-0", PROMPT).map(drop)
}

fn without(host: &Host) -> Outcome {
    let (alice, totp) = put_into_place(host)?;
    host.write(
        "/etc/mfa/policy.toml",
        "0644",
        "[[rule]]\nname = \"door\"\nwhen = { service = \"sshd\" }\nrequire = \"none\"\n",
    )?;
    host.ok("mfactl policy reload")?;
    host.sshd_settings("UsePAM yes\nPasswordAuthentication no\nAuthenticationMethods publickey")?;
    for (line, password) in [
        ("chsh -s /bin/sh; echo chsh-$?", "Password: "),
        ("passwd; echo passwd-$?", "Current password: "),
    ] {
        let mut screen = session(host, &alice, None)?;
        screen.line(line)?;
        type_at(&mut screen, password, &alice.password)?;
        screen.expect(CODE, PROMPT)?;
    }
    let mut screen = session(host, &alice, None)?;
    screen.line(&attended(PKEXEC))?;
    type_hidden(host, &mut screen, "Password: ", &alice.password)?;
    screen.expect(CODE, PROMPT)?;
    // What one service has proven does for the next.
    let mut screen = session(host, &alice, None)?;
    screen.line("sudo id -un; echo sudo-$?")?;
    type_at(&mut screen, "password for alice: ", &alice.password)?;
    type_at(&mut screen, CODE, &totp.code(0)?)?;
    screen.expect("sudo-0", PROMPT)?;
    screen.line("chsh -s /bin/sh; echo chsh-$?")?;
    type_at(&mut screen, "Password: ", &alice.password)?;
    screen.expect("chsh-0", PROMPT).map(drop)
}

fn su_within(host: &Host) -> Outcome {
    let (alice, totp) = put_into_place(host)?;
    host.use_stack("su")?;
    let bob = host.person("bob")?;
    host.policy("[subject]\nsu = \"caller\"\n")?;
    let mut screen = session(host, &alice, Some(&totp.code(0)?))?;
    screen.line("su bob -c 'echo now-$(id -un)'")?;
    type_at(&mut screen, "Password: ", &bob.password)?;
    screen.expect("now-bob", PROMPT)?;
    // In no session, nothing has been proven in it.
    let mut screen = host.terminal_as("alice", "su bob -c 'echo now-$(id -un)'")?;
    type_at(&mut screen, "Password: ", &bob.password)?;
    screen.expect(CODE, PROMPT).map(drop)
}

fn pkcheck(host: &Host) -> Outcome {
    let pkcheck = format!("{}; echo pkcheck-$?", attended(PKCHECK));
    let (alice, totp) = put_into_place(host)?;
    let mut screen = session(host, &alice, Some(&totp.code(-1)?))?;
    screen.line(&pkcheck)?;
    type_hidden(host, &mut screen, "Password: ", &alice.password)?;
    screen.expect("pkcheck-0", PROMPT)?;
    // In no session, nothing has been proven in it.
    for (code, ending) in [
        (totp.wrong_code()?, "pkcheck-1"),
        (totp.code(0)?, "pkcheck-0"),
    ] {
        let mut screen = host.terminal_as("alice", &pkcheck)?;
        type_hidden(host, &mut screen, "Password: ", &alice.password)?;
        type_hidden(host, &mut screen, CODE, &code)?;
        screen.expect(ending, PROMPT)?;
    }
    Ok(())
}

fn begin_chsh(host: &Host) -> Result<(Totp, Pty), Failure> {
    host.use_stack("chsh")?;
    let (alice, totp) = host.enrolled("alice")?;
    let mut screen = host.terminal_as("alice", "chsh -s /bin/sh")?;
    type_at(&mut screen, "Password: ", &alice.password)?;
    screen.expect(CODE, PROMPT)?;
    Ok((totp, screen))
}

fn chsh(host: &Host) -> Outcome {
    let (totp, mut screen) = begin_chsh(host)?;
    screen.line(&totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success(), || format!("{status}: {shown}"))?;
    host.ok("getent passwd alice | grep -q ':/bin/sh$'")?;
    // root is asked nothing.
    host.ok("chsh -s /bin/bash alice").map(drop)
}

fn chsh_wrong(host: &Host) -> Outcome {
    let (totp, mut screen) = begin_chsh(host)?;
    screen.line(&totp.wrong_code()?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(!status.success(), || format!("{status}: {shown}"))?;
    host.ok("getent passwd alice | grep -q ':/bin/bash$'")
        .map(drop)
}
