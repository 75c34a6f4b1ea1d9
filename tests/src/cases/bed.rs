//! Cases about the beds themselves, against a module that is known to work: when one fails, distrust the others.

use std::{process::Command, time::Duration};

use super::{Case, WITHOUT_SYSTEMD};
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    totp::Totp,
};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "a peer's module asks for a code after the key, and takes a right one",
        right_code,
    )
    .of_the_bed(),
    Case::new("a peer's module refuses a wrong code", wrong_code).of_the_bed(),
    Case::new(
        "sudo on a terminal asks a peer's module for password and code",
        sudo,
    )
    .of_the_bed(),
    Case::new(
        "the bed has a log, a bus and no other network",
        surroundings,
    )
    .of_the_bed(),
    Case::new(
        "a sandbox with the product in it leaves this machine's files as they were",
        untouched,
    )
    .of_the_bed()
    .on(WITHOUT_SYSTEMD),
];

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const WAIT: Duration = Duration::from_secs(30);

fn peer(host: &Host) -> Result<(Person, Totp), Failure> {
    let person = host.person("alice")?;
    let state = "/home/alice/.google_authenticator";
    host.write(
        state,
        "0400",
        &format!("{SECRET}\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n"),
    )?;
    host.ok(&format!("chown alice:alice {state}"))?;
    host.write(
        "/etc/pam.d/sshd",
        "0644",
        "auth required pam_google_authenticator.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
    )?;
    host.sshd_settings("KbdInteractiveAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive:pam")?;
    Ok((person, Totp::new(SECRET)))
}

fn right_code(host: &Host) -> Outcome {
    let (alice, totp) = peer(host)?;
    host.ssh_in(&alice, "", &[("Verification code: ", &totp.code(0)?)])
}

fn wrong_code(host: &Host) -> Outcome {
    let (alice, totp) = peer(host)?;
    let wrong = totp.wrong_code()?;
    // This module's refusal is asked three times by sshd; the client is told to try once and hangs up.
    host.ssh_refused(&alice, "", &[("Verification code: ", &wrong)])
}

fn sudo(host: &Host) -> Outcome {
    let (alice, totp) = peer(host)?;
    host.ok("usermod --append --groups sudo alice")?;
    host.write(
        "/etc/pam.d/sudo",
        "0644",
        "@include common-auth\nauth required pam_google_authenticator.so\naccount required pam_permit.so\n",
    )?;
    let mut screen = host.terminal_as("alice", "sudo id -un")?;
    screen.expect("password for alice: ", WAIT)?;
    screen.line(&alice.password)?;
    screen.expect("Verification code: ", WAIT)?;
    screen.line(&totp.code(0)?)?;
    let (status, shown) = screen.end(WAIT)?;
    ensure(status.success() && shown.contains("root"), || {
        format!("{status}: {shown:?}")
    })
}

fn surroundings(host: &Host) -> Outcome {
    host.ok("logger -p auth.notice the bed is listening")?;
    let log = host.auth_log()?;
    ensure(log.contains("the bed is listening"), || {
        "the log lacks what was written to it".to_owned()
    })?;
    host.ok(
        "dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetId >/dev/null",
    )?;
    let links = host.ok("ip -o link show up")?;
    ensure(links.lines().count() == 1 && links.contains(" lo:"), || {
        format!("other links are up: {links}")
    })
}

/// Names, owners, modes, sizes, times and contents of what a login machine is made of, on this machine. Of /var/lib no
/// contents: it is large.
const LOOK: &str = "{ find /etc /usr/lib/*/security /usr/libexec /usr/share/dbus-1 /var/lib -xdev \
    -printf '%p %u:%g %m %s %T@ %l\\n' | LC_ALL=C sort; \
    find /etc /usr/lib/*/security -xdev -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; } 2>&1";

fn untouched(host: &Host) -> Outcome {
    let look = || -> Result<String, Failure> {
        let output = Command::new("bash").args(["-c", LOOK]).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let before = look()?;
    let sandbox = Host::new(
        crate::bed::ns::start(Some(&host.artifacts().tree))?,
        host.artifacts().clone(),
    );
    sandbox.enrolled("stranger")?;
    sandbox.ok("touch /etc/made /var/lib/made $(dirname /usr/lib/*/security/pam_unix.so)/made && rm /etc/passwd")?;
    drop(sandbox);
    let after = look()?;
    let changed = before
        .lines()
        .filter(|line| !after.contains(line))
        .collect::<Vec<_>>();
    ensure(before.lines().count() > 100 && before == after, || {
        format!("changed: {changed:#?}")
    })
}
