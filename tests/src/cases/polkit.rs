//! polkit: its own PAM service behind pkexec, and its consent to what `mfactl` does for an administrator who is not root.

use super::{Case, WITH_SYSTEMD, profile};
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
        "with the profile, pkexec asks for password and code",
        pkexec,
    )
    .on(WITH_SYSTEMD),
    Case::new("with the profile, pkexec refuses a wrong code", pkexec_wrong).on(WITH_SYSTEMD),
    Case::new(
        "an administrator who is not root enrolls somebody, once polkit has asked for password and code",
        administers,
    )
    .on(WITH_SYSTEMD),
    Case::new(
        "polkit lets nobody administer by a wrong password, a wrong code, or without a terminal",
        administers_not,
    )
    .on(WITH_SYSTEMD),
];

const CODE: &str = "Verification code: ";

const PKEXEC: &str = "pkexec sh -c 'echo uid-$(id -u)'";

/// `command` with an agent that is there before it: pkexec's own, for terminals, fails on this bed, with our module or without
/// ("No session for cookie"). The agent says when it is there; in a subshell, so that no job control keeps it from the
/// terminal.
pub(super) fn attended(command: &str) -> String {
    format!(
        "(ready=/tmp/agent-of-$$; mkfifo -m 600 $ready; pkttyagent --process $$ --notify-fd 3 3>$ready & \
         cat <$ready; rm $ready; {command})"
    )
}

fn administrator(host: &Host) -> Result<(Person, Totp), Failure> {
    let (alice, totp) = host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    profile::enable(host)?;
    Ok((alice, totp))
}

/// Types at a prompt of the agent's: it hides every answer, throws away what was typed before that, and shows the prompt first.
pub(super) fn type_hidden(host: &Host, screen: &mut Pty, prompt: &str, text: &str) -> Outcome {
    screen.expect(prompt, PROMPT)?;
    host.ok(
        "for i in $(seq 600); do tty=$(ps -o tty= -p \"$(pgrep -nx pkttyagent)\"); \
         stty --file \"/dev/$tty\" --all | grep -qw -e -echo && exit; sleep 0.05; done; exit 1",
    )?;
    screen.line(text)
}

fn answer(host: &Host, screen: &mut Pty, password: &str, code: &str) -> Outcome {
    type_hidden(host, screen, "Password: ", password)?;
    type_hidden(host, screen, CODE, code)
}

fn pkexec(host: &Host) -> Outcome {
    let (alice, totp) = administrator(host)?;
    let mut screen = host.terminal_as("alice", &attended(PKEXEC))?;
    answer(host, &mut screen, &alice.password, &totp.code(0)?)?;
    screen.expect("uid-0", PROMPT).map(drop)
}

fn pkexec_wrong(host: &Host) -> Outcome {
    let (alice, totp) = administrator(host)?;
    let mut screen = host.terminal_as("alice", &attended(PKEXEC))?;
    answer(host, &mut screen, &alice.password, &totp.wrong_code()?)?;
    let shown = screen.expect("Not authorized", PROMPT)?;
    ensure(!shown.contains("uid-0"), || shown.clone())
}

fn administers(host: &Host) -> Outcome {
    let (alice, totp) = administrator(host)?;
    host.person("bob")?;
    let mut screen = host.terminal_as("alice", "mfactl user enroll bob totp --json")?;
    answer(host, &mut screen, &alice.password, &totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("otpauth://"), || {
        format!("{status}: {shown}")
    })?;
    let bob = host.user("bob")?;
    ensure(
        bob["credentials"]
            .as_array()
            .is_some_and(|all| all.len() == 1),
        || format!("bob has {bob}"),
    )
}

fn administers_not(host: &Host) -> Outcome {
    let (alice, totp) = administrator(host)?;
    host.person("bob")?;
    let line = "mfactl user enroll bob totp --json";
    let mut screen = host.terminal_as("alice", line)?;
    type_hidden(host, &mut screen, "Password: ", "a wrong password")?;
    refused(screen)?;
    let mut screen = host.terminal_as("alice", line)?;
    answer(host, &mut screen, &alice.password, &totp.wrong_code()?)?;
    refused(screen)?;
    let output = host.sh_as("alice", &format!("timeout 20 {line} </dev/null"))?;
    ensure(
        output.status == 1 && !output.stdout.contains("otpauth://"),
        || format!("without a terminal: {output:?}"),
    )?;
    let users = host.ok("mfactl user list --json")?;
    ensure(!users.contains("bob"), || {
        format!("bob is enrolled: {users}")
    })
}

fn refused(screen: Pty) -> Outcome {
    let (status, shown) = screen.end(PROMPT)?;
    ensure(
        !status.success() && !shown.contains("otpauth://") && shown.contains("sudo mfactl"),
        || format!("{status}: {shown}"),
    )
}
