//! `mfactl pam install`: stacks on trial, kept by a new login, and gone again without one.

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
        "a stack on trial stays when a new login through it is confirmed",
        confirmed,
    ),
    Case::new(
        "a stack on trial that nobody confirms goes back by itself",
        undone,
    )
    .within(180),
    Case::new(
        "a stack on trial goes back after a restart of systemd's timers too",
        enabled,
    )
    .on(WITH_SYSTEMD),
    Case::new(
        "stacks for services that had none are taken away again",
        new_services,
    ),
    Case::new(
        "a stack can be taken back without the daemon, and again",
        taken_back,
    ),
    Case::new("what was edited meanwhile is not overwritten", edited),
    Case::new("of several pam installs at once one is done", at_once),
    Case::new("what mfactl test proved confirms nothing", only_tested),
    Case::new(
        "pam install, killed at any moment, leaves old or new stacks",
        killed,
    )
    .within(120),
    Case::new(
        "pam install refuses while no administrator could get in",
        nobody_enrolled,
    ),
    Case::new(
        "pam install refuses sshd-key while a code alone would log in",
        code_alone,
    ),
    Case::new(
        "pam check finds no hole in the stacks that are shipped",
        shipped,
    ),
];

const CODE: &str = "Verification code: ";
const KEY_THEN_CODE: &str = "KbdInteractiveAuthentication yes\nPasswordAuthentication no\n\
    AuthenticationMethods publickey,keyboard-interactive:pam";
const STACKS: &str = "cat /etc/pam.d/sudo /etc/pam.d/sudo-i | sha256sum";
const SHIPPED: &str = "cat /usr/share/mfa/pam/sudo /usr/share/mfa/pam/sudo-i | sha256sum";

fn administrator(host: &Host) -> Result<(Person, Totp), Failure> {
    let (alice, totp) = host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    Ok((alice, totp))
}

fn refused(host: &Host, script: &str, reason: &str) -> Outcome {
    let output = host.sh(script)?;
    ensure(output.status == 1 && output.stderr.contains(reason), || {
        format!(
            "`{script}` ended with {}, without “{reason}”",
            output.status
        )
    })
}

fn are(host: &Host, what: &str, expected: &str) -> Outcome {
    let found = host.ok(STACKS)?;
    ensure(found == expected, || format!("the stacks are not {what}"))
}

fn confirmed(host: &Host) -> Outcome {
    let (alice, totp) = administrator(host)?;
    let old = host.ok(STACKS)?;
    host.ok("mfactl pam install sudo")?;
    are(host, "the old ones after a dry run", &old)?;
    host.ok("mfactl --yes pam install sudo --apply")?;
    let new = host.ok(SHIPPED)?;
    are(host, "the new ones", &new)?;
    refused(
        host,
        "mfactl --yes pam install su --apply",
        "waits for its confirmation",
    )?;
    refused(host, "mfactl pam confirm", "nobody has logged in")?;
    // In the second in which they were put into place a login does not count.
    host.ok("sleep 1.1")?;
    let mut screen = host.terminal_as("alice", "sudo sh -c 'echo uid-$(id -u)'")?;
    screen.expect("password for alice: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("uid-0"), || shown)?;
    host.ok("mfactl pam confirm")?;
    refused(host, "mfactl pam confirm", "nothing to confirm")?;
    are(host, "the new ones", &new)?;
    host.ok("mfactl pam rollback")?;
    are(host, "the old ones", &old)
}

fn new_services(host: &Host) -> Outcome {
    let (alice, totp) = administrator(host)?;
    // Debian's own for polkit is elsewhere, and nobody has one for the commands that are asked for anew.
    host.ok(
        "cp /etc/pam.d/chsh /root/chsh.old; ! ls /etc/pam.d/polkit-1 /etc/pam.d/sudo-critical",
    )?;
    host.ok("mfactl --yes pam install chsh polkit-1 sudo-critical --apply && sleep 1.1")?;
    host.ok("for name in chsh polkit-1 sudo-critical; do cmp /etc/pam.d/$name /usr/share/mfa/pam/$name || exit; done")?;
    let mut screen = host.terminal_as("alice", "chsh -s /bin/sh")?;
    screen.expect("Password: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success(), || shown)?;
    refused(host, "mfactl pam confirm", "polkit-1, sudo-critical")?;
    host.ok("mfactl pam rollback && cmp /etc/pam.d/chsh /root/chsh.old")?;
    host.ok("! ls /etc/pam.d/polkit-1 /etc/pam.d/sudo-critical")
        .map(drop)
}

fn undone(host: &Host) -> Outcome {
    administrator(host)?;
    let old = host.ok(STACKS)?;
    // The shell that did it is gone at once, as one whose connection broke.
    host.ok("mfactl --yes pam install sudo --apply --minutes 1")?;
    let new = host.ok(SHIPPED)?;
    are(host, "the new ones", &new)?;
    host.ok("sleep 45")?;
    are(host, "the new ones before the time", &new)?;
    host.ok(&format!(
        "for i in $(seq 40); do [ \"$({STACKS})\" = '{}' ] && exit; sleep 1; done; exit 1",
        old.trim_end()
    ))?;
    refused(host, "mfactl pam confirm", "nothing to confirm")
}

fn enabled(host: &Host) -> Outcome {
    administrator(host)?;
    let old = host.ok(STACKS)?;
    host.ok("mfactl --yes pam install sudo --apply --minutes 1")?;
    host.ok("systemctl is-enabled mfa-pam-undo.timer")?;
    // As after a restart: another run of the machine, later than the time.
    host.ok(
        "systemctl stop mfa-pam-undo.timer && sed -i 's/\"boot\": \".*\"/\"boot\": \"earlier\"/; \
         s/\"applied\": [0-9]*/\"applied\": 1000/' /etc/mfa/pam-backup/pending.json && systemctl start timers.target mfa-pam-undo.timer",
    )?;
    host.ok(&format!(
        "for i in $(seq 20); do [ \"$({STACKS})\" = '{}' ] && exit; sleep 1; done; exit 1",
        old.trim_end()
    ))?;
    host.ok("for i in $(seq 20); do systemctl is-enabled -q mfa-pam-undo.timer || exit 0; sleep 0.5; done; exit 1")
        .map(drop)
}

fn taken_back(host: &Host) -> Outcome {
    administrator(host)?;
    let old = host.ok(STACKS)?;
    host.ok("mfactl --yes pam install sudo --apply")?;
    host.disable_daemon()?;
    host.ok("mfactl pam rollback")?;
    are(host, "the old ones", &old)?;
    host.ok("mfactl pam rollback")?;
    are(host, "the old ones", &old)
}

fn edited(host: &Host) -> Outcome {
    administrator(host)?;
    let old = host.ok(STACKS)?;
    host.ok("mfactl --yes pam install sudo --apply && echo '# mine' >>/etc/pam.d/sudo")?;
    refused(host, "mfactl pam rollback", "left as they are: sudo")?;
    host.ok("grep -qx '# mine' /etc/pam.d/sudo && mfactl pam rollback --force")?;
    are(host, "the old ones", &old)
}

fn at_once(host: &Host) -> Outcome {
    administrator(host)?;
    let old = host.ok(STACKS)?;
    let done = host.ok(
        "for i in 1 2 3 4 5; do (mfactl --yes pam install sudo --apply >/dev/null 2>&1 && echo done) & done; wait",
    )?;
    ensure(done.trim() == "done", || {
        format!("so many were done: {done:?}")
    })?;
    let new = host.ok(SHIPPED)?;
    are(host, "the new ones", &new)?;
    host.ok("mfactl pam rollback")?;
    are(host, "the old ones", &old)
}

/// A dialogue of the user's own has sudo's name, and a login by another way follows: sudo's stack was never run.
fn only_tested(host: &Host) -> Outcome {
    let (alice, totp) = administrator(host)?;
    host.use_stack("sshd-key")?;
    host.ok("mfactl --yes pam install sudo --apply && sleep 1.1")?;
    let mut screen = host.terminal_as("alice", "mfactl test --service sudo")?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success(), || shown)?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(1)?)])?;
    refused(host, "mfactl pam confirm", "nobody has logged in")
}

/// The moments are spread over what the command takes, so that some fall into each of its steps.
fn killed(host: &Host) -> Outcome {
    administrator(host)?;
    host.ok("cp -r /etc/pam.d /root/old")?;
    host.ok(
        "begun=$(date +%s%N); mfactl --yes pam install sudo --apply >/dev/null || exit; \
         took=$(( ($(date +%s%N) - begun) / 1000 )); mfactl pam rollback >/dev/null || exit; new=0; begun=0; \
         for i in $(seq 40); do \
             mfactl --yes pam install sudo --apply >/dev/null 2>&1 & pid=$!; \
             sleep $(printf '0.%06d' $(( took * i / 40 ))); kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null; \
             for stack in sudo sudo-i; do \
                 cmp -s /etc/pam.d/$stack /root/old/$stack || { cmp /etc/pam.d/$stack /usr/share/mfa/pam/$stack || exit 1; \
                     new=$((new + 1)); }; \
             done; \
             [ ! -e /etc/mfa/pam-backup/pending.json ] || begun=$((begun + 1)); \
             mfactl pam rollback >/dev/null || exit 1; rm -f /etc/pam.d/.*.mfa-new; \
             diff -r /root/old /etc/pam.d || exit 1; \
         done; echo \"40 kills: $begun after it was begun, $new stacks were new\"; [ $begun -gt 0 ]",
    )
    .map(drop)
}

fn nobody_enrolled(host: &Host) -> Outcome {
    // Enrolled, and no administrator.
    host.enrolled("bob")?;
    host.person("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    let old = host.ok(STACKS)?;
    refused(
        host,
        "mfactl --yes pam install sudo --apply",
        "No administrator",
    )?;
    // su asks for root's code, and root has none.
    host.enroll("alice")?;
    refused(
        host,
        "mfactl --yes pam install su --apply",
        "No administrator",
    )?;
    are(host, "the old ones", &old)
}

fn code_alone(host: &Host) -> Outcome {
    let (alice, totp) = administrator(host)?;
    host.sshd_settings("KbdInteractiveAuthentication yes\nPasswordAuthentication no")?;
    let install = "mfactl --yes pam install sshd --sshd key --apply";
    refused(host, install, "AuthenticationMethods")?;
    host.sshd_settings(KEY_THEN_CODE)?;
    host.ok(install)?;
    host.ok("sleep 1.1")?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])?;
    host.ok("mfactl pam confirm").map(drop)
}

fn shipped(host: &Host) -> Outcome {
    for stack in ["sudo", "sudo-i", "su", "login", "passwd", "sshd-key"] {
        host.use_stack(stack)?;
    }
    let report = host.json("mfactl --json pam check")?;
    let alarms: Vec<_> = report["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|finding| finding["severity"] != "note")
        .collect();
    ensure(alarms.is_empty() && report["ok"] == true, || {
        format!("{alarms:#?}")
    })?;
    // And it sees what is taken away.
    host.sshd_settings("KbdInteractiveAuthentication yes\nPasswordAuthentication no")?;
    let output = host.sh("mfactl pam check")?;
    ensure(
        output.status == 1 && output.stdout.contains("code-alone"),
        || output.stdout,
    )
}
