//! The module panics in a hook of a real host: the login is refused, the host ends as after any refusal, and says why in
//! its log. The module under test has failpoints; the stacks are the shipped ones with one argument more.

use super::{Case, WITHOUT_SYSTEMD};
use crate::{Outcome, failure::ensure, host::Host, ssh::PROMPT};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "a panic in sshd refuses that login, and sshd serves the next",
        sshd,
    )
    .on(WITHOUT_SYSTEMD),
    Case::new(
        "a panic in sudo runs nothing, and sudo ends by itself",
        sudo,
    )
    .on(WITHOUT_SYSTEMD),
    Case::new(
        "a panic in su lets nobody become another, and su ends by itself",
        su,
    )
    .on(WITHOUT_SYSTEMD),
    Case::new("a panic in passwd changes no password", passwd).on(WITHOUT_SYSTEMD),
];

const CODE: &str = "Verification code: ";

/// Makes the module panic in that hook of that service, and in no other.
fn inject(host: &Host, service: &str, hook: &str) -> Outcome {
    host.ok(&format!(
        "sed -i 's/ failpoint=panic:[a-z]*//; /^{hook} .*pam_mfa.so/s/pam_mfa.so/& failpoint=panic:{hook}/' /etc/pam.d/{service} && \
         grep -q failpoint=panic:{hook} /etc/pam.d/{service}"
    ))
    .map(drop)
}

fn mend(host: &Host, service: &str) -> Outcome {
    host.ok(&format!(
        "sed -i 's/ failpoint=panic:[a-z]*//' /etc/pam.d/{service}"
    ))
    .map(drop)
}

/// The log tells of so many panics.
fn told(host: &Host, times: usize) -> Outcome {
    let log = host.auth_log()?;
    let count = log.matches("internal error at").count();
    ensure(count == times, || {
        format!("{count} panics of {times} are in the log: {log}")
    })
}

fn sshd(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    host.put_faulty_module()?;
    let (alice, totp) = host.enrolled("alice")?;
    let before = host.ok("cat /run/sshd.pid")?;
    let mut told_of = 0;
    for (hook, code) in [("auth", None), ("account", Some(-1)), ("session", Some(0))] {
        inject(host, "sshd", hook)?;
        let code = code.map(|offset| totp.code(offset)).transpose()?;
        let dialogue: Vec<_> = code.iter().map(|code| (CODE, code.as_str())).collect();
        host.ssh_refused(
            &alice,
            "-o PreferredAuthentications=publickey,keyboard-interactive",
            &dialogue,
        )?;
        // sshd may have let the client try again.
        let count = host.auth_log()?.matches("internal error at").count();
        ensure(count > told_of, || format!("no panic in {hook}"))?;
        told_of = count;
    }
    mend(host, "sshd")?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(1)?)])?;
    let after = host.ok("cat /run/sshd.pid; kill -0 $(cat /run/sshd.pid)")?;
    ensure(before == after, || format!("sshd was {before}, is {after}"))
}

/// A refusal that the program ended with itself: a signal's would be 128 and more.
fn refused(status: std::process::ExitStatus, shown: &str, proof: &str) -> Outcome {
    ensure(
        status.code().is_some_and(|code| (1..128).contains(&code)) && !shown.contains(proof),
        || format!("{status}: {shown}"),
    )
}

fn sudo(host: &Host) -> Outcome {
    host.use_stack("sudo")?;
    host.put_faulty_module()?;
    let (alice, totp) = host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice; echo 'Defaults passwd_tries=1, timestamp_timeout=0' >/etc/sudoers.d/case")?;
    for (times, (hook, asks)) in [("auth", false), ("account", true)].into_iter().enumerate() {
        inject(host, "sudo", hook)?;
        let mut screen = host.terminal_as("alice", "sudo sh -c 'echo uid-$(id -u)'")?;
        screen.expect("password for alice: ", PROMPT)?;
        screen.line(&alice.password)?;
        if asks {
            screen.expect(CODE, PROMPT)?;
            screen.line(&totp.code(0)?)?;
        }
        let (status, shown) = screen.end(PROMPT)?;
        refused(status, &shown, "uid-0")?;
        told(host, times + 1)?;
    }
    mend(host, "sudo")?;
    let mut screen = host.terminal_as("alice", "sudo sh -c 'echo uid-$(id -u)'")?;
    screen.expect("password for alice: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(1)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("uid-0"), || {
        format!("{status}: {shown}")
    })
}

fn su(host: &Host) -> Outcome {
    host.use_stack("su")?;
    host.put_faulty_module()?;
    host.person("bob")?;
    let (alice, totp) = host.enrolled("alice")?;
    for (times, (hook, asks)) in [("auth", false), ("account", true)].into_iter().enumerate() {
        inject(host, "su", hook)?;
        let mut screen = host.terminal_as("bob", "su alice -c 'echo now-$(id -un)'")?;
        screen.expect("Password: ", PROMPT)?;
        screen.line(&alice.password)?;
        if asks {
            screen.expect(CODE, PROMPT)?;
            screen.line(&totp.code(0)?)?;
        }
        let (status, shown) = screen.end(PROMPT)?;
        refused(status, &shown, "now-alice")?;
        told(host, times + 1)?;
    }
    Ok(())
}

fn passwd(host: &Host) -> Outcome {
    host.use_stack("passwd")?;
    host.put_faulty_module()?;
    let (alice, _) = host.enrolled("alice")?;
    inject(host, "passwd", "password")?;
    let before = host.ok("getent shadow alice")?;
    let mut screen = host.terminal_as("alice", "passwd")?;
    screen.expect("Current password: ", PROMPT)?;
    screen.line(&alice.password)?;
    let (status, shown) = screen.end(PROMPT)?;
    refused(status, &shown, "successfully")?;
    told(host, 1)?;
    let after = host.ok("getent shadow alice")?;
    ensure(before == after, || "the password was changed".to_owned())
}
